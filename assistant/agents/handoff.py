"""Who answers next: the router's decision within what the pack allows, and what an answer leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from pydantic import JsonValue
from pydantic_ai import ModelMessage, ModelRequest, ModelResponse, ToolReturnPart
from pydantic_core import PydanticSerializationError, to_jsonable_python

from assistant.pack import Pack
from assistant.routing import NO_AGENT, Decision


@dataclass(frozen=True, kw_only=True)
class Route:
    """`agent` answers, `NO_AGENT` for nobody. `handoff_from` is set when a specialist gives the conversation to another."""

    decision: Decision
    agent: str
    handoff_from: str | None


def settle(decision: Decision, *, current: str | None, pack: Pack) -> Route:
    """A decision the pack's hand-off rules forbid leaves the conversation where it is."""
    if current is None or decision.agent in (current, NO_AGENT):
        return Route(decision=decision, agent=decision.agent, handoff_from=None)
    if not pack.may_hand_off(current, decision.agent):
        return Route(decision=_kept(decision, current), agent=current, handoff_from=None)
    return Route(decision=decision, agent=decision.agent, handoff_from=current)


def _kept(decision: Decision, current: str) -> Decision:
    others = [(name, share) for name, share in decision.alternatives if name != current]
    share = dict(decision.alternatives).get(current, 0.0)
    alternatives = sorted([*others, (decision.agent, decision.confidence)], key=lambda item: -item[1])
    return replace(decision, agent=current, confidence=share, alternatives=alternatives, stage="sticky")


def open_question(messages: Sequence[ModelMessage]) -> dict[str, JsonValue] | None:
    """What the next user message is expected to answer: what the model says it asked, else `next` of the last tool result."""
    for message in reversed(messages):
        if isinstance(message, ModelResponse):
            asked = _asked(message.provider_details or {})
            if asked is not None:
                return asked
        if isinstance(message, ModelRequest):
            results = [part for part in message.parts if isinstance(part, ToolReturnPart)]
            if results:
                return _next(results[-1])
    return None


def _asked(details: Mapping[str, object]) -> dict[str, JsonValue] | None:
    """A model tells of its own question under `asked`, at the top or inside its own section."""
    for place in (details, *details.values()):
        if isinstance(place, Mapping) and isinstance(found := cast("Mapping[str, object]", place).get("asked"), Mapping):
            return _json(cast("Mapping[str, object]", found))
    return None


def _next(result: ToolReturnPart) -> dict[str, JsonValue] | None:
    if result.outcome != "success" or not isinstance(result.content, Mapping):
        return None
    following = cast("Mapping[str, object]", result.content).get("next")
    return _json(cast("Mapping[str, object]", following)) if isinstance(following, Mapping) else None


def _json(value: Mapping[str, object]) -> dict[str, JsonValue] | None:
    try:
        return cast("dict[str, JsonValue]", to_jsonable_python(dict(value)))
    except PydanticSerializationError:
        return None
