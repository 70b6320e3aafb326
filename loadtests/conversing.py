"""Conversing: one conversation under way, turn after turn, and the samples it leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from assistant.wire import TurnRequest
from loadtests.played import Played
from loadtests.prompts import marked
from loadtests.samples import Sample
from loadtests.schedule import Phase, Session

Clock = Callable[[], float]
Record = Callable[[Sample, list[float]], None]
"""Takes a finished turn and the gaps between its words."""


class Plays(Protocol):
    """Plays one turn and fills `played` as it goes."""

    def play(self, request: TurnRequest, played: Played) -> None: ...


class Conversing:
    """One conversation under way: which turn it is at, and what the turn brought so far."""

    def __init__(
        self,
        *,
        session: Session,
        clock: Clock,
        record: Record,
        phase_of: Callable[[float], Phase] | None = None,
        mark: str = "",
    ) -> None:
        """`phase_of` gives a turn's phase by its intended start (default: the session's). `mark` goes with everything said."""
        self.session = session
        self.t_plan = session.t_plan
        self.thinking = False
        self.sandbox: str | None = None
        self._clock = clock
        self._phase_of = phase_of
        self._mark = mark
        self._record = record
        self._turn = 1
        self._played = Played()
        self._thread_id: str | None = None

    @property
    def phase(self) -> Phase:
        """The phase of the turn that is due next or under way."""
        return self.session.phase if self._phase_of is None else self._phase_of(self.t_plan)

    def play(self, turn: int, client: Plays) -> None:
        """Play turn `turn`, counted from 1; a conversation goes on after a failed one, as a user would."""
        self._turn, self._played = turn, Played()
        conversation = self.session.conversation
        text = conversation.turns[turn - 1].text
        request = TurnRequest(
            message=marked(text, self._mark) if self._mark else text,
            user_id=conversation.user_id,
            thread_id=self._thread_id,
            sandbox=self.sandbox,
        )
        client.play(request, self._played)
        self._thread_id = self._played.thread_id or self._thread_id
        self._finish()

    def refuse(self, turn: int) -> None:
        """Record a turn that could not be sent because its sandbox was not made."""
        self._turn, self._played = turn, Played(outcome="no_sandbox")
        self._finish()

    def censor(self) -> None:
        """Record the turn that the end of the drain cut off; one that was not due yet has no sample."""
        if self.phase != "cooldown" and not self.thinking and self.t_plan <= self._clock():
            self._played.outcome = "censored"
            self._played.t_done = None
            self._finish()

    def _finish(self) -> None:
        played = self._played
        if played.t_done is None and played.outcome != "censored":
            played.t_done = self._clock()
        values = {name: value for name, value in vars(played).items() if name not in {"thread_id", "gaps_s"}}
        sample = Sample(
            sample=f"{self.session.session}-{self._turn}",
            session=self.session.session,
            conversation=self.session.conversation.id,
            turn=self._turn,
            phase=self.phase,
            t_plan=self.t_plan,
            sandbox=self.sandbox,
            **values,
        )
        self._record(sample, played.gaps_s)
        self.t_plan = played.t_done if played.t_done is not None else self._clock()
        self._played = Played()
        self._turn += 1
