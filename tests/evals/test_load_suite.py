"""The load suite against a real server in its own process: its faults are seen as what they are."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from evals.catalog import load_cards
from evals.errors import TargetError
from evals.loadsuite import LoadRun, run_load_suite
from evals.suites import SuiteResult
from evals.targets.opening import parse_target

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def profile(tmp_path: Path, model: str, *, rate: float = 6, seconds: float = 6) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(
        f"""\
name: short
model: {model}
arrivals: {{pattern: poisson, rate_per_s: {rate}, duration_s: {seconds}}}
warmup_s: 1
max_in_flight: 60
turn_timeout_s: 10
drain_s: 10
objectives: {{response_s: 2.0, ttft_s: 1.0}}
seed: 7
"""
    )
    return path


def run(tmp_path: Path, model: str, **shape: float) -> SuiteResult:
    cards = [card for card in load_cards(ROOT / "datasets/qsr/scenarios/safety") if len(card.turns) == 1][:6]
    load = LoadRun(
        pack="qsr",
        profile=profile(tmp_path, model, **shape),
        target=parse_target("inprocess"),
        folder=tmp_path,
        environ=os.environ,
    )
    return run_load_suite(cards, load, lambda name, done, total: None)


def value(result: SuiteResult, name: str) -> float:
    estimate = result.metrics[name]
    assert estimate is not None and estimate.value is not None
    return estimate.value


@pytest.mark.slow
def test_a_model_that_stalls_for_three_seconds_shows_in_the_tail(tmp_path: Path) -> None:
    result = run(tmp_path, "paced:ttft_ms=20,gap_ms=1,tokens=10,stall_s=3,stall_every=5")
    assert value(result, "load.response.p95_s") > 2.5
    assert value(result, "target.survived") == 1


@pytest.mark.slow
def test_a_server_killed_in_the_middle_did_not_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evals import loadsuite

    serve = loadsuite.served_assistant

    def doomed(*args: object, **kwargs: object):  # type: ignore[no-untyped-def]
        from contextlib import contextmanager

        @contextmanager
        def manager():  # type: ignore[no-untyped-def]
            with serve(*args, **kwargs) as served:  # type: ignore[arg-type]
                timer = threading.Timer(8.0, os.killpg, (served.pid, signal.SIGKILL))
                timer.start()
                try:
                    yield served
                finally:
                    timer.cancel()
                    timer.join()

        return manager()

    monkeypatch.setattr(loadsuite, "served_assistant", doomed)
    result = run(tmp_path, "paced:ttft_ms=20,gap_ms=1,tokens=10", seconds=14, rate=5)
    assert value(result, "target.survived") == 0
    assert value(result, "load.error_rate") > 0.1


def test_a_server_that_never_comes_up_is_said_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="did not start"):
        run(tmp_path, "no-such-model")
