"""The load suite against a real server in its own process: its faults are seen as what they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evals import loadsuite
from evals.catalog import load_cards
from evals.errors import TargetError
from evals.loadsuite import LoadRun, run_load_suite
from evals.serving import Served
from evals.suites import Progress, SuiteResult
from evals.targets.opening import parse_target
from loadtests.runner import LoadPlan

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(loadsuite, "LoadPlan", partial(LoadPlan, calibration_s=0.0))


def profile(tmp_path: Path, model: str, *, rate: float = 8, seconds: float = 2) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(
        f"""\
name: short
model: {model}
arrivals: {{pattern: poisson, rate_per_s: {rate}, duration_s: {seconds}}}
warmup_s: 0.3
max_in_flight: 60
turn_timeout_s: 10
drain_s: 10
objectives: {{response_s: 2.0, ttft_s: 1.0}}
seed: 7
"""
    )
    return path


def quiet(name: str, done: int, total: int) -> None:
    return None


def run(tmp_path: Path, model: str, progress: Progress = quiet, **shape: float) -> SuiteResult:
    cards = [card for card in load_cards(ROOT / "datasets/qsr/scenarios/safety") if len(card.turns) == 1][:6]
    load = LoadRun(
        pack="qsr",
        profile=profile(tmp_path, model, **shape),
        target=parse_target("inprocess"),
        folder=tmp_path,
        environ=os.environ,
    )
    return run_load_suite(cards, load, progress)


def value(result: SuiteResult, name: str) -> float:
    estimate = result.metrics[name]
    assert estimate is not None and estimate.value is not None
    return estimate.value


@pytest.mark.slow
def test_a_model_that_stalls_shows_in_the_tail(tmp_path: Path) -> None:
    result = run(tmp_path, "paced:ttft_ms=20,gap_ms=1,tokens=10,stall_s=1.2,stall_every=7")
    assert value(result, "load.response.p95_s") > 1.1
    assert value(result, "target.survived") == 1


@pytest.mark.slow
def test_a_server_killed_in_the_middle_did_not_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = list[int]()

    @contextmanager
    def stand_in(arguments: Sequence[str], **options: Any) -> Generator[Served]:
        command = [sys.executable, str(ROOT / "tests/loadtests/wire_server.py"), '{"sandbox_status": 201}']
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
            assert process.stdout is not None
            pids.append(process.pid)
            yield Served(url=f"http://127.0.0.1:{int(process.stdout.readline())}", pid=process.pid)

    def kill(name: str, done: int, total: int) -> None:
        if pids and done >= 1:
            os.killpg(pids.pop(), signal.SIGKILL)

    monkeypatch.setattr(loadsuite, "served_assistant", stand_in)
    result = run(tmp_path, "paced:ttft_ms=20,gap_ms=1,tokens=10", kill, seconds=2.2)
    assert value(result, "target.survived") == 0
    assert value(result, "load.error_rate") > 0.1


def test_a_server_that_never_comes_up_is_said_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="did not start"):
        run(tmp_path, "no-such-model")
