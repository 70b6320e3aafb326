"""Alerts as a log, a page and a receiver of webhooks read them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from reports import format as form
from reports.alerts import Alert, AlertState

SCHEMA_VERSION = 1
STATES: dict[AlertState, str] = {
    "firing": "firing",
    "quiet": "quiet",
    "no_turns": "without turns",
    "not_recorded": "not recorded",
}


ALERT_WORDS: Mapping[AlertState, tuple[str, str]] = {
    "firing": ("fires", "fail"),
    "quiet": ("quiet", "pass"),
    "no_turns": ("no turns", "non"),
    "not_recorded": ("not recorded", "non"),
}


@dataclass(frozen=True, kw_only=True)
class AlertLine:
    """`icon` is a symbol of the page, also the ending of its state class."""

    title: str
    severity: str
    word: str
    icon: str
    sentence: str


def inert(text: str) -> str:
    """One line without control, formatting or surrogate characters."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char)[0] == "C" else char for char in " ".join(text.split())
    )


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


def alert_lines(alerts: Sequence[Alert]) -> list[AlertLine]:
    """Every alert that fires, and what else each rule found, once per state, by its highest burn rate."""
    lines = [
        _alert_line([alert], alert.rule if alert.group is None else f"{alert.rule}, {alert.group}")
        for alert in firing_alerts(alerts)
    ]
    silent: dict[tuple[str, AlertState], list[Alert]] = {}
    for alert in alerts:
        if alert.state != "firing":
            silent.setdefault((alert.rule, alert.state), []).append(alert)
    return lines + [_alert_line(rows, rule) for (rule, _), rows in silent.items()]


def firing_alerts(alerts: Sequence[Alert]) -> list[Alert]:
    """In the order given."""
    return [alert for alert in alerts if alert.state == "firing"]


def _alert_line(alerts: Sequence[Alert], title: str) -> AlertLine:
    worst = max(alerts, key=lambda alert: alert.burn_rate or 0.0)
    word, icon = ALERT_WORDS[worst.state]
    many = f"the highest of {len(alerts)}: " if len(alerts) > 1 and worst.burn_rate is not None else ""
    sentence = f"{many}{worst.sentence}."
    severity = ", ".join(sorted({alert.severity for alert in alerts}))
    return AlertLine(title=title, severity=severity, word=word, icon=icon, sentence=sentence[0].upper() + sentence[1:])
