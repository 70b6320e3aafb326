"""Loaded users: conversations that start when the schedule says, whatever the server does.

Locust's side of the wall: imports locust and gevent. One Locust user drives a worker's whole slice of the schedule; conversations are
greenlets of their own, so a slow server cannot slow their arrivals down.
"""

from __future__ import annotations

import os
import time
from typing import Any, ClassVar

import gevent
from gevent.lock import BoundedSemaphore
from locust import User, task

from assistant.wire import TurnRequest
from loadtests.calibration import Floor, floor_of
from loadtests.campaign import WorkerConfig, read_json, write_json
from loadtests.conversing import Conversing, Record
from loadtests.played import Played
from loadtests.samples import Sample
from loadtests.sandboxes import Sandboxes, SandboxFailed
from loadtests.schedule import Session, arrival_times, plan_sessions, think_times, worker_slice
from loadtests.script import read_script
from loadtests.stream import TurnClient

GAUGE_S = 0.1
POLL_S = 0.02
CALIBRATION_RATE_PER_S = 20.0


class Campaign:
    """Plays one worker's slice of the schedule and keeps count of what the client itself did."""

    def __init__(self, config: WorkerConfig, worker: int) -> None:
        self.config = config
        self.worker = worker
        self.finished = False
        self.complete = False
        self.floor: Floor | None = None
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

    @property
    def has_sandboxes(self) -> bool:
        return self.sandboxes.available

    def run(self, record: Record) -> None:
        """Calibrate, report ready, wait for the start, play, drain. `record` gets every turn that was started."""
        beside = [gevent.spawn(self._watch_parent)]
        try:
            if self.config.calibration_url is not None:
                self.floor = self._calibrate(self.config.calibration_url)
            self.sandboxes.make_first()
            write_json(self.config.folder / f"ready-{self.worker}.json", {"sessions": len(self.sessions)})
            self._zero = self._start_time()
            beside += [gevent.spawn(self._sample_gauge), gevent.spawn(self.sandboxes.make_rest)]
            self._play_all(record)
            self.complete = True
        finally:
            gevent.killall(beside)
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
        client.play(TurnRequest(message="warm-up"), Played())
        begin = self.clock() + 0.1
        turns: list[tuple[float, Played]] = []

        def play(t_plan: float) -> None:
            played = Played()
            client.play(TurnRequest(message="calibration"), played)
            turns.append((t_plan, played))

        greenlets: list[gevent.Greenlet[..., None]] = []
        for time_s in times:
            gevent.sleep(max(0.0, begin + time_s - self.clock()))
            greenlets.append(gevent.spawn(play, begin + time_s))
        gevent.joinall(greenlets)
        return floor_of(turns)

    def _play_all(self, record: Record) -> None:
        profile = self.config.profile
        window_end = profile.warmup_s + profile.arrivals.duration_s
        running: list[gevent.Greenlet[..., None]] = []
        measured: list[gevent.Greenlet[..., None]] = []

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
        row = {"session": session.session, "phase": session.phase, "t_plan": session.t_plan}
        row |= {"t_taken": self.clock(), "waited": self._slots.locked(), "t_ready": None}
        self.started.append(row)
        self._in_flight += 1
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
        for turn, think_s in enumerate(think_times(self.config.profile, session, seed=self.config.seed), start=1):
            if sandbox_made:
                conversation.play(turn, self.client)
            else:
                conversation.refuse(turn)
            if think_s > 0:
                self._think(conversation, think_s)

    def _think(self, conversation: Conversing, think_s: float) -> None:
        """The next turn's intended start is the end of the one before, plus the thought."""
        self._in_flight -= 1
        conversation.thinking = True
        conversation.t_plan += think_s
        gevent.sleep(max(0.0, conversation.t_plan - self.clock()))
        conversation.thinking = False
        self._in_flight += 1


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
