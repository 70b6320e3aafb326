"""Figures of operation as a page, a terminal and a program read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reports import format as form
from reports.alert_words import alert_lines, firing_alerts, inert
from reports.alerts import Alert
from reports.charts import Series, timeline
from reports.ops import ModelFigures, Operations, Quantiles
from reports.ops_turns import UNKNOWN
from reports.records import Estimate, Unit

SCHEMA_VERSION = 1
SHOWN_INTENTS = 15
PRINTED = 10
"""Rows of a table that a terminal gets."""
OUTCOME_WORDS: Mapping[str, str] = {
    "answered": "answered",
    "abstained": "abstained: in scope, nothing found to answer from",
    "refused": "refused: out of scope or not allowed",
    "degraded": "degraded: answered in part after a failure",
    "error": "error: told that no answer can be given",
    "no answer kept": "no answer kept: the turn broke, or its reader left",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of a table: value, interval and count in words. `column` heads it where a table is too wide."""

    column: str
    value: str
    bounds: str = ""
    counted: str = ""


@dataclass(frozen=True, kw_only=True)
class Line:
    """`width`: length of the row's bar in percent, where it has one."""

    title: str
    detail: str
    cells: list[Cell]
    width: int | None = None


def headline(found: Operations) -> str:
    """What happened, in a sentence."""
    if not found.turns:
        return "No turns are stored."
    failed, p95 = found.errors, found.answer.p95
    most = form.share(0.95)
    waited = f"fewer than {most} were answered" if p95.value is None else f"{most} were answered within {form.seconds(p95.value)}"
    lost = "every one got an answer" if not failed.k else f"{form.count(failed.k)} got no answer"
    return f"{form.plural(found.turns, 'turns')}: {lost}, {waited}."


def page_values(found: Operations, source: str, alerts: Sequence[Alert] | None) -> dict[str, Any]:
    """What `ops.html.j2` shows. `alerts` null: no rules were evaluated."""
    return {
        "source": source,
        "headline": headline(found),
        "found": found,
        "period": [form.moment(when.isoformat()) for when in (found.first, found.last) if when],
        "answer": [cell.value for cell in _answer(found.answer)],
        "errors": rate(found.errors, "Errors"),
        "outcomes": outcome_lines(found),
        "models": model_lines(found),
        "agents": agent_lines(found),
        "tools": tool_lines(found),
        "intents": intent_lines(found),
        "other_intents": max(0, len(found.intents) - SHOWN_INTENTS),
        "recorded": recorded_lines(found),
        "charts": _charts(found),
        "step": form.seconds(found.step_s),
        "alerts": None if alerts is None else alert_lines(alerts),
        "firing": len(firing_alerts(alerts or [])),
    }


def as_json(found: Operations | None, alerts: Sequence[Alert] | None) -> dict[str, Any]:
    """Plain values: times as ISO text, estimates as objects, null for what was not asked for or not recorded."""
    figures = None if found is None else asdict(found)
    if figures is not None and found is not None:
        figures |= {name: None if at is None else at.isoformat() for name, at in (("first", found.first), ("last", found.last))}
    rows = None if alerts is None else [asdict(alert) for alert in alerts]
    return {"schema_version": SCHEMA_VERSION, "figures": figures, "alerts": rows}


def text_lines(found: Operations) -> Iterator[str]:
    """For a terminal. Names come from models and users, so what could steer a terminal is removed."""
    yield headline(found)
    tables = {
        "outcomes": outcome_lines(found),
        "models": model_lines(found),
        "agents": agent_lines(found),
        "tools": tool_lines(found),
        "intents": intent_lines(found),
        "recorded": recorded_lines(found),
    }
    for name, lines in tables.items():
        for line in lines[:PRINTED]:
            cells = ", ".join(f"{cell.column.lower()} {' '.join(filter(None, _parts(cell)))}" for cell in line.cells)
            title = f"{line.title} ({line.detail})" if line.detail else line.title
            yield name.ljust(10) + inert(f"{title}: {cells}")
        if len(lines) > PRINTED:
            yield name.ljust(10) + f"and {len(lines) - PRINTED} more on the page"


def rate(estimate: Estimate, column: str) -> Cell:
    """A share with its Wilson bounds and `k / n`."""
    return Cell(
        column=column,
        value=form.quantity(estimate.value, "share"),
        bounds=_bounds(estimate, "share"),
        counted=form.of_planned(estimate),
    )


def outcome_lines(found: Operations) -> list[Line]:
    """How turns ended, most common first; what never happened stays, with its upper bound."""
    ranked = sorted(found.outcomes.items(), key=lambda item: -(item[1].k or 0))
    return [Line(title=OUTCOME_WORDS.get(name, name), detail="", cells=[rate(share, "Share")]) for name, share in ranked]


