"""The measured sections of a report, drawn from a record's tables; a table of another shape is left out and named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from reports import charts
from reports import format as form
from reports.records import Record
from reports.statistics.proportions import wilson

T = TypeVar("T")
QUANTILES = (0.5, 0.9, 0.95, 0.99)
STYLES = ("cand", "ok", "base", "bad")
UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError)


@dataclass(frozen=True, kw_only=True)
class HeatRow:
    """Cells are `(count, strength 0..100, right choice)`."""

    label: str
    cells: list[tuple[int, int, bool]]
    total: int


@dataclass(frozen=True, kw_only=True)
class Sections:
    """Markup of charts is empty, and lists are, where the run has no such table. `skipped` names unreadable tables."""

    agents: list[str]
    heat: list[HeatRow]
    mistakes: list[Mapping[str, str]]
    reliability: str
    ece: str
    percentiles: list[list[str]]
    ecdf: str
    series: str
    p95_series: str
    stages: str
    outcomes: str
    skipped: list[str]


def sections(record: Record) -> Sections:
    """Draw what the tables hold."""
    skipped: list[str] = []

    def draw(name: str, function: Callable[[Any], T], empty: T) -> T:
        if not record.tables.get(name):
            return empty
        try:
            return function(record.tables[name])
        except UNREADABLE as error:
            note = f"{name} ({type(error).__name__}: {error})"
            skipped.extend([note] if note not in skipped else [])
            return empty

    ece = record.metrics.get("routing.ece")
    agents, heat = draw("confusion", _heat, ([], []))
    return Sections(
        agents=agents,
        heat=heat,
        mistakes=draw("mistakes", _mistakes, []),
        reliability=draw("reliability", _reliability, ""),
        ece=f"{ece.value:.3f}" if ece and ece.value is not None else "",
        percentiles=draw("latency", _percentiles, []),
        ecdf=draw("latency", _ecdf, ""),
        series=draw("load_series", _series, ""),
        p95_series=draw("load_series", _p95_series, ""),
        stages=draw("stages", _stages, ""),
        outcomes=draw("load", _outcomes, ""),
        skipped=skipped,
    )


def _heat(table: Mapping[str, Any]) -> tuple[list[str], list[HeatRow]]:
    labels = [str(label) for label in table["labels"]]
    rows: list[HeatRow] = []
    for index, (label, counts) in enumerate(zip(labels, table["counts"], strict=True)):
        total = sum(counts)
        cells = [
            (int(number), charts.shade(number, total), column == index)
            for column, (number, _) in enumerate(zip(counts, labels, strict=True))
        ]
        rows.append(HeatRow(label=label, cells=cells, total=total))
    return labels, rows


def _mistakes(table: list[Mapping[str, Any]]) -> list[Mapping[str, str]]:
    ranked = sorted(table, key=lambda row: -float(row.get("confidence") or 0))[:12]
    return [
        {
            "text": str(row["text"]),
            "expected": str(row["expected"]),
            "got": str(row["got"]),
            "confidence": f"{float(row['confidence']):.2f}" if row.get("confidence") is not None else form.NOTHING,
        }
        for row in ranked
    ]


def _reliability(table: list[Mapping[str, Any]]) -> str:
    bins: list[tuple[float, float, float | None, float | None, int]] = []
    for row in table:
        if row["n"] and row["accuracy"] is not None:
            rate = wilson(round(row["accuracy"] * row["n"]), int(row["n"]))
            bins.append((float(row["confidence"]), float(row["accuracy"]), rate.low, rate.high, rate.n))
    return charts.reliability(bins)


def _percentiles(table: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Bucket ends at p50, p90, p95, p99 and the largest; a percentile that failed turns reach is infinite."""
    rows: list[list[str]] = []
    for name, histogram in table.items():
        curve = _curve(histogram)
        found = [next((form.seconds(x) for x, share in curve if share >= q - 1e-12), "infinite") for q in QUANTILES]
        largest = "infinite" if histogram["infinite"] else form.seconds(curve[-1][0]) if curve else form.NOTHING
        rows.append([_named(name), *found, largest, form.count(int(histogram["count"]))])
    return rows


def _curve(histogram: Mapping[str, Any]) -> list[tuple[float, float]]:
    """`(seconds, share of all turns answered by then)`, ascending."""
    total, running = int(histogram["count"]), 0
    curve: list[tuple[float, float]] = []
    for _, upper, count in histogram["rows"]:
        running += int(count)
        curve.append((float(upper), running / total))
    return curve


def _named(name: str) -> str:
    return {"response_s": "answer", "ttft_s": "first token"}.get(name, name.removesuffix("_s").replace("_", " "))


def _ecdf(table: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        charts.Series(name=_named(name), style=STYLES[index % len(STYLES)], points=_curve(histogram))
        for index, (name, histogram) in enumerate(table.items())
    ]
    return charts.ecdf(lines)


def _series(table: list[Mapping[str, Any]]) -> str:
    names = (("due", "base dash"), ("answered", "cand"), ("correct", "ok"), ("errors", "bad"))
    lines = [
        charts.Series(name=name, style=style, points=[(float(row["t_s"]), row.get(name)) for row in table])
        for name, style in names
        if any(row.get(name) is not None for row in table)
    ]
    return charts.timeline(lines, y_name="Turns per second", form=lambda y: f"{y:g}")


def _p95_series(table: list[Mapping[str, Any]]) -> str:
    names = (("response_p50_s", "base dash"), ("response_p95_s", "cand"))
    lines = [
        charts.Series(name=name, style=style, points=[(float(row["t_s"]), row.get(name)) for row in table])
        for name, style in names
    ]
    return charts.timeline(lines, y_name="Answer time by second", form=lambda y: form.seconds(y) if y else "0")


def _stages(table: Mapping[str, float]) -> str:
    rows = [(name.removesuffix("_s"), float(mean), form.seconds(float(mean))) for name, mean in table.items()]
    return charts.bars(sorted(rows, key=lambda row: -row[1]), name="Mean time by stage")


def _outcomes(table: Mapping[str, Any]) -> str:
    answered = int(table["turns"]["answered"])
    return charts.bars(charts.counts_of({"answered": answered, **table["errors"]}), name="Loaded turns by outcome")
