"""All finished runs of a folder, newest first, for people who browse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from reports import format as form
from reports.charts import trend
from reports.gates.metrics import describe_metric
from reports.gates.verdict import VerdictError, VerdictWord, read_verdict
from reports.records import Record, RecordError, read_record

SHOWN = (
    "cards.pass_rate",
    "routing.accuracy",
    "load.response.p95_s",
    "load.ttft.p95_s",
    "load.correct_goodput_per_s",
    "turn.overhead.p95_s",
)
"""Metrics with a column and a chart, where any run measured them."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """`page` is the report's address relative to the index; empty when there is none. `verdict` is null where it cannot be read."""

    run_id: str
    page: str
    created: str
    tier: str
    pack: str
    target: str
    commit: str
    verdict: VerdictWord | None
    sentence: str
    values: list[str]


@dataclass(frozen=True, kw_only=True)
class TrendRow:
    title: str
    chart: str


@dataclass(frozen=True, kw_only=True)
class RunIndex:
    """`unreadable` names folders whose record cannot be read, with the reason."""

    columns: list[str]
    rows: list[RunRow]
    trends: list[TrendRow]
    unreadable: list[tuple[str, str]]


def index_runs(runs: Path) -> RunIndex:
    """Read every run folder under `runs`. A broken one is listed with its fault and hides no other."""
    found: list[tuple[Path, Record]] = []
    unreadable: list[tuple[str, str]] = []
    for path in sorted(runs.glob("*/record.json")):
        try:
            found.append((path.parent, read_record(path)))
        except RecordError as error:
            unreadable.append((path.parent.name, str(error)))
    found.sort(key=lambda pair: (pair[1].created_at, pair[1].run_id), reverse=True)
    columns = [name for name in SHOWN if any(record.metrics.get(name) for _, record in found)]
    return RunIndex(
        columns=[describe_metric(name).title for name in columns],
        rows=[_row(folder, record, columns) for folder, record in found],
        trends=_trends([record for _, record in reversed(found)], columns),
        unreadable=unreadable,
    )


def _row(folder: Path, record: Record, columns: Sequence[str]) -> RunRow:
    try:
        verdict = read_verdict(folder / "verdict.json")
        word, sentence = verdict.verdict, verdict.sentence
    except VerdictError as error:
        word, sentence = None, str(error)
    return RunRow(
        run_id=record.run_id,
        page=f"./{quote(folder.name)}/report.html" if (folder / "report.html").is_file() else "",
        created=form.moment(record.created_at),
        tier=record.tier,
        pack=record.pack,
        target=record.target,
        commit=(record.provenance.commit or "unknown")[:7],
        verdict=word,
        sentence=sentence,
        values=[
            form.quantity(estimate.value, describe_metric(name).unit) if (estimate := record.metrics.get(name)) else form.NOTHING
            for name in columns
        ],
    )


def _trends(records: Sequence[Record], columns: Sequence[str]) -> list[TrendRow]:
    """Charts of the tier with the most runs: tiers load differently, and their figures do not belong on one line."""
    tiers = [record.tier for record in records]
    if not tiers:
        return []
    tier = max(sorted(set(tiers)), key=tiers.count)
    rows: list[TrendRow] = []
    for name in columns:
        metric = describe_metric(name)
        values = [
            estimate.value
            for record in records
            if record.tier == tier and (estimate := record.metrics.get(name)) and estimate.value is not None
        ]
        if len(values) > 1:
            chart = trend(values, [], name=metric.title, unit=metric.unit)
            rows.append(TrendRow(title=f"{metric.title}, {tier} runs", chart=chart))
    return rows
