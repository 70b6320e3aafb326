"""Who speaks next: the seam between a target that can be talked to and whoever plays the user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from evals.cards import Card
from evals.transcript import Transcript, Turn

State = Mapping[str, Mapping[str, Any]]
StateReader = Callable[[], Awaitable[State | None]]
"""Reads the assistant's state as it is now; null where the target shows none."""
Speak = Callable[[Sequence[Turn], StateReader], Awaitable[str | None]]
"""The user's next message after these turns; null ends the conversation. Never raises but when cancelled."""


@runtime_checkable
class Talker(Protocol):
    """A target that can be talked to without knowing beforehand what will be said. Faults of a play are those of `Target.play`."""

    async def talk(self, card: Card, repeat: int, speak: Speak) -> Transcript: ...


def fixed(card: Card) -> Speak:
    """A user who says what the card says, whatever comes back."""

    async def speak(turns: Sequence[Turn], _state: StateReader) -> str | None:
        return card.turns[len(turns)].user if len(turns) < len(card.turns) else None

    return speak


async def no_state() -> None:
    """For targets that show none."""


def as_one_turn(transcript: Transcript) -> Transcript:
    """The conversation as a single exchange: all that was said, called and cited in one turn, with the last turn's agent and outcome."""
    turns = transcript.turns
    if not turns:
        return transcript
    whole = Turn(
        user="\n".join(turn.user for turn in turns),
        text="\n".join(turn.text for turn in turns),
        agent=turns[-1].agent,
        outcome=turns[-1].outcome,
        route=turns[-1].route,
        handoff=next((turn.handoff for turn in turns if turn.handoff), None),
        tool_calls=[call for turn in turns for call in turn.tool_calls],
        citations=[citation for turn in turns for citation in turn.citations],
        duration_s=sum(turn.duration_s or 0.0 for turn in turns),
        error=next((turn.error for turn in turns if turn.error), None),
    )
    return replace(transcript, turns=[whole])
