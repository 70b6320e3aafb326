"""How far a conversation with a simulated user has come, and what its script says next. Pure: the turns so far decide everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from evals.cards import Card
from evals.conversation import State
from evals.evaluators.actions import contains
from evals.evaluators.text import says
from evals.goals import Goal, Phrase, Tree
from evals.transcript import Turn

Ended = Literal["reached", "left", "max_turns"]


def how_ended(goal: Goal, turns: Sequence[Turn], state: State | None) -> Ended | None:
    """`reached` or `max_turns`; null while the conversation goes on. An unknown state holds no row."""
    if turns and _reached(goal, turns[-1].text, state or {}):
        return "reached"
    return "max_turns" if len(turns) >= goal.max_turns else None


def tree_reply(tree: Tree, answers: Sequence[str]) -> str | None:
    """What the script says after these answers, the last of which it replies to; null: the script foresees no such answer."""
    said: str | None = None
    for answer in answers:
        fitting = next((reply for reply in tree.replies if any(says(answer, phrase) for phrase in reply.when)), None)
        said = fitting.say if fitting else tree.otherwise
        tree = (fitting.then if fitting else None) or tree
    return said


def expected_phrases(card: Card) -> list[str]:
    """What the assistant has to find out by itself: every phrase the card expects or keeps secret."""
    expected: list[Phrase] = [phrase for turn in card.turns for phrase in turn.expect.say]
    return [*(one for phrase in expected for one in _any_of(phrase)), *(card.goal.secrets if card.goal else [])]


def _reached(goal: Goal, answer: str, state: State) -> bool:
    told = all(any(says(answer, one) for one in _any_of(phrase)) for phrase in goal.reached.say)
    return told and all(
        any(contains(row, wanted) for row in state.get(name, {}).values())
        for name, rows in goal.reached.state.items()
        for wanted in rows
    )


def _any_of(phrase: Phrase) -> list[str]:
    return [phrase] if isinstance(phrase, str) else phrase
