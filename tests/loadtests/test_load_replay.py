"""What a lost generator left out is played again, and what that run does not claim is said."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from evals.cli.load import beside
from loadtests.campaign import WORKER_VARIABLE
from loadtests.replaying import MARK, UNCLAIMED, Replayed, cannot_replay
from loadtests.runner import LoadPlan, LoadResult, Progress, run_load
from loadtests.samples import read_samples
from loadtests.schedule import plan_sessions
from loadtests.script import read_script
from loadtests.summary import metrics
from loadtests.traffic import TrafficProfile, load_profile
from loadtests.validity import broken

ROOT = Path(__file__).resolve().parents[2]
PROFILE = TrafficProfile.model_validate(
    {
        "name": "short", "model": "none", "arrivals": {"pattern": "poisson", "rate_per_s": 40, "duration_s": 0.9}, "warmup_s": 0.2,
        "max_in_flight": 60, "turn_timeout_s": 5, "drain_s": 5, "objectives": {"response_s": 10, "ttft_s": 10}, "seed": 3,
    }
)  # fmt: skip


def generator(number: int) -> psutil.Process | None:
    """The process that plays this number now."""
    for child in psutil.Process(os.getpid()).children(recursive=True):
        if child.status() != psutil.STATUS_ZOMBIE and child.environ().get(WORKER_VARIABLE) == str(number):
            return child
    return None


class Killer:
    """Kills the first `times` processes that play a generator's number, each on its way."""

    def __init__(self, number: int, times: int) -> None:
        self.number = number
        self.times = times
        self.pids: set[int] = set()

    @property
    def killed(self) -> int:
        return len(self.pids)

    def __call__(self, progress: Progress) -> None:
        if progress.t_s <= 0.6 or self.killed == self.times:
            return
        process = generator(self.number)
        if process is not None and process.pid not in self.pids:
            self.pids.add(process.pid)
            process.send_signal(signal.SIGKILL)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadResult]:
    def run(url: str, killer: Killer, **changes: Any) -> LoadResult:
        row = {"id": "talk", "user_id": "u", "turns": [{"text": "hi"}] * 2}
        (tmp_path / "script.jsonl").write_text(json.dumps(row) + "\n")
        fields: dict[str, Any] = {
            "profile": PROFILE,
            "script": tmp_path / "script.jsonl",
            "out_dir": tmp_path,
            "server_pid": None,
            "seed": 3,
        }
        fields |= {"calibration_s": 0.0, "workers": 2, "progress": killer, "replay_lost": True}
        return run_load(LoadPlan(base_url=url, **fields | changes))

    return run


def planned_names(folder: Path) -> list[str]:
    sessions = plan_sessions(PROFILE, read_script(folder / "script.jsonl"), seed=3)
    return sorted(f"{one.session}-{turn}" for one in sessions if one.phase == "steady" for turn in (1, 2))


def test_a_killed_generators_share_is_played_again_until_no_planned_turn_is_missing(wire_server, load, tmp_path):
    result = load(wire_server(sandbox_status=201).url, Killer(1, times=1))
    assert result.broken == []
    assert sorted(sample.sample for sample in result.measured()) == planned_names(tmp_path)
    lost_turns, response = result.metrics["load.lost_turns"], result.metrics["load.response.p95_s"]
    assert lost_turns is not None and lost_turns.value == 0.0
    assert (
        response is not None and response.n == response.planned == len(planned_names(tmp_path)) and response.method.endswith(MARK)
    )
    table = result.tables["load"]["replayed"]
    assert (table["generators"], table["kept_failed"], table["not_claimed"]) == ([1], 0, UNCLAIMED)
    assert "Load generator 1 ended with status -9" in table["reasons"][0]
    assert table["offset_s"] > 1.1, "the replay began after the run's end"
    assert result.load["replayed"] == "1 of 2", "such a run compares with none that was played whole"
    again = [sample.session for sample in read_samples(tmp_path / "samples/worker-1-replayed.jsonl")]
    assert again and all(session % 2 == 1 for session in again)
    (line,) = [line for line in beside(result.tables["load"]).splitlines() if line.startswith("played again afterwards")]
    assert "generators 1, " in line and line.endswith(UNCLAIMED)
    assert 0 < table["kept_turns"] < len(planned_names(tmp_path)) / 2
    assert (tmp_path / "load/lost/worker-1.jsonl").exists() and not (tmp_path / "samples/worker-1.jsonl").exists()


def test_a_generator_that_is_lost_twice_leaves_the_run_invalid(wire_server, load, tmp_path):
    result = load(wire_server().url, killer := Killer(1, times=2))
    assert killer.killed == 2
    (reason,) = result.broken
    assert "Load generator 1 ended with status -9" in reason and "was lost again in its replay" in reason
    assert 0 < len(list(result.measured())) < len(planned_names(tmp_path))


def test_without_being_asked_nothing_is_played_again(wire_server, load, tmp_path):
    result = load(wire_server().url, Killer(0, times=1), replay_lost=False)
    (reason,) = result.broken
    assert reason.startswith("Load generator 0 ended with status -9")
    assert result.tables["load"]["replayed"] is None
    assert not (tmp_path / "load/replay").exists()


def replayed(**changes: Any) -> Replayed:
    whole = Replayed(lost={0: "It was killed."}, offset_s=12.5, reason="", cpu=0.2, kept_turns=40, kept_failed=0)
    return replace(whole, **changes)


def test_a_replay_hides_no_failure_and_no_busy_generator(planted):
    assert broken(planted.evidence(replayed=replayed())) == []
    (hidden,) = broken(planted.evidence(replayed=replayed(kept_failed=2)))
    assert "2 of 40 turns had failed before their generator was lost" in hidden
    (busy,) = broken(planted.evidence(replayed=replayed(cpu=0.93)))
    assert busy.startswith("The replay's generator kept 0.93 processors busy")


def test_every_figure_of_such_a_run_says_so(planted):
    assert all(MARK in value.method for value in metrics(planted.evidence(replayed=replayed())).values() if value is not None)
    assert not any(MARK in value.method for value in metrics(planted.evidence()).values() if value is not None)


@pytest.mark.parametrize(
    ("name", "why"),
    [("users-1000", "closed loop"), ("ws-hold", "WebSockets"), ("chaos", "strike by the clock"), ("bursty", ""), ("trace", "")],
)
def test_what_must_happen_at_one_time_is_not_made_up_for_later(name, why):
    told = cannot_replay(load_profile(ROOT / f"datasets/traffic/{name}.yaml"))
    assert why in told and bool(why) == bool(told)
