"""What one play of one card left to judge: turns with answers, routes, tool calls, citations and timings.

A transcript is built from the wire events of each turn, or from whatever a plain callable returned. `Visible` says what the target
can show; an evaluator never reads what is not visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from assistant.wire import (
    CitationEvent,
    DoneEvent,
    ErrorEvent,
    Event,
    HandoffEvent,
    RouteEvent,
    ToolCallEvent,
    ToolResultEvent,
    UsageEvent,
)


@dataclass(frozen=True, kw_only=True)
class Visible:
    """What a play can show beside the text of its answers; `judge`: a model judges them."""

    route: bool = False
    tools: bool = False
    citations: bool = False
    outcome: bool = False
    state: bool = False
    timings: bool = False
    judge: bool = False


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """`ok` null: the call got no result."""

    tool: str
    arguments: Mapping[str, Any]
    ok: bool | None = None
    result: Any = None
    duration_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Citation:
    document: str
    passage: str
    quote: str = ""
    exists: bool = True


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One user message and what came back. `error` is set when no answer came. Where several agents answered, `route` is the first one's and holds those of
    the others under `also`, in the order of their answers."""

    user: str
    text: str
    agent: str | None = None
    outcome: str | None = None
    route: Mapping[str, Any] | None = None
    handoff: Mapping[str, Any] | None = None
    tool_calls: Sequence[ToolCall] = ()
    citations: Sequence[Citation] = ()
    usage: Mapping[str, Any] | None = None
    timings: Mapping[str, float] = field(default_factory=dict[str, float])
    duration_s: float | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What `judge` said of one turn (1-based) by `rubric` (name, version, digest): `pass` or `fail`, null when there is no verdict, and then
    `error` says why."""

    check: str
    turn: int
    said: str | None
    score: float | None = None
    reason: str = ""
    error: str = ""
    rubric: str = ""
    judge: str = ""


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """All turns of one card and repeat. `fault` names what stopped the play: `agent_error`, `timeout`, `simulator_error` or `infra_error`.

    `ended` is why a simulated user stopped: `reached`, `left` or `max_turns`; null for fixed turns. `again_in_s`: the fault may pass, so another
    attempt is worth making after so many seconds; with `limited` the target asked for fewer at once. `attempts` counts all that were made.
    """

    card: str
    repeat: int
    turns: Sequence[Turn]
    visible: Visible
    state: Mapping[str, Mapping[str, Any]] | None = None
    thread_id: str | None = None
    fault: str | None = None
    fault_reason: str = ""
    ended: str | None = None
    again_in_s: float | None = None
    limited: bool = False
    attempts: int = 1
    verdicts: Sequence[Verdict] = ()


def turn_from_events(user: str, events: Sequence[Event], duration_s: float | None) -> Turn:
    """Fold the wire events of one turn. A stream without `done` gives a turn with `error`."""
    done = next((event for event in events if isinstance(event, DoneEvent)), None)
    failure = next((event for event in events if isinstance(event, ErrorEvent)), None)
    handoff = next((event for event in events if isinstance(event, HandoffEvent)), None)
    usage = next((event for event in events if isinstance(event, UsageEvent)), None)
    error = failure.message if failure else None
    if done is None and error is None:
        error = "the stream ended without a `done` event"
    return Turn(
        user=user,
        text=done.text if done else "",
        agent=done.agent if done else None,
        outcome=done.outcome if done else None,
        route=_route(events),
        handoff=handoff.model_dump(exclude={"id", "t_s", "type"}) if handoff else None,
        tool_calls=_tool_calls(events),
        citations=[
            Citation(document=event.document, passage=event.passage, quote=event.quote, exists=event.exists)
            for event in events
            if isinstance(event, CitationEvent)
        ],
        usage=usage.model_dump(exclude={"id", "t_s", "type"}) if usage else None,
        timings=dict(done.timings) if done else {},
        duration_s=duration_s,
        error=error,
    )


def _route(events: Sequence[Event]) -> dict[str, Any] | None:
    routes = [event.model_dump(exclude={"id", "t_s", "type"}) for event in events if isinstance(event, RouteEvent)]
    if not routes:
        return None
    return routes[0] | ({"also": routes[1:]} if len(routes) > 1 else {})


def _tool_calls(events: Sequence[Event]) -> list[ToolCall]:
    results = {event.call_id: event for event in events if isinstance(event, ToolResultEvent)}
    calls: list[ToolCall] = []
    for event in events:
        if isinstance(event, ToolCallEvent):
            result = results.get(event.call_id)
            calls.append(
                ToolCall(
                    tool=event.tool,
                    arguments=event.arguments,
                    ok=result.ok if result else None,
                    result=result.result if result else None,
                    duration_s=result.duration_s if result else None,
                )
            )
    return calls


def transcript_to_json(transcript: Transcript) -> dict[str, Any]:
    return asdict(transcript)


def transcript_from_json(data: Mapping[str, Any]) -> Transcript:
    """Inverse of `transcript_to_json`. Raises `TypeError` or `KeyError` on a foreign shape."""
    plain = {name: value for name, value in data.items() if name not in {"turns", "visible", "verdicts"}}
    verdicts = tuple(Verdict(**verdict) for verdict in data.get("verdicts", ()))
    turns = [turn_from_json(turn) for turn in data["turns"]]
    return Transcript(turns=turns, visible=Visible(**data["visible"]), verdicts=verdicts, **plain)


_PLAIN_FIELDS = frozenset(item.name for item in fields(Turn)) - {"tool_calls", "citations"}


def turn_from_json(data: Mapping[str, Any]) -> Turn:
    plain = {name: value for name, value in data.items() if name in _PLAIN_FIELDS}
    return Turn(
        tool_calls=[ToolCall(**call) for call in data.get("tool_calls", ())],
        citations=[Citation(**citation) for citation in data.get("citations", ())],
        **plain,
    )
