"""Loaded users: conversations that start when the schedule says, whatever the server does.

Locust's side of the wall: imports locust and gevent. One Locust user drives a worker's whole slice of the schedule; conversations are
greenlets of their own, so a slow server cannot slow their arrivals down.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar

import gevent
from gevent.lock import BoundedSemaphore
from locust import User, task

from assistant.wire import TurnRequest
from loadtests.calibration import Floor, floor_of
from loadtests.campaign import WorkerConfig, read_json, write_json
from loadtests.samples import Sample
from loadtests.sandboxes import Sandboxes, SandboxFailed
from loadtests.schedule import Session, arrival_times, plan_sessions, think_times, worker_slice
from loadtests.script import read_script
from loadtests.stream import Played, TurnClient

GAUGE_S = 0.1
POLL_S = 0.02
CALIBRATION_RATE_PER_S = 20.0

Record = Callable[[Sample, list[float]], None]
"""Takes a finished turn and the gaps between its words."""


class Campaign:
    """Plays one worker's slice of the schedule and keeps count of what the client itself did."""

    def __init__(self, config: WorkerConfig, worker: int) -> None:
        self.config = config
        self.worker = worker
        self.finished = False
        self.floor: Floor | None = None
        self.slots_exhausted = 0
        self.started: list[dict[str, Any]] = []
        self.gauge: list[tuple[float, int, int]] = []
        self._zero = time.monotonic()
        self._in_flight = 0
        self._open = 0
        self._slots = BoundedSemaphore(max(1, config.profile.max_in_flight // config.workers))
        plan = plan_sessions(config.profile, read_script(config.script), seed=config.seed)
        self.sessions = worker_slice(plan, worker=worker, workers=config.workers)
        self.client = TurnClient(
            base_url=config.base_url, timeout_s=config.profile.turn_timeout_s, turn_path=config.turn_path, clock=self.clock
        )
        self.sandboxes = Sandboxes(self.client, self.sessions, self.clock)

    def clock(self) -> float:
        """Seconds from the run's start."""
        return time.monotonic() - self._zero

    def run(self, record: Record) -> None:
        """Calibrate, report ready, wait for the start, play, drain. `record` gets every turn that was started."""
        watch = gevent.spawn(self._watch_parent)
        if self.config.calibration_url is not None:
            self.floor = self._calibrate(self.config.calibration_url)
        self.sandboxes.make_first()
        write_json(self.config.folder / f"ready-{self.worker}.json", {"sessions": len(self.sessions)})
        self._zero = self._start_time()
        beside = [gevent.spawn(self._sample_gauge), gevent.spawn(self.sandboxes.make_rest)]
        try:
            self._play_all(record)
        finally:
            gevent.killall([watch, *beside])
            self.finished = True

    def _start_time(self) -> float:
        while (start := read_json(self.config.folder / "start.json")) is None:
            gevent.sleep(POLL_S)
        return start["zero"]

    def _watch_parent(self) -> None:
        """A runner that was killed cannot end its workers; they see it and go."""
        while os.getppid() == self.config.parent_pid:
            gevent.sleep(0.5)
        os._exit(1)

    def _sample_gauge(self) -> None:
        while True:
            self.gauge.append((self.clock(), self._in_flight, self._open))
            gevent.sleep(GAUGE_S)

    def _calibrate(self, url: str) -> Floor:
        client = TurnClient(base_url=url, timeout_s=10.0, clock=self.clock)
        rate = max(CALIBRATION_RATE_PER_S, self.config.profile.arrivals.rate_per_s / self.config.workers)
        times = arrival_times("poisson", rate, int(rate * self.config.calibration_s), seed=self.config.seed)
        begin = self.clock() + 0.1
        turns: list[tuple[float, Played]] = []

        def play(t_plan: float) -> None:
            played = Played()
            client.play(TurnRequest(message="calibration"), played)
            turns.append((t_plan, played))

        greenlets: list[gevent.Greenlet] = []
        for time_s in times:
            gevent.sleep(max(0.0, begin + time_s - self.clock()))
            greenlets.append(gevent.spawn(play, begin + time_s))
        gevent.joinall(greenlets)
        return floor_of(turns)

    def _play_all(self, record: Record) -> None:
        profile = self.config.profile
        window_end = profile.warmup_s + profile.arrivals.duration_s
        running: list[gevent.Greenlet] = []
        measured: list[gevent.Greenlet] = []

        def start_all() -> None:
            for session in self.sessions:
                gevent.sleep(max(0.0, session.t_plan - self.clock()))
                greenlet = gevent.spawn(self._play_session, session, record)
                running.append(greenlet)
                if session.phase == "steady":
                    measured.append(greenlet)

        arrivals = gevent.spawn(start_all)
        gevent.sleep(max(0.0, window_end + POLL_S - self.clock()))
        gevent.joinall(measured, timeout=max(0.0, window_end + profile.drain_s - self.clock()))
        arrivals.kill()
        gevent.killall(running)

    def _play_session(self, session: Session, record: Record) -> None:
        waited = self._slots.locked()
        self.slots_exhausted += waited
        self._in_flight += 1
        row = {"session": session.session, "phase": session.phase, "t_plan": session.t_plan, "waited": waited}
        row |= {"t_taken": self.clock(), "t_ready": None}
        self.started.append(row)
        conversation = Conversing(session=session, clock=self.clock, record=record)
        try:
            with self._slots:
                self._open += 1
                try:
                    self._play_turns(conversation, row)
                finally:
                    self._open -= 1
        except gevent.GreenletExit:
            conversation.censor()
        finally:
            self._in_flight -= not conversation.thinking

    def _play_turns(self, conversation: Conversing, row: dict[str, Any]) -> None:
        session = conversation.session
        try:
            conversation.sandbox = self.sandboxes.take(session)
            sandbox_made = True
        except SandboxFailed:
            sandbox_made = False
        row["t_ready"] = self.clock()
        for turn, think_s in enumerate(think_times(self.config.profile, session, seed=self.config.seed)):
            if turn > 0:
                self._think(conversation, think_s)
            if sandbox_made:
                conversation.play(turn, self.client)
            else:
                conversation.refuse(turn)

    def _think(self, conversation: Conversing, think_s: float) -> None:
        """The next turn's intended start is the end of the one before, plus the thought."""
        if think_s > 0:
            self._in_flight -= 1
            conversation.thinking = True
            gevent.sleep(max(0.0, conversation.t_plan + think_s - self.clock()))
            self._in_flight += 1
            conversation.thinking = False
        conversation.t_plan += think_s


class Conversing:
    """One conversation under way: which turn it is at, and what the turn brought so far."""

    def __init__(self, *, session: Session, clock: Callable[[], float], record: Record) -> None:
        self.session = session
        self.t_plan = session.t_plan
        self.thinking = False
        self.sandbox: str | None = None
        self._clock = clock
        self._record = record
        self._turn = 1
        self._played = Played()
        self._thread_id: str | None = None

    def play(self, turn: int, client: TurnClient) -> None:
        """Play one turn; a conversation goes on after a failed one, as a user would."""
        self._turn, self._played = turn + 1, Played()
        conversation = self.session.conversation
        request = TurnRequest(
            message=conversation.turns[turn].text,
            user_id=conversation.user_id,
            thread_id=self._thread_id,
            sandbox=self.sandbox,
        )
        client.play(request, self._played)
        self._thread_id = self._played.thread_id or self._thread_id
        self._finish()

    def refuse(self, turn: int) -> None:
        """Record a turn that could not be sent because its sandbox was not made."""
        self._turn, self._played = turn + 1, Played(outcome="no_sandbox")
        self._finish()

    def censor(self) -> None:
        """Record the turn that the end of the drain cut off; one that was not due yet has no sample."""
        if self.session.phase != "cooldown" and not self.thinking and self.t_plan <= self._clock():
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
            phase=self.session.phase,
            t_plan=self.t_plan,
            sandbox=self.sandbox,
            **values,
        )
        self._record(sample, played.gaps_s)
        self.t_plan = played.t_done if played.t_done is not None else self._clock()
        self._played = Played()
        self._turn += 1


class TurnFailed(Exception):
    """What Locust's own statistics show for a turn that is not ok."""


class OpenArrivals(User):
    """The one Locust user of a worker; it drives the campaign and shows Locust one row per turn."""

    abstract = True
    campaign: ClassVar[Campaign]

    @task
    def drive(self) -> None:
        if not self.campaign.finished:
            self.campaign.run(self._record)
        gevent.sleep(3600)

    def _record(self, sample: Sample, gaps_s: list[float]) -> None:
        end = sample.t_done if sample.t_done is not None else self.campaign.clock()
        self.environment.events.request.fire(
            request_type="TURN",
            name=sample.phase,
            response_time=(end - sample.t_plan) * 1000,
            response_length=len(sample.text),
            exception=None if sample.ok else TurnFailed(sample.outcome),
            context={"sample": sample, "gaps_s": gaps_s},
        )


def floor_json(floor: Floor | None) -> dict[str, Any] | None:
    return None if floor is None else asdict(floor)
