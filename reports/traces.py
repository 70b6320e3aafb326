"""Transcripts as traces: one per card, with spans for turns, routes, tools; plain values that any tracker can store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reports.records import UNJUDGED_STATES, Slot

SpanKind = Literal["CHAIN", "AGENT", "TOOL", "RETRIEVER"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """Times in seconds from the trace's start. `parent` is the index of the parent span, null for the root."""

    name: str
    kind: SpanKind
    parent: int | None
    start_s: float
    end_s: float
    inputs: Any
    outputs: Any
    ok: bool = True
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """One evaluator's word on a trace: `passed` is null when it could not judge, then `error` names the state."""

    name: str
    passed: bool | None
    error: str
    rationale: str


@dataclass(frozen=True, kw_only=True)
class CardTrace:
    trace_id: str
    card: str
    repeat: int
    ok: bool
    spans: list[Span]
    assessments: list[Assessment]
    tags: Mapping[str, str]


def trace_id(run_id: str, card: str, repeat: int) -> str:
    """The id a repeat's trace gets in the tracker: the same for the same run, card and repeat."""
    return "tr-" + hashlib.sha256(f"{run_id}\0{card}\0{repeat}".encode()).hexdigest()[:32]


def card_traces(run_id: str, slots: Iterable[Slot], transcripts: Iterable[Mapping[str, Any]]) -> list[CardTrace]:
    """One trace per card: its first repeat that did not pass, else its first repeat. Cards without a transcript have none."""
    judged: dict[str, dict[int, list[Slot]]] = {}
    for slot in slots:
        if slot.suite == "cards":
            judged.setdefault(slot.card, {}).setdefault(slot.repeat, []).append(slot)
    wanted = {(card, _telling(repeats)) for card, repeats in judged.items()}
    return [
        _trace(run_id, row, judged[row["card"]][row["repeat"]]) for row in transcripts if (row["card"], row["repeat"]) in wanted
    ]


def _telling(repeats: Mapping[int, list[Slot]]) -> int:
    bad = (repeat for repeat in sorted(repeats) if any(slot.state != "pass" and not slot.advisory for slot in repeats[repeat]))
    return next(bad, min(repeats))


def _trace(run_id: str, row: Mapping[str, Any], slots: list[Slot]) -> CardTrace:
    spans = _spans(row)
    ok = all(slot.state == "pass" for slot in slots if not slot.advisory)
    stages = [slot.stage for slot in slots if slot.stage and slot.state != "pass"]
    labels = {f"assay.{name}": value for name, value in (slots[0].labels if slots else {}).items()}
    return CardTrace(
        trace_id=trace_id(run_id, row["card"], row["repeat"]),
        card=row["card"],
        repeat=row["repeat"],
        ok=ok,
        spans=spans,
        assessments=[_assessment(slot) for slot in slots],
        tags={
            **labels,
            "assay.card": row["card"],
            "assay.passed": "yes" if ok else "no",
            **({"assay.blamed": stages[0]} if stages else {}),
        },
    )


def _assessment(slot: Slot) -> Assessment:
    unjudged = slot.state in UNJUDGED_STATES
    return Assessment(
        name=slot.evaluator,
        passed=None if unjudged else slot.state == "pass",
        error=slot.state if unjudged else "",
        rationale=slot.reason or (slot.state if slot.state not in ("pass", "fail") else ""),
    )


def _spans(row: Mapping[str, Any]) -> list[Span]:
    """Turns follow each other without the pauses between them; within a turn, route, then tools, in order."""
    turns: list[Mapping[str, Any]] = list(row.get("turns") or [])
    total = sum(_seconds(turn.get("duration_s")) for turn in turns)
    first, last = (turns[0].get("user"), turns[-1].get("text")) if turns else (None, None)
    spans = [Span(name=row["card"], kind="CHAIN", parent=None, start_s=0.0, end_s=total, inputs=first, outputs=last)]
    start = 0.0
    for number, turn in enumerate(turns, start=1):
        end = start + _seconds(turn.get("duration_s"))
        spans.append(_turn_span(number, turn, start, end))
        spans += _stage_spans(turn, len(spans) - 1, start)
        start = end
    return spans


def _turn_span(number: int, turn: Mapping[str, Any], start: float, end: float) -> Span:
    shown = {name: turn.get(name) for name in ("usage", "timings", "citations", "outcome", "error") if turn.get(name)}
    return Span(
        name=f"turn {number}: {turn.get('agent') or 'unknown agent'}",
        kind="AGENT",
        parent=0,
        start_s=start,
        end_s=end,
        inputs=turn.get("user"),
        outputs=turn.get("text"),
        ok=not turn.get("error"),
        attributes=shown,
    )


def _stage_spans(turn: Mapping[str, Any], parent: int, start: float) -> list[Span]:
    spans: list[Span] = []
    route: Mapping[str, Any] = turn.get("route") or {}
    if route:
        end = start + _seconds(route.get("duration_s"))
        spans.append(
            Span(
                name="route", kind="CHAIN", parent=parent, start_s=start, end_s=end, inputs=turn.get("user"), outputs=dict(route)
            )
        )
        start = end
    for call in turn.get("tool_calls") or []:
        end = start + _seconds(call.get("duration_s"))
        ok = bool(call.get("ok", True))
        spans.append(
            Span(
                name=str(call.get("tool")),
                kind="TOOL",
                parent=parent,
                start_s=start,
                end_s=end,
                inputs=call.get("arguments"),
                outputs=call.get("result"),
                ok=ok,
            )
        )
        start = end
    return spans


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
