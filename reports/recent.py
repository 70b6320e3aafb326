"""What the last accepted runs measured, for the small history beside each gate. Draws nothing and decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reports.gates.metrics import describe_metric
from reports.history import ASPECTS, History, Promotion, fingerprint, mismatches, needed_aspects
from reports.records import Record

WINDOW = 20
"""Runs looked back on."""


def earlier_runs(record: Record, history: History) -> list[Promotion]:
    """Accepted runs of the record's tier that are older than it, oldest first."""
    moment = _moment(record.created_at)
    found = [(_moment(run.created_at), run) for run in history.before(record) if run.tier == record.tier]
    dated = [(when, run) for when, run in found if when is not None and moment is not None and when <= moment]
    return [run for _, run in sorted(dated, key=lambda pair: pair[0])]


def comparable_runs(metric: str, record: Record, runs: Sequence[Promotion]) -> list[Promotion]:
    """Those of `runs` that measured `metric` comparably with the record, in their order.

    Comparable is what it is at the gate: every aspect that can change this metric is known and the same.
    """
    bound = describe_metric(metric).unit in ("seconds", "bytes", "per_second")
    aspects = needed_aspects(metric, machine_bound=bound, wanted=ASPECTS)
    here = fingerprint(record)
    return [run for run in runs if metric in run.metrics and not mismatches(here, run.fingerprint, aspects)]


def recent_values(metric: str, record: Record, runs: Sequence[Promotion], *, window: int = WINDOW) -> list[float]:
    """Values of `metric` in the last `window` comparable runs of `runs`."""
    alike = comparable_runs(metric, record, runs)[-window:]
    return [value for run in alike if (value := run.metrics[metric].value) is not None]


def _moment(iso: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return when.astimezone() if when.tzinfo is None else when
