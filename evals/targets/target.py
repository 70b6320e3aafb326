"""The seam between the engine and what it measures."""

from __future__ import annotations

from typing import Protocol

from evals.cards import Card
from evals.transcript import Transcript, Visible


class Target(Protocol):
    """Plays a card from its first turn to its last. Opened with `async with` by whoever built it.

    `play` never raises for what the assistant does wrong: it returns a transcript with `fault`. It raises `TargetError` when the
    target cannot be reached at all.
    """

    @property
    def visible(self) -> Visible: ...

    @property
    def deterministic(self) -> bool:
        """Whether a repeat can only repeat: repeats then count once."""
        ...

    async def play(self, card: Card, repeat: int) -> Transcript: ...
