"""A target whose goal cards are played by a simulated user; cards with fixed turns pass through."""

from __future__ import annotations

from collections.abc import Sequence

from evals.cards import Card
from evals.conversation import Talker
from evals.simulation.session import converse
from evals.simulation.users import SimulatedUser
from evals.targets.target import Target
from evals.transcript import Transcript

_NEEDS = {
    "goal without a tree": "only a model can play this user; give --user-model MODEL",
    "goal in the state": "this target does not show its state, where the goal would be reached",
}


class SimulatedTarget:
    """Only a scripted user on a deterministic target repeats itself exactly."""

    def __init__(self, inner: Target, user: SimulatedUser) -> None:
        self._inner = inner
        self._user = user
        self.visible = inner.visible
        self.deterministic = inner.deterministic and user.deterministic

    async def play(self, card: Card, repeat: int) -> Transcript:
        """A target that plays goal cards by itself, such as a recording, is left to it."""
        if card.goal is None or not isinstance(self._inner, Talker):
            return await self._inner.play(card, repeat)
        return await converse(self._inner, card, repeat, self._user)


def playable(cards: Sequence[Card], target: Target, user: SimulatedUser) -> tuple[list[Card], dict[str, str]]:
    """The cards that can be played, and for the others what is missing, with the cards concerned."""
    lacking: dict[str, list[str]] = {}
    for card in cards:
        if reason := _unplayable(card, target, user):
            lacking.setdefault(reason, []).append(card.id)
    left_out = {card_id for ids in lacking.values() for card_id in ids}
    hidden = {
        name: f"{_NEEDS[name]} ({len(ids)} cards: {', '.join(ids[:3])}{' and more' if len(ids) > 3 else ''})"
        for name, ids in lacking.items()
    }
    return [card for card in cards if card.id not in left_out], hidden


def _unplayable(card: Card, target: Target, user: SimulatedUser) -> str | None:
    if card.goal is None:
        return None
    if card.goal.tree is None and user.deterministic:
        return "goal without a tree"
    if card.goal.reached.state and not target.visible.state:
        return "goal in the state"
    return None
