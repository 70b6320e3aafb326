"""One conversation of a simulated user, from its first message to the reason why it stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evals.cards import Card
from evals.conversation import StateReader, Talker
from evals.simulation.faults import message_fault
from evals.simulation.progress import Ended, how_ended
from evals.simulation.users import Move, SimulatedUser
from evals.transcript import Transcript, Turn


class Session:
    """`speak` is handed to a target; afterwards `ended` says how it stopped, or `fault` what the simulator did wrong."""

    def __init__(self, card: Card, user: SimulatedUser) -> None:
        assert card.goal is not None
        self._card = card
        self._goal = card.goal
        self._user = user
        self.ended: Ended | None = None
        self.fault: str | None = None

    async def speak(self, turns: Sequence[Turn], state: StateReader) -> str | None:
        """The next message; null when it stops. What the simulator's model raises becomes its fault."""
        if not turns:
            return self._card.turns[0].user
        if turns[-1].error:
            return None
        self.ended = how_ended(self._goal, turns, await state() if self._goal.reached.state else None)
        if self.ended:
            return None
        try:
            move = await self._user.next(self._card, turns)
        except Exception as error:  # noqa: BLE001  whatever the simulator's model raises is the simulator's fault
            return self._stop(f"its model gave no message ({type(error).__name__})")
        return self._act(move, turns)

    def _act(self, move: Move, turns: Sequence[Turn]) -> str | None:
        if move.act == "lost":
            return self._stop(move.words)
        if move.act == "say":
            # A script was read over with its card (`tree_faults`); said again, its words answer an assistant that asks again.
            fault = None if self._user.deterministic else message_fault(self._card, turns, move.words)
            return move.words if fault is None else self._stop(fault)
        if move.act == "done" and turns[-1].text.rstrip().endswith("?"):
            return self._stop("leaves while the assistant is asking it something")
        self.ended = "left"
        return None

    def _stop(self, fault: str) -> None:
        self.fault = f"simulated user ({self._user.name}): {fault}"


async def converse(target: Talker, card: Card, repeat: int, user: SimulatedUser) -> Transcript:
    """Let `user` pursue the card's goal. A fault of the target comes before one of the simulator, which stopped nothing then."""
    session = Session(card, user)
    transcript = await target.talk(card, repeat, session.speak)
    if session.fault is not None and transcript.fault is None:
        return replace(transcript, fault="simulator_error", fault_reason=session.fault)
    return replace(transcript, ended=session.ended)
