"""The measured sections of a report, drawn from a record's tables; a table of another shape is left out and named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reports import charts
from reports import format as form
from reports.records import Record


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

    def draw[T](name: str, function: Callable[[Any], T], empty: T) -> T:
        if name not in record.tables:
            return empty
        try:
            return function(record.tables[name])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
            skipped.append(f"{name} ({type(error).__name__}: {error})")
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
        outcomes=draw("outcomes", _outcomes, ""),
        skipped=skipped,
    )
