"""Loaded users: conversations that start when the schedule says, whatever the server does.

Locust's side of the wall: imports locust and gevent. One Locust user drives a worker's whole slice of the schedule; conversations are
greenlets of their own, so a slow server cannot slow their arrivals down.
"""

from __future__ import annotations

import gc
import os
import resource
import time
from typing import Any, ClassVar

import gevent
from locust import User, task

from assistant.wire import TurnRequest
from loadtests.calibration import Floor, floor_of
from loadtests.campaign import WorkerConfig, read_json, write_json
from loadtests.connections import Address, Connections
from loadtests.conversing import Record
from loadtests.holding import Holder
from loadtests.lines import Endpoint
from loadtests.played import Played
from loadtests.players import Players
from loadtests.samples import Sample
from loadtests.sandboxes import Sandboxes
from loadtests.schedule import arrival_times, plan_sessions, users_slice, worker_slice
from loadtests.script import read_script
from loadtests.stream import TurnClient
from loadtests.waiting import awake_s, sleep_until
from loadtests.watching import open_connection

GAUGE_S = 0.1
POLL_S = 0.02
EARLY_S = 0.004
"""Before it is due a conversation is made ready, so that its first turn has only to be sent."""
CALIBRATION_RATE_PER_S = 20.0


class Campaign:
    """Plays one worker's slice of the schedule and keeps count of what the client itself did."""

    def __init__(self, config: WorkerConfig, worker: int) -> None:
        self.config = config
        self.worker = worker
        self.finished = False
        self.complete = False
        self.floor: Floor | None = None
        self.gauge: list[tuple[float, int, int]] = []
        self.holder: Holder | None = None
        self._zero = time.monotonic()
        self._awake_s = awake_s(config.turns_per_s / config.workers)
        profile = config.profile
        self._script = read_script(config.script)
        plan = plan_sessions(profile, self._script, seed=config.seed)
        self.sessions = worker_slice(plan, worker=worker, workers=config.workers)
        self.users = users_slice(profile, worker=worker, workers=config.workers)
        endpoint = Endpoint(
            base_url=config.base_url,
            transport=profile.transport,
            timeout_s=profile.turn_timeout_s,
            turn_path=config.turn_path,
            clock=self.clock,
            model=config.model,
            api_key=os.environ.get(config.api_key_variable, "") if config.api_key_variable else "",
            opens=open_connection,
        )
        self._connections = endpoint.connections
        self.sandboxes = Sandboxes(endpoint.client, self.sessions, self.clock)
        self.sandboxes.available = profile.transport != "openai"
        self.players = Players(config, endpoint, self.sandboxes, self._record)
        if profile.hold is not None:
            self.holder = Holder(profile.hold, config.base_url, self.clock, worker=worker, workers=config.workers)
        self._recorder: Record | None = None

    def clock(self) -> float:
        """Seconds from the run's start."""
        return time.monotonic() - self._zero

    @property
    def has_sandboxes(self) -> bool:
        return self.sandboxes.available

    @property
    def started(self) -> list[dict[str, Any]]:
        return self.players.started

    @property
    def due(self) -> int:
        return self.players.due

    @property
    def turn_seconds(self) -> float:
        return self.players.flight.turn_seconds

    @property
    def connections(self) -> dict[str, int]:
        return self._connections.counts

    @property
    def held(self) -> dict[str, Any] | None:
        return None if self.holder is None else self.holder.held.as_json()

    def run(self, record: Record) -> None:
        """Calibrate, report ready, wait for the start, play, drain. `record` gets every turn that was started."""
        self._recorder = record
        beside = [gevent.spawn(self._watch_parent)]
        try:
            if self.config.calibration_url is not None:
                self.floor = self._calibrate(self.config.calibration_url)
            self.sandboxes.make_first()
            # A full collection over everything imported and planned would stop all turns for about 50 ms.
            gc.collect()
            gc.freeze()
            write_json(self.config.folder / f"ready-{self.worker}.json", {"sessions": len(self.sessions)})
            self._zero = self._start_time()
            beside += [gevent.spawn(self._sample_gauge), gevent.spawn(self.sandboxes.make_rest)]
            if self.holder is not None:
                profile = self.config.profile
                beside.append(gevent.spawn(self.holder.run))
                window_end = profile.warmup_s + profile.arrivals.duration_s
                beside.append(gevent.spawn(self.holder.watch, profile.warmup_s, window_end))
            self._play_all()
            self.complete = True
        finally:
            gevent.killall(beside)
            self._connections.close()
            self.finished = True

    def _record(self, sample: Sample, gaps_s: list[float]) -> None:
        if self._recorder is not None:
            self._recorder(sample, gaps_s)

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
            self.gauge.append((self.clock(), self.players.flight.now, self.players.open))
            gevent.sleep(GAUGE_S)

    def _calibrate(self, url: str) -> Floor:
        connections = Connections(address=Address.of(url), opens=open_connection)
        client = TurnClient(base_url=url, timeout_s=10.0, clock=self.clock, shared=connections)
        rate = max(CALIBRATION_RATE_PER_S, self.config.turns_per_s / self.config.workers)
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
            sleep_until(begin + time_s, self.clock, self._awake_s)
            greenlets.append(gevent.spawn(play, begin + time_s))
        gevent.joinall(greenlets)
        connections.close()
        return floor_of(turns)

    def _play_all(self) -> None:
        profile = self.config.profile
        window_end = profile.warmup_s + profile.arrivals.duration_s
        running: list[gevent.Greenlet[..., None]] = []
        measured: list[gevent.Greenlet[..., None]] = []

        def start_all() -> None:
            for session in self.sessions:
                gevent.sleep(max(0.0, session.t_plan - EARLY_S - self.clock()))
                greenlet = gevent.spawn(self.players.play_session, session)
                running.append(greenlet)
                if session.phase == "steady":
                    measured.append(greenlet)

        arrivals = gevent.spawn(start_all)
        running += [gevent.spawn(self.players.play_user, user, t_start, self._script) for user, t_start in self.users]
        gevent.sleep(max(0.0, window_end + POLL_S - self.clock()))
        self._drain(measured, window_end + profile.drain_s)
        arrivals.kill()
        gevent.killall(running)

    def _drain(self, measured: list[gevent.Greenlet[..., None]], until: float) -> None:
        """Wait for the measured conversations, and in a closed loop for the measured turns that are still open."""
        gevent.joinall(measured, timeout=max(0.0, until - self.clock()))
        while self.users and self.players.owed() and self.clock() < until:
            gevent.sleep(POLL_S)


def raise_file_limit() -> None:
    """Every conversation and held connection is an open file; take as many as this system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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
            self._let_go()
        gevent.sleep(3600)

    def _let_go(self) -> None:
        """End Locust's shape at once; by itself it looks only once a second whether the campaign is over."""
        runner = self.environment.runner
        if runner is not None and runner.shape_greenlet is not None:
            runner.shape_greenlet.kill(block=False)

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
