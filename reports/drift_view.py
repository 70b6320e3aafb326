"""Drift in words and charts, for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports import format as form
from reports.charts import trend
from reports.drift import Change, Drift
from reports.records import Unit


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    words: str
    first_run: str
    commits: str
    label: str


@dataclass(frozen=True, kw_only=True)
class DriftRow:
    """A metric with changes; `chart` is markup."""

    metric: str
    title: str
    chart: str
    changes: list[ChangeRow]


def headline(found: Sequence[Drift]) -> str:
    """How many metrics moved, and how many for the worse without a label."""
    moved = [drift for drift in found if drift.changes]
    worse = [change for drift in moved for change in drift.changes if change.direction == "worse" and change.label is None]
    if not any(drift.enough for drift in found):
        return "Too few runs to say whether anything drifts."
    if not moved:
        return f"None of {form.plural(sum(drift.enough for drift in found), 'metrics')} moved."
    open_ones = f"; {form.plural(len(worse), 'changes')} for the worse without a label" if worse else ""
    return f"{form.plural(len(moved), 'metrics')} moved{open_ones}."


def words(change: Change, unit: Unit) -> str:
    """What moved, from where to where."""
    by = form.change(change.after - change.before, unit)
    if change.ratio is not None:
        by = f"{'+' if change.ratio >= 1 else '−'}{form.share(abs(change.ratio - 1))}"
    return f"{change.direction}: {form.quantity(change.before, unit)} to {form.quantity(change.after, unit)} ({by})"


def drift_rows(found: Sequence[Drift]) -> list[DriftRow]:
    """Metrics that moved, those with a change for the worse first."""
    moved = sorted(
        (drift for drift in found if drift.changes), key=lambda drift: all(c.direction != "worse" for c in drift.changes)
    )
    return [_row(drift) for drift in moved]


def _row(drift: Drift) -> DriftRow:
    unit = drift.unit
    changes = [
        ChangeRow(
            words=words(change, unit),
            first_run=change.first_run,
            commits=" .. ".join(commit[:12] if commit else "unknown" for commit in change.commits),
            label=change.label or "none",
        )
        for change in drift.changes
    ]
    values = [point.value for point in drift.points]
    chart = trend(values, drift.levels, name=drift.title, unit=unit)
    return DriftRow(metric=drift.metric, title=drift.title, chart=chart, changes=changes)
