"""Whole runs against a small real server: what goes wrong there is in the result, and nothing else is."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from loadtests import generators, processes
from loadtests.processes import LoadError
from loadtests.runner import LoadPlan, LoadResult, Progress, run_load
from loadtests.script import ScriptError
from loadtests.traffic import TrafficProfile

TURNS = 3
RATE_PER_S = 30


def profile(**changes: Any) -> TrafficProfile:
    fields: dict[str, Any] = {
        "name": "short",
        "model": "none",
        "arrivals": {"pattern": "poisson", "rate_per_s": RATE_PER_S, "duration_s": 1.2},
        "warmup_s": 0.3,
        "max_in_flight": 60,
        "turn_timeout_s": 5,
        "drain_s": 5,
        "objectives": {"response_s": 10, "ttft_s": 10},
        "seed": 3,
    }
    return TrafficProfile.model_validate(fields | changes)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadResult]:
    def run(url: str, *, pid: int | None = None, sandbox: bool = False, **changes: Any) -> LoadResult:
        row = {"id": "talk", "weight": 1, "user_id": "u", "turns": [{"text": "hi"}] * TURNS}
        row["sandbox"] = {"pack": "p", "fixtures": {}, "faults": []} if sandbox else None
        (tmp_path / "script.jsonl").write_text(json.dumps(row) + "\n")
        fields = {"profile": profile(), "calibration_s": 0.0, "seed": 3} | changes
        return run_load(LoadPlan(script=tmp_path / "script.jsonl", base_url=url, out_dir=tmp_path, server_pid=pid, **fields))

    return run


def value(result: LoadResult, name: str) -> float | None:
    estimate = result.metrics[name]
    assert estimate is not None
    return estimate.value


def children() -> list[psutil.Process]:
    return psutil.Process(os.getpid()).children(recursive=True)


def test_a_healthy_server_is_measured_by_a_calibrated_client(wire_server, load):
    server, seen = wire_server(sandbox_status=201), list[Progress]()
    result = load(server.url, pid=server.pid, sandbox=True, workers=2, calibration_s=0.5, progress=seen.append)
    assert result.broken == []
    assert result.planned_turns == 36
    assert result.tables["load"]["connections"]["opened"] > 0
    assert value(result, "load.error_rate") == 0.0
    assert value(result, "load.lost_turns") == 0.0
    assert value(result, "target.survived") == 1.0
    assert 0.04 <= (value(result, "load.response.p95_s") or 0.0) < 0.3
    assert 0.02 <= (value(result, "load.ttft.p95_s") or 0.0) < 0.3
    assert (value(result, "load.server.peak_pss_bytes") or 0.0) > 1_000_000
    measured = list(result.measured())
    by_session = {sample.session: [turn for turn in measured if turn.session == sample.session] for sample in measured}
    assert len(by_session) == 12
    assert len({turns[0].sandbox for turns in by_session.values()}) == 12
    for turns in by_session.values():
        first, *later = sorted(turns, key=lambda sample: sample.turn)
        thread = first.events[0]["thread_id"]
        assert [turn.text for turn in (first, *later)] == [f"hi {thread} {first.sandbox}"] * TURNS
        assert [turn.t_plan for turn in later] == [turn.t_done for turn in (first, *later)][:-1]
        assert first.events[-1]["type"] == "done"
        assert first.output_tokens == 5
        assert all(turn.t_send is not None and turn.t_send >= turn.t_plan for turn in turns), (
            "made ready ahead, and sent when due"
        )
    floors = result.tables["load"]["calibration"]
    assert [floor["failed"] for floor in floors] == [0, 0]
    assert (seen[-1].planned, seen[-1].errors) == (36, 0)
    assert seen[-1].done > 0
    assert json.loads(json.dumps(result.tables, allow_nan=False)) == result.tables


def test_a_stall_of_the_server_is_in_the_percentile(wire_server, load):
    """A closed loop would have sent next to nothing during the stall, and called the server fast."""
    result = load(wire_server(stall_at=20, stall_s=1.2).url)
    assert result.broken == []
    assert value(result, "load.error_rate") == 0.0
    assert (value(result, "load.response.p95_s") or 0.0) > 0.8
    assert (value(result, "load.ttft.p95_s") or 0.0) > 0.8
    assert result.tables["load"]["service_s"]["p50"] < 0.3


def test_failed_and_cut_turns_are_counted_by_class(wire_server, load):
    result = load(wire_server(error_every=7, cut_every=11).url)
    assert result.broken == []
    errors = result.tables["load"]["errors"]
    assert set(errors) == {"http_5xx", "stream_broken"}
    assert value(result, "load.error_rate") == pytest.approx(sum(errors.values()) / 36)
    assert value(result, "load.response.p95_s") is None
    cut = next(sample for sample in result.measured() if sample.outcome == "stream_broken")
    assert cut.text.startswith("hi ")
    assert cut.t_first is not None


def test_a_server_that_dies_in_the_middle_did_not_survive(wire_server, load):
    server = wire_server(die_at=20)
    result = load(server.url, pid=server.pid)
    assert result.broken == []
    assert value(result, "target.survived") == 0.0
    errors = result.tables["load"]["errors"]
    assert set(errors) <= {"connect", "stream_broken"}
    assert errors["connect"] > 10
    assert (value(result, "load.error_rate") or 0.0) > 0.3
    assert value(result, "load.lost_turns") == 0.0


def test_a_server_too_slow_for_the_slots_is_to_blame_not_the_generator(wire_server, load):
    slow = profile(max_in_flight=4, drain_s=0.5, think={"median_s": 0.05})
    result = load(wire_server(parallel=1, last_s=0.2, sandbox_status=500).url, profile=slow)
    assert result.broken == []
    table = result.tables["load"]
    assert table["slots_exhausted"] > 5
    assert table["errors"]["censored"] > 5
    assert (value(result, "load.lost_turns") or 0.0) > 5
    assert (value(result, "load.error_rate") or 0.0) > 0.5
    assert (value(result, "load.sched_lag.p50_s") or 0.0) < 0.01


def test_sandboxes_that_cannot_be_made_fail_their_turns_unsent(wire_server, load):
    brief = profile(arrivals={"pattern": "constant", "rate_per_s": 30, "duration_s": 0.5})
    result = load(wire_server(sandbox_status=500).url, sandbox=True, profile=brief)
    assert result.tables["load"]["errors"] == {"no_sandbox": 15}
    assert value(result, "load.error_rate") == 1.0


def test_a_server_that_never_answered_proves_nothing(load):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    brief = profile(arrivals={"pattern": "constant", "rate_per_s": 30, "duration_s": 0.5})
    result = load(f"http://127.0.0.1:{port}", sandbox=True, profile=brief)
    assert result.broken == ["The target never answered a single turn, so there is nothing to judge."]
    assert result.metrics["target.survived"] is None
    assert result.metrics["load.server.peak_pss_bytes"] is None


def test_an_interrupt_passes_through_after_every_process_is_gone(wire_server, load):
    server = wire_server()
    before = children()

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        load(server.url, calibration_s=0.1, progress=interrupt)
    assert time.monotonic() - started < 20
    assert children() == before


def test_a_worker_that_cannot_start_names_its_output(wire_server, load, monkeypatch):
    monkeypatch.setattr(processes, "WORKER_VARIABLE", "SOMETHING_ELSE")
    (reason,) = load(wire_server().url).broken
    assert "ended with status 1" in reason
    log = Path(reason.rsplit(" ", 1)[-1].rstrip("."))
    assert "KeyError" in log.read_text()


def test_a_worker_that_is_never_ready_is_not_waited_for(wire_server, load, monkeypatch):
    monkeypatch.setattr(generators, "READY_S", 0.0)
    (reason,) = load(wire_server().url).broken
    assert "not ready" in reason
    assert children()[1:] == []


def test_a_worker_that_does_not_end_is_stopped(wire_server, load, monkeypatch):
    monkeypatch.setattr(generators, "OVERTIME_S", -5.9)
    (reason,) = load(wire_server().url).broken
    assert "did not end" in reason


def test_a_calibration_server_that_does_not_start_is_named(load, monkeypatch):
    monkeypatch.setattr(processes, "sys", SimpleNamespace(executable="true"))
    with pytest.raises(LoadError, match="calibration"):
        load("http://127.0.0.1:1", calibration_s=0.5)


def test_a_faulty_script_starts_nothing(tmp_path):
    (tmp_path / "script.jsonl").write_text("{}\n")
    plan = LoadPlan(
        profile=profile(), script=tmp_path / "script.jsonl", base_url="http://h", out_dir=tmp_path, server_pid=None, seed=1
    )
    with pytest.raises(ScriptError, match="line 1"):
        run_load(plan)
