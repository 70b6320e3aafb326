"""Players: conversations as greenlets, so that a slow server cannot slow the arrivals down. Locust's side of the wall: imports gevent."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore

from loadtests.campaign import WorkerConfig
from loadtests.conversing import Clock, Conversing, Record
from loadtests.flight import Flight
from loadtests.lines import Endpoint, Line
from loadtests.prompts import mark
from loadtests.samples import Sample
from loadtests.sandboxes import Sandboxes
from loadtests.schedule import Session, phase_at, think_times, users_conversations
from loadtests.script import Conversation
from loadtests.stream import SandboxFailed
from loadtests.traffic import Users
from loadtests.waiting import awake_s, sleep_until


class Players:
    """Plays sessions of the schedule and users of a closed loop, and counts what is open and in flight.

    `started` has a row per conversation taken up, `due` counts the measured turns that fell due.
    """

    def __init__(self, config: WorkerConfig, endpoint: Endpoint, sandboxes: Sandboxes, record: Record) -> None:
        self.started: list[dict[str, Any]] = []
        self.open = 0
        self.due = 0
        self._measured = 0
        self._config = config
        self._profile = config.profile
        self._endpoint = endpoint
        self._clock: Clock = endpoint.clock
        self._awake_s = awake_s(config.turns_per_s / config.workers)
        start = config.profile.warmup_s
        self.flight = Flight(self._clock, (start, start + config.profile.arrivals.duration_s))
        self._sandboxes = sandboxes
        self._record = self._counted(record)
        self._slots = BoundedSemaphore(max(1, config.profile.max_in_flight // config.workers))

    def owed(self) -> int:
        """Measured turns that fell due and have not ended."""
        return self.due - self._measured

    def _counted(self, record: Record) -> Record:
        def counted(sample: Sample, gaps_s: list[float]) -> None:
            self._measured += sample.phase == "steady"
            record(sample, gaps_s)

        return counted

    def play_session(self, session: Session) -> None:
        """One conversation of the schedule, taken up somewhat before it is due; it waits for a slot, and its wait counts."""
        conversation, thoughts = self._conversing(session), self._thoughts(session)
        conversation.thinking = True
        try:
            with self._line() as line:
                sleep_until(session.t_plan, self._clock, self._awake_s)
                conversation.thinking = False
                self.flight.enter()
                row = self._taken(session)
                with self._slots:
                    self._play_turns(conversation, line, row, thoughts)
        except gevent.GreenletExit:
            conversation.censor()
        finally:
            self._land(conversation)

    def play_user(self, user: int, t_start: float, script: list[Conversation]) -> None:
        """One user of a closed loop: conversation after conversation, thinking in between, until the greenlet is killed."""
        assert isinstance(self._profile.arrivals, Users)
        t_plan = t_start
        for number, talk in zip(count(), users_conversations(script, user, seed=self._config.seed), strict=False):
            t_plan = self._user_talks(user + number * self._profile.arrivals.users, t_plan, talk)

    def _user_talks(self, number: int, t_plan: float, talk: Conversation) -> float:
        """Play one conversation of a user; when the next one is due."""
        session = Session(session=number, phase=phase_at(self._profile, t_plan), t_plan=t_plan, conversation=talk)
        making = self._sandboxes.make_for(session)
        conversation, thoughts = self._conversing(session), self._thoughts(session)
        conversation.thinking = True
        try:
            sleep_until(t_plan, self._clock, self._awake_s)
            conversation.thinking = False
            self.flight.enter()
            with self._line() as line:
                self._play_turns(conversation, line, self._taken(session), thoughts)
        except gevent.GreenletExit:
            conversation.censor()
            raise
        finally:
            self._land(conversation)
            making.kill(block=False)
        return conversation.t_plan

    def _taken(self, session: Session) -> dict[str, Any]:
        row = {"session": session.session, "phase": session.phase, "t_plan": session.t_plan}
        row |= {"t_taken": self._clock(), "waited": self._slots.locked(), "t_ready": None}
        self.started.append(row)
        return row

    def _conversing(self, session: Session) -> Conversing:
        by_turn = isinstance(self._profile.arrivals, Users)
        return Conversing(
            session=session,
            clock=self._clock,
            record=self._record,
            phase_of=(lambda t_plan: phase_at(self._profile, t_plan)) if by_turn else None,
            mark=mark(self._config.seed, session.session) if self._profile.canary else "",
        )

    @contextmanager
    def _line(self) -> Generator[Line]:
        self.open += 1
        line = self._endpoint.line()
        try:
            yield line
        finally:
            line.close()
            self.open -= 1

    def _thoughts(self, session: Session) -> list[float]:
        return list(think_times(self._profile, session, seed=self._config.seed))

    def _play_turns(self, conversation: Conversing, line: Line, row: dict[str, Any], thoughts: list[float]) -> None:
        session = conversation.session
        try:
            conversation.sandbox = self._sandboxes.take(session)
            sandbox_made = True
        except SandboxFailed:
            sandbox_made = False
        row["t_ready"] = self._clock()
        for turn, think_s in enumerate(thoughts, start=1):
            self.due += conversation.phase == "steady"
            if sandbox_made:
                conversation.play(turn, line)
            else:
                conversation.refuse(turn)
            if think_s > 0:
                self._think(conversation, think_s)
        self._land(conversation)

    def _land(self, conversation: Conversing) -> None:
        """No turn of the conversation is in flight from here on; closing its connection is no part of one."""
        if not conversation.thinking:
            conversation.thinking = True
            self.flight.leave()

    def _think(self, conversation: Conversing, think_s: float) -> None:
        """The next turn's intended start is the end of the one before, plus the thought."""
        self._land(conversation)
        conversation.t_plan += think_s
        sleep_until(conversation.t_plan, self._clock, self._awake_s)
        conversation.thinking = False
        self.flight.enter()
