"""The store's figures by day, against their targets."""

from __future__ import annotations

from datetime import date, timedelta

from pydantic_ai import RunContext

from assistant.packs.qsr.deps import OperationsDeps
from assistant.packs.qsr.tools.days import day_in
from assistant.packs.qsr.tools.matching import says
from assistant.packs.qsr.tools.outcome import Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import listing, say_day, say_weekday
from assistant.packs.qsr.tools.rows import Keyed, Row, number

PERFORMANCE = "performance"
TARGETS = "targets"
MEASURES: dict[str, tuple[str, str, bool, tuple[str, ...]]] = {
    "sales_usd": ("sales", "${:,.0f}", True, ("sales", "revenue", "turnover", "sell", "sold", "made")),
    "labor_pct": ("labor cost", "{:.1f} %", False, ("labor", "labour", "payroll", "staff cost")),
    "drive_thru_s": (
        "drive-thru time",
        "{:.0f} seconds",
        False,
        ("drive thru", "drivethru", "speed of service", "service time", "window time"),
    ),
    "waste_usd": ("waste", "${:,.0f}", False, ("waste", "wasted", "thrown away", "shrink")),
    "guest_count": ("guests", "{:,.0f}", True, ("guests", "guest count", "transactions", "customers", "traffic")),
}
"""Field: its name, how it is said, whether more is better, and what users call it."""
DAYS_IN_WEEK = 7


async def get_store_performance(ctx: RunContext[OperationsDeps], question: str = "latest") -> Outcome:
    """Show the store's figures of a day or of the last 7 days against target: sales, labor cost, drive-thru time, waste and guests.

    Use for: "how were sales yesterday"; "what was our drive-thru time on Saturday"; "are we over on labor this week"; "how much waste did we have"
    "store performance vs target"; "how is the store doing"

    Args:
        question: figure and day, in the user's words.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = await deps.state.items(PERFORMANCE)
    if not rows:
        return not_found("No store figures are recorded yet.")
    targets = await deps.state.get(TARGETS, "day") or {}
    asked = [field for field, (_, _, _, words) in MEASURES.items() if says(question, words)] or list(MEASURES)
    if "week" in question.lower() and day_in(question, today, past=True) is None:
        return _week(rows, targets, asked, today)
    on = day_in(question, today, past=True)
    key = on.isoformat() if on else max(rows)
    if key not in rows:
        days = listing([say_day(date.fromisoformat(found)) for found in sorted(rows)[-3:]])
        return not_found(f"No figures are recorded for {say_weekday(on or today)}. The latest days with figures: {days}.")
    return told(f"{say_weekday(date.fromisoformat(key))}: {_figures(rows[key], targets, asked)}.", [(key, rows[key])])


def _week(rows: dict[str, Row], targets: Row, asked: list[str], today: date) -> Outcome:
    first = (today - timedelta(days=DAYS_IN_WEEK)).isoformat()
    found: list[Keyed] = [item for item in sorted(rows.items()) if first <= item[0] <= today.isoformat()]
    if not found:
        return not_found(f"No figures are recorded for the {DAYS_IN_WEEK} days before {say_day(today)}.")
    mean: Row = {}
    for field in asked:
        values = [value for _, row in found if (value := number(row, field)) is not None]
        mean[field] = sum(values) / len(values) if values else None
    return told(f"Average of the last {len(found)} days with figures: {_figures(mean, targets, asked)}.", found)


def _figures(row: Row, targets: Row, asked: list[str]) -> str:
    said: list[str] = []
    for field in asked:
        name, form, more_is_better, _ = MEASURES[field]
        value, target = number(row, field), number(targets, field)
        if value is None:
            said.append(f"{name} not recorded")
        elif target is None:
            said.append(f"{name} {form.format(value)}")
        else:
            good = value >= target if more_is_better else value <= target
            said.append(f"{name} {form.format(value)} (target {form.format(target)}, {'on target' if good else 'off target'})")
    return "; ".join(said)
