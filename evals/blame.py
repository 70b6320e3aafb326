"""The first stage that went wrong in a failed play: a wrong answer is a symptom, the wrong agent behind it the cause.

The first turn that broke an expectation is compared with the card's reference in the order a turn is made: the agent, the tools it
called, a tool that failed, the passages it found, then the answer. The first difference is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from evals.cards import Card, CardTurn, ScriptedTurn
from evals.transcript import Transcript, Turn, Visible
from reports.records import Slot, Stage

SEARCH = "search_knowledge"
_TURN = re.compile(r"\bturn (\d+)\b")
_BUDGETS = frozenset({"budgets"})


def blamed(card: Card, transcript: Transcript, slots: Sequence[Slot]) -> list[Slot]:
    """The play's slots, each failed one with the stage that went wrong first. A broken budget keeps its own."""
    failed = [slot for slot in slots if slot.state == "fail" and slot.evaluator not in _BUDGETS and not slot.advisory]
    turns = [int(number) for slot in failed for number in _TURN.findall(slot.reason)[:1]]
    if not failed or card.goal is not None or not turns:
        return list(slots)
    first = min(turns)
    stage = _difference(card, transcript, first - 1)
    at_first = [slot for slot in failed if _TURN.search(slot.reason) and int(_TURN.findall(slot.reason)[0]) == first]
    if stage is None:
        stage = min((slot.stage for slot in at_first if slot.stage), key=_ORDER.index, default=None)
    return [replace(slot, stage=stage) if slot in failed and stage else slot for slot in slots]


_ORDER: tuple[Stage, ...] = ("network", "routing", "tool", "retrieval", "model", "judge")


def _difference(card: Card, transcript: Transcript, at: int) -> Stage | None:
    if at >= min(len(transcript.turns), len(card.turns), len(card.reference.turns)):
        return None
    spec, wanted, turn, shown = card.turns[at], card.reference.turns[at], transcript.turns[at], transcript.visible
    if shown.route and turn.agent not in _agents(spec, wanted):
        return "routing"
    if shown.tools and _tools_differ(wanted, turn):
        return "tool"
    if _passages_missed(wanted, turn, shown):
        return "retrieval"
    return None


def _agents(spec: CardTurn, wanted: ScriptedTurn) -> set[str | None]:
    expected = spec.expect.agent if spec.expect.agent is not None else wanted.agent
    return {*expected} if isinstance(expected, list) else {expected}


def _tools_differ(wanted: ScriptedTurn, turn: Turn) -> bool:
    """A tool of the reference was not called, or one failed that works there. Calls beside them may be harmless."""
    called = {call.tool for call in turn.tool_calls}
    works = {tool.name for tool in wanted.tools if tool.ok}
    missing = {tool.name for tool in wanted.tools} - called - {SEARCH}
    broken = {call.tool for call in turn.tool_calls if call.ok is False} - {tool.name for tool in wanted.tools if not tool.ok}
    return bool(missing or broken & (works | {SEARCH}))


def _passages_missed(wanted: ScriptedTurn, turn: Turn, shown: Visible) -> bool:
    """The search ran and none of the reference's documents is among what it found."""
    documents = {cited.partition("#")[0] for cited in wanted.cite}
    searches = [call for call in turn.tool_calls if call.tool == SEARCH and call.ok is not False]
    if not (shown.tools and documents and searches):
        return False
    found = str([call.result for call in searches])
    return not any(document in found for document in documents)