def model_lines(found: Operations) -> list[Line]:
    return [_model_line(row) for row in found.models]


def agent_lines(found: Operations) -> list[Line]:
    return [
        Line(title=row.agent, detail="", cells=[_count("Turns", row.turns), rate(row.success, "Success"), *_answer(row.answer)])
        for row in found.agents
    ]


def tool_lines(found: Operations) -> list[Line]:
    return [
        Line(
            title=row.tool,
            detail="",
            cells=[
                _count("Calls", row.calls),
                rate(row.used, "Turns using it"),
                rate(row.success, "Success"),
                rate(row.retries, "Retries"),
                *_answer(row.duration),
            ],
        )
        for row in found.tools
    ]


def intent_lines(found: Operations) -> list[Line]:
    """The most common intents; bars are drawn to the first."""
    top = list(found.intents.items())[:SHOWN_INTENTS]
    most = max((share.k or 0 for _, share in top), default=0) or 1
    return [
        Line(title=name, detail="", cells=[rate(share, "Share")], width=round(100 * (share.k or 0) / most)) for name, share in top
    ]


def recorded_lines(found: Operations) -> list[Line]:
    """What only some builds record."""
    rows = {"Thumbs up": found.thumbs_up, "Answers from the cache": found.cache_hits}
    return [
        Line(
            title=title, detail="", cells=[Cell(column="Share", value="not recorded") if share is None else rate(share, "Share")]
        )
        for title, share in rows.items()
    ]


def _model_line(row: ModelFigures) -> Line:
    provider, _, variant = row.model.partition(":")
    title = "no answer kept, model unknown" if row.model == UNKNOWN else provider
    detail = [variant] if variant else []
    detail += [f"answered by {row.answered_by}"] if row.answered_by not in (row.model, variant) and row.model != UNKNOWN else []
    total = "" if row.cost_usd_total is None else f"USD {form.quantity(row.cost_usd_total, 'count')} in all"
    cost = _mean(row.cost_usd, "Cost per query", "USD ")
    cells = [
        _count("Turns", row.turns),
        rate(row.errors, "Errors"),
        *_answer(row.answer),
        _mean(row.input_tokens, "Tokens in"),
        _mean(row.output_tokens, "Tokens out"),
        Cell(column=cost.column, value=cost.value if total else "no price", bounds=cost.bounds, counted=total),
    ]
    return Line(title=title, detail=", ".join(detail), cells=cells)


def _count(column: str, number: int) -> Cell:
    return Cell(column=column, value=form.count(number))


def _answer(quantiles: Quantiles) -> list[Cell]:
    return [_quantile("p50", quantiles.p50), _quantile("p95", quantiles.p95), _quantile("p99", quantiles.p99)]


def _quantile(column: str, estimate: Estimate) -> Cell:
    endless = estimate.value is None and estimate.n > 0
    value = "never" if endless else form.quantity(estimate.value, "seconds")
    return Cell(column=column, value=value, bounds=_bounds(estimate, "seconds") if estimate.n else "")


def _mean(estimate: Estimate, column: str, money: str = "") -> Cell:
    value = "" if estimate.value is None else money
    return Cell(column=column, value=value + form.quantity(estimate.value, "count"), bounds=_bounds(estimate, "count"))


def _bounds(estimate: Estimate, unit: Unit) -> str:
    low, high = (None if bound is None else form.quantity(max(0.0, bound), unit) for bound in (estimate.low, estimate.high))
    if low is None and high is None:
        return "no bounds" if estimate.n else ""
    if low is None or high is None:
        return f"at most {high}" if low is None else f"at least {low}"
    return low if low == high else f"{low} – {high}"


def _parts(cell: Cell) -> tuple[str, str, str]:
    return cell.value, f"[{cell.bounds}]" if cell.bounds else "", cell.counted


def _charts(found: Operations) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Title, drawing and legend `(style, name)`."""
    steps = found.steps
    if not steps:
        return []
    turns = Series(name="turns", style="cand", points=[(step.start_s, float(step.turns)) for step in steps])
    failed = Series(name="without an answer", style="bad", points=[(step.start_s, float(step.failed)) for step in steps])
    p50 = Series(name="p50", style="cand", points=[(step.start_s, step.p50_s) for step in steps])
    p95 = Series(name="p95", style="base", points=[(step.start_s, step.p95_s) for step in steps])
    drawn = [
        ("Turns", [turns, failed], timeline([turns, failed], y_name="Turns", form=lambda y: form.quantity(y, "count"))),
        ("Answer time", [p50, p95], timeline([p50, p95], y_name="Answer time", form=form.seconds)),
    ]
    return [(title, chart, [(line.style, line.name) for line in lines]) for title, lines, chart in drawn if chart]
