"""Writes the pages: of a run folder, of two runs side by side, of the drift over many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports import compare_view as view
from reports import drift_view
from reports import format as form
from reports.advice import advice
from reports.compare import Comparison
from reports.drift import LEAST_EFFECT, Drift
from reports.failures import anchor, failures
from reports.gates.verdict import EXIT_CODES, Verdict, read_verdict
from reports.history import HistoryError, Promotion, read_history
from reports.index import index_runs
from reports.junit import CardRepeats, clean, read_repeats, write_junit
from reports.recent import comparable_runs, earlier_runs, recent_values
from reports.records import Record, read_record, read_slots
from reports.sections import sections
from reports.views import VERDICT_ICONS, facts, gate_groups, gate_rows, slot_table, tally, ungated

STOPPING = ("fail", "invalid", "inconclusive")


def render_run(folder: Path, repeats: CardRepeats | None = None) -> None:
    """Render a run folder from its `record.json`, `slots.jsonl`, `transcripts.jsonl` and `verdict.json`.

    `repeats` are those of its slots, where somebody has just read them.

    Files are replaced whole. The page needs no other file and no network. Raises `RecordError` or `VerdictError` when an input
    cannot be read.
    """
    record, verdict = read_record(folder / "record.json"), read_verdict(folder / "verdict.json")
    values = _values(folder, record, verdict)
    pages = {"report.html": "report.html.j2", "summary.md": "summary.md.j2"}
    for name, template in pages.items():
        _replace(folder / name, clean(_environment().get_template(template).render(values)).encode())
    draft = folder / "junit.xml.part"
    with draft.open("wb") as file:
        write_junit(file, repeats or read_repeats(read_slots(folder / "slots.jsonl")), verdict)
    draft.replace(folder / "junit.xml")


def render_comparison(found: Comparison, page: Path) -> None:
    """Write one page on two runs, replacing it whole."""
    values = {
        "found": found,
        "headline": view.headline(found),
        "paired": view.paired_words(found),
        "gates": view.gate_cells(found),
        "cards": view.changed_cards(found),
        "stages": view.stage_rows(found),
        "usage": view.usage_rows(found),
        "metrics": view.metric_rows(found),
    }
    page.parent.mkdir(parents=True, exist_ok=True)
    _replace(page, clean(_environment().get_template("compare.html.j2").render(values)).encode())


def render_drift(found: Sequence[Drift], tier: str, page: Path) -> None:
    """Write one page on the drift of all metrics, replacing it whole."""
    moments = sorted({(point.created_at, point.run_id) for drift in found for point in drift.points})
    values = {
        "tier": tier,
        "runs": len(moments),
        "first": form.moment(moments[0][0]) if moments else form.NOTHING,
        "last": form.moment(moments[-1][0]) if moments else form.NOTHING,
        "headline": drift_view.headline(found),
        "least": form.share(LEAST_EFFECT),
        "rows": drift_view.drift_rows(found),
        "quiet": [drift.metric for drift in found if drift.enough and not drift.changes],
        "short": [drift.metric for drift in found if not drift.enough],
    }
    page.parent.mkdir(parents=True, exist_ok=True)
    _replace(page, clean(_environment().get_template("drift.html.j2").render(values)).encode())


def render_routing(values: Mapping[str, Any], page: Path) -> None:
    """Write one page on a measured router, replacing it whole; `values` are those of `routing.html.j2`."""
    page.parent.mkdir(parents=True, exist_ok=True)
    _replace(page, clean(_environment().get_template("routing.html.j2").render(values)).encode())


def render_operations(values: Mapping[str, Any], page: Path) -> None:
    """Write one page on stored turns, replacing it whole; `values` are those of `reports.ops_view.page_values`."""
    page.parent.mkdir(parents=True, exist_ok=True)
    _replace(page, clean(_environment().get_template("ops.html.j2").render(values)).encode())


def render_index(runs: Path) -> Path:
    """Write `index.html` over all run folders of `runs`."""
    index = index_runs(runs)
    words = [row.verdict for row in index.rows]
    told = [f"{words.count(word)} {word}" for word in EXIT_CODES if word in words]
    values = {
        "index": index,
        "icons": VERDICT_ICONS,
        "headline": f"{form.plural(len(words), 'runs')}: {', '.join(told) or 'no verdict'}.",
    }
    page = runs / "index.html"
    _replace(page, clean(_environment().get_template("index.html.j2").render(values)).encode())
    return page


def _values(folder: Path, record: Record, verdict: Verdict) -> dict[str, Any]:
    earlier, unread = _earlier(folder, record)
    rows = gate_rows(verdict, lambda metric: recent_values(metric, record, earlier))
    table = record.tables.get("cards")
    about = {str(row.get("card")): row for row in table if isinstance(row, dict)} if isinstance(table, list) else {}
    states, slots = slot_table(record)
    return {
        "record": record,
        "verdict": verdict,
        "icon_name": VERDICT_ICONS[verdict.verdict],
        "faults": verdict.reasons[: len(verdict.reasons) - sum(row.state in STOPPING for row in rows)],
        "facts": facts(record, verdict),
        "rows": rows,
        "has_past": any(row.past for row in rows),
        "unread": unread,
        "groups": gate_groups(rows),
        "stopping": [row for row in rows if row.state in STOPPING],
        "tally": tally(rows),
        "failures": failures(folder, verdict, about),
        "sections": sections(record),
        "advice": advice(record, comparable_runs("cards.pass_rate", record, earlier), {row.card for row in verdict.failures}),
        "ungated": ungated(record, verdict),
        "needs_llm": [card for card, row in about.items() if row.get("requires")],
        "known": [(card, row["known_issue"]) for card, row in about.items() if row.get("known_issue")],
        "cards_total": len(about),
        "slot_states": states,
        "slot_rows": slots,
        "finished": form.moment(record.created_at),
        "provenance": _provenance(record),
    }


def _earlier(folder: Path, record: Record) -> tuple[list[Promotion], str]:
    """Accepted runs before this one; a history that cannot be read costs only its drawing, and says so."""
    try:
        return earlier_runs(record, read_history(folder.parent)), ""
    except HistoryError as error:
        return [], str(error)


def _provenance(record: Record) -> list[tuple[str, Mapping[str, object]]]:
    origin = record.provenance
    tree = {True: "yes", False: "no", None: "unknown"}[origin.dirty]
    build = {"commit": origin.commit or "unknown", "uncommitted changes": tree, "model": origin.model, "target": record.target}
    return [
        ("Build", build),
        ("Machine", origin.machine),
        ("Versions", origin.versions),
        ("Digests", origin.digests),
        ("Seeds", origin.seeds),
        ("Load", origin.load),
    ]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=lambda name: bool(name) and not str(name).endswith(".md.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = cast("dict[str, Any]", environment.filters)
    filters.update(number=form.count, plural=form.plural, anchor=anchor, cell=_cell)
    return environment


def _cell(text: str) -> str:
    """Text safe inside a Markdown table: one line, no markup, no cell border."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([|\\`*_\[\]])", r"\\\1", flat)


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.part")
    draft.write_bytes(content)
    draft.replace(path)
