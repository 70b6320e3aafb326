"""The span tree that pydantic-evals' evaluators read, built from a transcript, so that tracing need not be on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pydantic_evals.otel.span_tree import SpanNode, SpanTree

from evals.transcript import Transcript, Turn

TRACE_ID = 1
FAILED = "error.type"
_START = datetime(1970, 1, 1, tzinfo=UTC)


def span_tree(transcript: Transcript) -> SpanTree:
    """One root per turn with a span for each model request and each tool call below it, named and attributed as pydantic-ai's own
    (`chat MODEL`, `execute_tool NAME`). Durations are the transcript's, and what it does not know lasts 0 s; starts are counted from 1970, one turn
    after another. Whether tools are visible at all is for the plan to know: an empty tree means that none was called."""
    tree = SpanTree()
    tree.add_spans(list(_spans(transcript)))
    return tree


def _spans(transcript: Transcript) -> Iterator[SpanNode]:
    number, at = 0, _START
    for index, turn in enumerate(transcript.turns, 1):
        number += 1
        root, ends = number, at + timedelta(seconds=turn.duration_s or 0.0)
        yield _node(root, None, f"invoke_agent {turn.agent or 'assistant'}", (at, ends), _of_turn(turn, index))
        step = at
        for name, seconds, attributes in _steps(turn):
            number += 1
            after = step + timedelta(seconds=seconds)
            yield _node(number, root, name, (step, after), attributes)
            step = after
        at = max(ends, step)


def _steps(turn: Turn) -> Iterator[tuple[str, float, dict[str, str]]]:
    """Model requests before each tool call and one for the answer, as many as the usage tells, then the tools between them."""
    usage = turn.usage or {}
    model = str(usage.get("model") or "unknown")
    requests = int(usage.get("model_calls") or 0)
    per_request = turn.timings.get("model_s", 0.0) / requests if requests else 0.0
    chat = ("chat " + model, per_request, {"gen_ai.operation.name": "chat", "gen_ai.request.model": model})
    for call in turn.tool_calls:
        if requests > 1:
            requests -= 1
            yield chat
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.tool,
            "gen_ai.tool.call.arguments": json.dumps(dict(call.arguments), sort_keys=True),
        }
        if call.ok is False:
            attributes[FAILED] = "tool"
        yield f"execute_tool {call.tool}", call.duration_s or 0.0, attributes
    for _ in range(requests):
        yield chat


def _of_turn(turn: Turn, index: int) -> dict[str, str]:
    known = {"assay.turn": str(index), "gen_ai.agent.name": turn.agent or "", "assay.outcome": turn.outcome or ""}
    return {name: value for name, value in known.items() if value}


def _node(number: int, parent: int | None, name: str, times: tuple[datetime, datetime], attributes: dict[str, str]) -> SpanNode:
    return SpanNode(
        name=name,
        trace_id=TRACE_ID,
        span_id=number,
        parent_span_id=parent,
        start_timestamp=times[0],
        end_timestamp=times[1],
        attributes=dict(attributes),
        status="error" if FAILED in attributes else "ok",
    )
