"""Alerts as a log and a receiver of webhooks read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import uuid4

from reports import format as form
from reports.alerts import Alert, AlertState
from reports.ops_view import inert

SCHEMA_VERSION = 1
STATES: dict[AlertState, str] = {
    "firing": "firing",
    "quiet": "quiet",
    "no_turns": "without turns",
    "not_recorded": "not recorded",
}


def summary(alerts: Sequence[Alert], at: datetime) -> str:
    """How many alerts are in which state."""
    counts = Counter(alert.state for alert in alerts)
    told = ", ".join(f"{counts[state]} {word}" for state, word in STATES.items() if counts[state])
    return f"{form.plural(len(alerts), 'alerts')} at {form.moment(at.isoformat())}: {told}"


def payload(firing: Sequence[Alert], at: datetime) -> dict[str, Any]:
    """What a webhook gets. `text` is what Slack, Mattermost and Teams show; `delivery` differs every time, `key` of an alert does not."""
    lines = [f"{alert.severity}: {alert.key}: {alert.sentence}" for alert in firing]
    return {
        "schema_version": SCHEMA_VERSION,
        "delivery": uuid4().hex,
        "at": at.isoformat(),
        "text": "\n".join(inert(line) for line in lines),
        "alerts": [asdict(alert) for alert in firing],
    }
