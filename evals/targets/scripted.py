"""A target that plays from a script: each card's reference, its sabotage, or a YAML file of solutions.

A shipped product feature, not only a test double: it proves that a card's checks can pass and can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from evals.cards import Card, ScriptedTurn, Solution
from evals.catalog import validation_faults
from evals.errors import UsageError
from evals.goals import Goal
from evals.simulation.progress import how_ended, tree_reply
from evals.transcript import Citation, ToolCall, Transcript, Turn, Visible

ALL_VISIBLE = Visible(route=True, tools=True, citations=True, outcome=True, state=True, timings=True)
_SOLUTIONS: TypeAdapter[dict[str, Solution]] = TypeAdapter(dict[str, Solution])


class ScriptedTarget:
    visible = ALL_VISIBLE
    deterministic = True

    def __init__(self, solve: Callable[[Card], Solution]) -> None:
        self._solve = solve

    async def play(self, card: Card, repeat: int) -> Transcript:
        return scripted_transcript(card, self._solve(card), repeat)


def from_file(path: Path) -> ScriptedTarget:
    """Solutions by card id from YAML; a card without one gets silence. Raises `UsageError`."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        solutions: Mapping[str, Solution] = _SOLUTIONS.validate_python(data)
    except OSError as error:
        raise UsageError(f"scripted:{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"scripted:{path}: not valid YAML") from error
    except ValidationError as error:
        raise UsageError("\n".join(f"scripted:{path}: {fault}" for fault in validation_faults(error, Solution))) from error
    return ScriptedTarget(lambda card: solutions.get(card.id) or Solution(turns=[ScriptedTurn()] * len(card.turns)))


def reference_of(card: Card) -> Solution:
    return card.reference


def sabotage_of(card: Card) -> Solution:
    """The reference with the sabotage's turns and state in place."""
    turns = [card.sabotage.turns.get(number, turn) for number, turn in enumerate(card.reference.turns, 1)]
    state = card.reference.state if card.sabotage.state is None else card.sabotage.state
    return Solution(turns=turns, state=state)


def scripted_transcript(card: Card, solution: Solution, repeat: int = 0) -> Transcript:
    """The solution as a play. Of a goal card the scripted user finds its own words; where it finds none the play ends in its fault."""
    if card.goal is not None:
        return _pursued(card, card.goal, solution, repeat)
    turns: list[Turn] = []
    previous: str | None = None
    for spec, scripted in zip(card.turns, solution.turns, strict=False):
        turns.append(_turn(spec.user, scripted, previous))
        if scripted.agent not in (None, "none"):
            previous = scripted.agent
    return Transcript(card=card.id, repeat=repeat, turns=turns, visible=ALL_VISIBLE, state=_state(solution))


def _pursued(card: Card, goal: Goal, solution: Solution, repeat: int) -> Transcript:
    """Without a tree the user says no more than that it is still there; a solution that runs out is silent."""
    turns: list[Turn] = []
    message: str | None = card.turns[0].user
    ended, previous = None, None
    while message is not None and ended is None:
        at = len(turns)
        scripted = solution.turns[at] if at < len(solution.turns) else ScriptedTurn()
        turns.append(_turn(message, scripted, previous))
        previous = previous if scripted.agent in (None, "none") else scripted.agent
        ended = how_ended(goal, turns, solution.state if at + 1 >= len(solution.turns) else None)
        message = tree_reply(goal.tree, [turn.text for turn in turns]) if goal.tree else "And?"
    lost = ended is None
    return Transcript(
        card=card.id,
        repeat=repeat,
        turns=turns,
        visible=ALL_VISIBLE,
        state=_state(solution),
        ended=ended,
        fault="simulator_error" if lost else None,
        fault_reason=f"simulated user (tree): its tree has no reply to {turns[-1].text!r}" if lost else "",
    )


def _state(solution: Solution) -> dict[str, dict[str, Any]]:
    return {name: dict(rows) for name, rows in solution.state.items()}


def _turn(user: str, scripted: ScriptedTurn, previous: str | None) -> Turn:
    moved = previous is not None and scripted.agent not in (None, "none", previous)
    places = [place.partition("#") for place in scripted.cite]
    return Turn(
        user=user,
        text=scripted.text,
        agent=scripted.agent,
        outcome=scripted.outcome,
        handoff={"from_agent": previous, "to_agent": scripted.agent, "duration_s": 0.0} if moved else None,
        tool_calls=[
            ToolCall(tool=tool.name, arguments=tool.arguments, ok=tool.ok, result=tool.result) for tool in scripted.tools
        ],
        citations=[Citation(document=document, passage=passage) for document, _, passage in places],
        duration_s=0.0,
    )
