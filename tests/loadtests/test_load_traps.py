"""Traps of load tests, each with what falls into it: the reference's section on what Locust and others get wrong."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtests.processes import ROOT
from loadtests.runner import LoadPlan, LoadResult, run_load
from loadtests.schedule import plan_sessions
from loadtests.script import read_script
from loadtests.summary import metrics
from loadtests.traffic import TrafficProfile

LONG_S = 1.0
QUEUE_S = 0.01
RATE_PER_S = 50


def profile(**changes: Any) -> TrafficProfile:
    fields: dict[str, Any] = {
        "name": "trap",
        "model": "none",
        "arrivals": {"pattern": "poisson", "rate_per_s": RATE_PER_S, "duration_s": 4},
        "warmup_s": 0.5,
        "max_in_flight": 500,
        "turn_timeout_s": 10,
        "drain_s": 5,
        "objectives": {"response_s": 2, "ttft_s": 2},
        "seed": 11,
    }
    return TrafficProfile.model_validate(fields | changes)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadResult]:
    def run(url: str, traffic: TrafficProfile, turns: int = 1) -> LoadResult:
        row = {"id": "talk", "user_id": "u", "turns": [{"text": "hi"}] * turns}
        script = tmp_path / "script.jsonl"
        script.write_text(json.dumps(row) + "\n")
        plan = LoadPlan(
            profile=traffic, script=script, base_url=url, out_dir=tmp_path, server_pid=None, seed=traffic.seed, calibration_s=0
        )
        return run_load(plan)

    return run


def p95(result: LoadResult) -> float:
    estimate = result.metrics["load.response.p95_s"]
    assert estimate is not None and estimate.value is not None
    return estimate.value


def replayed_p95(traffic: TrafficProfile, script: Path, long_at: int, service_s: float) -> float:
    """p95 of the responses of a queue with one server, turn by turn: each starts when it arrives and the one before has ended."""
    free_at, responses = 0.0, []
    for number, session in enumerate(plan_sessions(traffic, read_script(script), seed=traffic.seed), start=1):
        took = QUEUE_S + (LONG_S if number == long_at else 0.0)
        free_at = max(session.t_plan, free_at) + took
        if session.phase == "steady":
            responses.append(free_at - session.t_plan + service_s)
    return sorted(responses)[math.ceil(0.95 * len(responses)) - 1]


@pytest.mark.slow
def test_a_stall_is_seen_as_an_exact_replay_of_the_queue_says_and_a_closed_loop_does_not_see_it(wire_server, load, tmp_path):
    """A stall of one second in four at 50 turns a second, the server half busy: the backlog needs another second to go."""
    answer = {"first_s": 0.0, "last_s": 0.0, "queue_s": QUEUE_S}
    for attempt in range(2):
        result = load(wire_server(**answer, long_at=100, long_s=LONG_S).url, profile())
        exact = replayed_p95(profile(), tmp_path / "script.jsonl", 100, 0.0)
        if abs(p95(result) / exact - 1) <= 0.02 or attempt:
            break
    assert result.broken == []
    assert 0.5 < exact < 1.0
    assert p95(result) == pytest.approx(exact, rel=0.02)
    users = {"pattern": "closed", "users": 3, "duration_s": 3}
    closed = load(wire_server(**answer, long_at=100, long_s=LONG_S).url, profile(arrivals=users, think={"median_s": 0.05}))
    assert p95(closed) < 0.2 * exact


@pytest.mark.parametrize("true_s", [1.951, 1.96, 2.04, 2.049])
def test_a_percentile_near_its_limit_is_not_rounded_to_it(planted, true_s):
    """Locust keeps two digits: all of these would be 2.0 s."""
    samples = [planted.sample(n, t_done=0.1 * (n + 1) + true_s) for n in range(100)]
    found = metrics(planted.evidence(samples=samples))["load.response.p95_s"]
    assert found is not None
    assert found.value == pytest.approx(true_s, abs=1e-6)
    assert (found.value < 2.0) == (true_s < 2.0)


def test_no_duration_is_taken_from_the_wall_clock():
    for path in sorted((ROOT / "loadtests").glob("*.py")):
        assert not re.search(r"\btime\.time\(|datetime\.now|utcnow", path.read_text()), path


def test_more_turns_than_a_client_pool_has_places_are_in_flight_and_each_is_one_row_for_locust(wire_server, load, tmp_path):
    """Locust's client queues silently beyond ten requests of a user; one row per turn keeps its own table meaningful; and a run with
    failed turns ends without an error of the generator."""
    traffic = profile(arrivals={"pattern": "constant", "rate_per_s": 60, "duration_s": 0.7}, warmup_s=0.8)
    result = load(wire_server(first_s=0.5, error_every=20).url, traffic)
    assert result.broken == []
    assert set(result.tables["load"]["errors"]) == {"http_5xx"}
    assert max(row["in_flight"] or 0 for row in result.tables["load_series"]) > 20
    assert (result.tables["load"]["send_delay_s"]["p99"] or 0) < 0.2
    (total,) = [line for line in (tmp_path / "load" / "locust-0.log").read_text().splitlines() if "Aggregated" in line][:1]
    assert int(total.split()[1]) >= 60


def test_the_first_word_is_seen_when_it_comes_not_when_a_buffer_is_full(wire_server, load):
    """Line readers hold back up to a kilobyte: the word would be seen with the rest, half a second later."""
    traffic = profile(arrivals={"pattern": "constant", "rate_per_s": 20, "duration_s": 0.6}, warmup_s=0)
    result = load(wire_server(first_s=0.1, last_s=0.5).url, traffic)
    assert 0.1 <= result.tables["load"]["ttft_s"]["p50"] < 0.3
    assert result.tables["load"]["response_s"]["p50"] >= 0.6


def test_turns_in_flight_at_the_end_are_drained_not_dropped(wire_server, load):
    started = time.monotonic()
    traffic = profile(arrivals={"pattern": "constant", "rate_per_s": 20, "duration_s": 0.5}, warmup_s=0)
    result = load(wire_server(first_s=0.0, last_s=1.0).url, traffic)
    assert time.monotonic() - started < 15
    measured = list(result.measured())
    assert (len(measured), {sample.outcome for sample in measured}) == (10, {"ok"})
    assert max(sample.t_done or 0.0 for sample in measured) > 1.4
