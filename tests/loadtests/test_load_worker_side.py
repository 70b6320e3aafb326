"""What a worker does between sockets and files: conversing, recording, calibrating, answering the runner."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from assistant.wire import TurnRequest
from loadtests import calibration
from loadtests.calibration import Floor, answer, floor_of
from loadtests.campaign import WorkerConfig, WorkerReport, read_reports
from loadtests.conversing import Conversing
from loadtests.flight import Flight
from loadtests.histogram import Histogram
from loadtests.listener import Recorder
from loadtests.played import Played
from loadtests.processes import ROOT
from loadtests.samples import read_samples
from loadtests.schedule import Session
from loadtests.script import Conversation, ScriptTurn
from loadtests.stream import TurnClient


class FakeClock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class ScriptedClient:
    """Answers each turn after a second, or as its scripted outcome says."""

    def __init__(self, clock: FakeClock, *outcomes: str) -> None:
        self.clock = clock
        self.outcomes = list(outcomes)
        self.requests: list[TurnRequest] = []

    def play(self, request: TurnRequest, played: Played) -> None:
        self.requests.append(request)
        played.t_send = self.clock.now
        self.clock.now += 1.0
        played.outcome = self.outcomes.pop(0)
        if played.outcome == "ok":
            played.t_done, played.thread_id = self.clock.now, "t1"


def conversing(clock: FakeClock, recorded: list, phase: str = "steady") -> Conversing:
    talk = Conversation(
        id="talk", user_id="ann", turns=[ScriptTurn(text="one"), ScriptTurn(text="two"), ScriptTurn(text="three")]
    )
    session = Session(session=4, phase=phase, t_plan=10.0, conversation=talk)
    return Conversing(session=session, clock=clock, record=lambda sample, gaps: recorded.append(sample))


def test_the_next_turn_is_due_when_the_one_before_ended_and_keeps_its_thread():
    clock, recorded = FakeClock(10.5), []
    talk, client = conversing(clock, recorded), ScriptedClient(clock, "ok", "ok", "ok")
    for turn in (1, 2, 3):
        talk.play(turn, client)
    assert [(s.sample, s.turn, s.t_plan, s.t_send, s.t_done) for s in recorded] == [
        ("4-1", 1, 10.0, 10.5, 11.5),
        ("4-2", 2, 11.5, 11.5, 12.5),
        ("4-3", 3, 12.5, 12.5, 13.5),
    ]
    assert [(r.message, r.user_id, r.thread_id) for r in client.requests] == [
        ("one", "ann", None),
        ("two", "ann", "t1"),
        ("three", "ann", "t1"),
    ]


def test_a_conversation_goes_on_after_a_failed_turn():
    clock, recorded = FakeClock(10.0), []
    talk, client = conversing(clock, recorded), ScriptedClient(clock, "connect", "ok")
    talk.play(1, client)
    talk.play(2, client)
    assert [(s.outcome, s.t_plan, s.t_done) for s in recorded] == [("connect", 10.0, 11.0), ("ok", 11.0, 12.0)]


def test_a_turn_without_its_sandbox_is_recorded_unsent():
    clock, recorded = FakeClock(10.2), []
    conversing(clock, recorded).refuse(1)
    assert (recorded[0].outcome, recorded[0].t_send, recorded[0].t_done) == ("no_sandbox", None, 10.2)


def test_the_turn_that_the_drain_cut_off_is_censored():
    clock, recorded = FakeClock(11.0), []
    conversing(clock, recorded).censor()
    assert (recorded[0].sample, recorded[0].outcome, recorded[0].t_done) == ("4-1", "censored", None)


@pytest.mark.parametrize(
    ("phase", "thinking", "now"), [("cooldown", False, 11.0), ("steady", True, 11.0), ("steady", False, 9.0)]
)
def test_a_turn_that_is_not_due_or_not_measured_is_not_censored(phase, thinking, now):
    recorded: list = []
    talk = conversing(FakeClock(now), recorded, phase)
    talk.thinking = thinking
    talk.censor()
    assert recorded == []


def test_turns_in_flight_are_integrated_over_the_window_alone():
    clock = FakeClock(1.0)
    flight = Flight(clock, (2.0, 10.0))
    flight.enter()
    clock.now = 3.5
    flight.enter()
    clock.now = 4.0
    flight.leave()
    assert (flight.now, flight.turn_seconds) == (1, 2.5)
    clock.now = 11.0
    flight.leave()
    clock.now = 20.0
    assert (flight.now, flight.turn_seconds) == (0, 8.5)


def worker(tmp_path, planted, **changes) -> SimpleNamespace:
    config = WorkerConfig(
        profile=planted.profile,
        script=tmp_path / "script.jsonl",
        base_url="http://h",
        turn_path="/v1/turns",
        seed=1,
        workers=1,
        folder=tmp_path,
        samples=tmp_path,
        calibration_url=None,
        calibration_s=0.0,
        parent_pid=1,
    )
    fields = {
        "config": config,
        "worker": 0,
        "complete": True,
        "floor": None,
        "started": [],
        "gauge": [],
        "has_sandboxes": True,
        "due": 2,
        "turn_seconds": 1.5,
        "held": None,
        "connections": {"opened": 2, "kept": 7, "reopened": 0},
    }
    return SimpleNamespace(**fields | {"clock": FakeClock(5.0)} | changes)


def test_a_recorder_writes_samples_histograms_and_progress(planted, tmp_path):
    recorder = Recorder(worker(tmp_path, planted))
    samples = [planted.sample(0), planted.sample(1, outcome="timeout", t_send=None), planted.sample(2, phase="warmup")]
    for sample in samples:
        recorder.on_request(context={"sample": sample, "gaps_s": [0.1, 0.3] if sample.ok else []}, name="turn")
    assert json.loads((tmp_path / "progress-0.json").read_text())["done"] == 1
    recorder.on_quitting(environment=None)
    assert list(read_samples(tmp_path / "worker-0.jsonl")) == samples
    (report,) = read_reports(tmp_path, 1)
    assert report is not None
    assert (report.turn_seconds, report.connections) == (1.5, {"opened": 2, "kept": 7, "reopened": 0})
    histograms = {name: Histogram.from_json(data) for name, data in report.histograms.items()}
    assert histograms["response_s"].count == 2
    assert histograms["response_s"].infinite == 1
    assert histograms["send_delay_s"].count == 1
    assert histograms["gap_s"].count == 2
    assert histograms["stutter_s"].quantile(1.0) == pytest.approx(0.3, rel=0.01)


def test_a_campaign_that_was_stopped_leaves_no_report(planted, tmp_path):
    Recorder(worker(tmp_path, planted, complete=False)).on_quitting()
    assert read_reports(tmp_path, 1) == [None]


def test_the_floor_of_the_client_is_in_the_report(planted, tmp_path):
    floor = Floor(n=3, failed=0, response_p50_s=0.1, response_p99_s=0.2, ttft_p50_s=0.1, ttft_p99_s=0.2)
    Recorder(worker(tmp_path, planted, floor=floor)).on_quitting()
    (report,) = read_reports(tmp_path, 1)
    assert isinstance(report, WorkerReport)
    assert report.calibration is not None
    assert report.calibration["response_p99_s"] == 0.2


def test_what_the_runner_tells_its_workers_survives_the_file(planted, tmp_path):
    config = worker(tmp_path, planted).config
    assert WorkerConfig.read(config.write()) == config


async def test_the_calibration_server_says_how_long_it_took(monkeypatch):
    monkeypatch.setattr(calibration, "FIRST_S", 0.01)
    monkeypatch.setattr(calibration, "GAP_S", 0.001)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    played = Played()
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = TurnClient(base_url=f"http://127.0.0.1:{port}", timeout_s=5.0)
        await asyncio.to_thread(client.play, TurnRequest(message="hi"), played)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET")
        writer.close()
        await writer.wait_closed()
    assert (played.outcome, len(played.events)) == ("ok", calibration.WORDS + 2)
    assert played.t_send is not None
    floor = floor_of([(played.t_send, played), (0.0, Played(outcome="connect"))])
    assert (floor.n, floor.failed) == (1, 1)
    assert floor.response_p99_s is not None
    assert 0 <= floor.response_p99_s < 1


def test_a_client_that_adds_delay_shows_it_in_the_floor():
    played = Played(t_first=1.5, t_done=2.0, events=[{"type": "token", "t_s": 0.2}, {"type": "done", "t_s": 0.4}])
    floor = floor_of([(1.0, played)])
    assert (floor.ttft_p50_s, floor.response_p50_s) == (pytest.approx(0.3), pytest.approx(0.6))


def test_without_answers_the_floor_is_unknown():
    assert floor_of([]) == Floor(n=0, failed=0, response_p50_s=None, response_p99_s=None, ttft_p50_s=None, ttft_p99_s=None)


def test_importing_the_runner_brings_neither_locust_nor_gevent():
    code = (
        "import sys, loadtests.runner, loadtests.listener, loadtests.conversing, loadtests.calibration;"
        "sys.exit(','.join(sorted({'locust', 'gevent'} & set(sys.modules))) or 0)"
    )
    # Coverage, when it measures, brings gevent itself.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
