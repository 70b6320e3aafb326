"""Whole short runs of every kind of traffic against a small real server, and the shipped profiles shortened."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest

from loadtests.runner import LoadPlan, LoadResult, Progress, run_load
from loadtests.traffic import Hold, TrafficProfile, Users, load_profile

SHIPPED = Path(__file__).parents[2] / "datasets" / "traffic"


def profile(**changes: Any) -> TrafficProfile:
    fields: dict[str, Any] = {
        "name": "short",
        "model": "none",
        "arrivals": {"pattern": "poisson", "rate_per_s": 30, "duration_s": 1.0},
        "warmup_s": 0.2,
        "max_in_flight": 60,
        "turn_timeout_s": 5,
        "drain_s": 5,
        "objectives": {"response_s": 10, "ttft_s": 10},
        "seed": 3,
    }
    return TrafficProfile.model_validate(fields | changes)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadResult]:
    def run(url: str, traffic: TrafficProfile, *, turns: int = 2, **changes: Any) -> LoadResult:
        row = {"id": "talk", "user_id": "u", "turns": [{"text": "hi"}] * turns}
        row["sandbox"] = {"pack": "p", "fixtures": {}, "faults": []}
        (tmp_path / "script.jsonl").write_text(json.dumps(row) + "\n")
        fields: dict[str, Any] = {"calibration_s": 0.0, "seed": 3, "server_pid": None} | changes
        return run_load(LoadPlan(profile=traffic, script=tmp_path / "script.jsonl", base_url=url, out_dir=tmp_path, **fields))

    return run


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def value(result: LoadResult, name: str) -> float | None:
    estimate = result.metrics[name]
    assert estimate is not None
    return estimate.value


CLOSED = {"pattern": "closed", "users": 20, "duration_s": 1.5, "ramp_s": 0.3}


def test_users_of_a_closed_loop_think_and_go_on_with_a_new_conversation(wire_server, load):
    server = wire_server(sandbox_status=201)
    page = free_port()
    seen: list[dict[str, Any]] = []

    def look(progress: Progress) -> None:
        if progress.done > 20 and not seen:
            with urlopen(f"http://127.0.0.1:{page}/stats/requests", timeout=5) as reply:
                seen.append(json.load(reply))

    traffic = profile(arrivals=CLOSED, think={"median_s": 0.2, "sigma": 0}, warmup_s=0.5)
    result = load(server.url, traffic, workers=2, web_port=page, progress=look)
    assert {row["name"] for row in seen[0]["stats"]} >= {"warmup", "steady"}, "Locust's page shows the turns"
    assert result.broken == []
    measured = list(result.measured())
    # A turn takes 40 ms and its thought 200 ms: 20 users make about 83 turns a second, fewer on a busy machine, 500 without a thought.
    assert 30 <= (value(result, "load.throughput_per_s") or 0) <= 85
    assert value(result, "load.lost_turns") == 0
    assert value(result, "load.error_rate") == 0
    assert result.planned_turns == len(measured)
    users = {sample.session % 20 for sample in measured}
    assert users == set(range(20))
    assert len({sample.session for sample in measured}) > 30
    assert len({sample.sandbox for sample in measured}) == len({sample.session for sample in measured})
    assert all(0.5 <= sample.t_plan < 2.0 for sample in measured)
    by_user = sorted((sample for sample in measured if sample.session % 20 == 0), key=lambda sample: sample.t_plan)
    for before, after in pairwise(by_user):
        assert after.t_plan == pytest.approx((before.t_done or 0) + 0.2)


def test_a_slow_server_slows_its_users_down_and_is_not_called_slow_for_the_turns_they_never_sent(wire_server, load):
    slow = wire_server(sandbox_status=404, parallel=1, last_s=0.05)
    result = load(slow.url, profile(arrivals=CLOSED | {"users": 10}, think={"median_s": 0.1, "sigma": 0}))
    assert result.broken == []
    # One turn at a time of 70 ms: about 14 a second whatever the users wish.
    assert 9 <= (value(result, "load.throughput_per_s") or 0) <= 15
    assert value(result, "load.lost_turns") == 0


def test_users_cut_off_by_the_end_of_the_drain_are_censored(wire_server, load):
    stuck = wire_server(sandbox_status=404, stall_at=100, stall_s=30)
    result = load(stuck.url, profile(arrivals=CLOSED, think={"median_s": 0.1, "sigma": 0}, drain_s=0.3, turn_timeout_s=60))
    assert result.broken == []
    assert result.tables["load"]["errors"] == {"censored": 20}
    assert value(result, "load.lost_turns") == 0


@pytest.mark.parametrize("transport", ["websocket", "sse"])
def test_a_leak_between_conversations_is_found(wire_server, load, transport):
    result = load(wire_server(leak_every=20).url, profile(canary=True, transport=transport), turns=1)
    leaks = value(result, "load.leaks")
    assert leaks is not None and 1 <= leaks <= 6
    assert len(result.tables["load"]["leaks"]) == leaks


HOLD = {"connections": 60, "connect_per_s": 300, "ping_every_s": 0.2}


def test_sockets_are_held_and_their_pings_timed(wire_server, load):
    result = load(wire_server(ping_every=0.3, pong_within=0.2).url, profile(hold=HOLD, warmup_s=0.6), workers=2)
    assert result.broken == []
    assert value(result, "websockets.held") == 60
    rows = result.tables["load"]["held"]
    assert [row["planned"] for row in rows] == [30, 30]
    assert sum(row["pongs"] for row in rows) > 200
    assert all(row["lost"] == row["failed"] == 0 and 0 < row["ping_rtt_p95_s"] < 0.5 for row in rows)
    assert json.loads(json.dumps(result.tables, allow_nan=False)) == result.tables


@pytest.mark.parametrize(
    ("options", "field"),
    [({"close_after": 0.7}, "lost"), ({"socket_status": 503}, "failed"), ({"deaf": True}, "lost")],
)
def test_sockets_that_are_lost_are_counted(wire_server, load, options, field):
    brief = {"pattern": "poisson", "rate_per_s": 30, "duration_s": 0.6}
    result = load(wire_server(**options).url, profile(hold=HOLD, warmup_s=0.5, arrivals=brief))
    (row,) = result.tables["load"]["held"]
    assert row[field] > 40
    assert (value(result, "websockets.held") or 0) < 30


def shortened(name: str) -> TrafficProfile:
    """A shipped profile for a second or two, with the same shape."""
    shipped = load_profile(SHIPPED / f"{name}.yaml")
    arrivals = shipped.arrivals
    changes: dict[str, Any] = {"duration_s": 0.8}
    if isinstance(arrivals, Users):
        changes |= {"users": 30, "ramp_s": 0.3}
    elif arrivals.pattern == "trace":
        changes |= {"speed": 8.0, "duration_s": 1.0}
    update: dict[str, Any] = {"arrivals": arrivals.model_copy(update=changes), "warmup_s": 0.2, "drain_s": 3.0}
    if shipped.think is not None:
        update["think"] = shipped.think.model_copy(update={"median_s": 0.1})
    if shipped.hold is not None:
        update["hold"] = Hold(connections=50, connect_per_s=500, ping_every_s=0.5)
    return shipped.model_copy(update=update)


@pytest.mark.slow
@pytest.mark.parametrize("name", "bursty shared-prefix ws-hold ws-talk soak users-1000 ramp trace".split())
def test_shipped_profiles_run_in_short(wire_server, load, name):
    result = load(wire_server(sandbox_status=201).url, shortened(name))
    assert result.broken == []
    assert value(result, "load.error_rate") == 0.0
    assert list(result.measured())
    assert ("soak.availability" in result.metrics) == (name == "soak")
    assert ("websockets.held" in result.metrics) == (name == "ws-hold")
    assert ("load.leaks" in result.metrics) == (name in {"bursty", "soak", "ws-talk"})
    if "load.leaks" in result.metrics:
        assert value(result, "load.leaks") == 0
        assert all("(ref-" in sample.text for sample in result.measured())
    if name == "ws-talk":
        talks = Counter(sample.session for sample in result.measured())
        assert max(talks.values()) == 2
        assert len({(sample.session, sample.text) for sample in result.measured()}) == len(talks), "a thread was lost"


def test_a_killed_generator_makes_the_run_invalid_and_keeps_its_samples(wire_server, load):
    """Two processes share the schedule; one is killed in the middle."""
    killed: list[int] = []

    def kill(seen: Progress) -> None:
        if not killed and seen.done > 10:
            workers = [child for child in psutil.Process().children() if "locust" in " ".join(child.cmdline())]
            killed.append(workers[0].pid)
            workers[0].kill()

    result = load(wire_server(sandbox_status=201).url, profile(), workers=2, progress=kill)
    (reason,) = result.broken
    assert "ended with status -9" in reason
    assert len(list(result.measured())) > 20
