"""A server that is killed under load and started again, and what is asked of it afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from evals import loadsuite
from evals.catalog import load_cards
from evals.chaos import aftermath
from evals.errors import TargetError, UsageError
from evals.loadsuite import LoadRun, run_load_suite
from evals.suites import SuiteResult
from evals.targets.opening import parse_target
from loadtests.runner import LoadPlan
from loadtests.samples import Sample
from loadtests.script import Conversation, ScriptTurn

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = [Conversation(id="talk", user_id="ann", turns=[ScriptTurn(text="hi")])]


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(loadsuite, "LoadPlan", partial(LoadPlan, calibration_s=0.0))


def sample(number: int, thread: str | None, t_send: float, outcome: str = "ok") -> Sample:
    meta = {"type": "meta", "thread_id": thread, "turn_id": f"u{number}"}
    fields: dict[str, Any] = dict.fromkeys(("t_first", "t_last", "status", "agent", "output_tokens", "sandbox"))
    fields |= {"sample": f"{number}-1", "session": number, "conversation": "talk", "turn": 1, "phase": "steady", "text": ""}
    fields |= {"t_plan": t_send, "t_send": t_send, "t_done": t_send + 0.5, "outcome": outcome, "events": [meta] if thread else []}
    return Sample(**fields)


@contextmanager
def threads(kept: dict[str, list[tuple[str, str]]]) -> Iterator[str]:
    """A server that has these threads: (turn, role) by thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            thread = self.path.split("/")[-1].split("?")[0]
            body = json.dumps({"messages": [{"turn_id": turn, "role": role} for turn, role in kept.get(thread, [])]}).encode()
            self.send_response(200 if thread in kept else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


WHOLE = {"a": [("u0", "user"), ("u0", "assistant")], "b": [("u1", "user")], "c": [("u3", "user"), ("u3", "assistant")]}
SAMPLES = [
    sample(0, "a", 1.0),
    sample(1, "b", 4.9, "stream_broken"),
    sample(2, None, 5.5, "connect"),
    sample(3, "c", 8.0),
]


def test_nothing_is_lost_where_every_accepted_message_and_every_answer_is_kept():
    with threads(WHOLE) as url:
        found = aftermath(SAMPLES, SCRIPT, url, killed_at_s=5.0)
    assert found.as_row() == {
        "killed_at_s": 5.0, "recovery_s": 3.5, "failed": 2, "accepted": 3, "answered": 2, "lost": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "lost"),
    [({"b": []}, ["1-1"]), ({"a": [("u0", "user")]}, ["0-1"]), ({"a": None, "c": [("u9", "user")]}, ["0-1", "3-1"])],
)
def test_a_message_or_an_answer_that_is_gone_is_found(missing, lost):
    kept = {thread: rows for thread, rows in {**WHOLE, **missing}.items() if rows is not None}
    with threads(kept) as url:
        assert aftermath(SAMPLES, SCRIPT, url, killed_at_s=5.0).lost == lost


def test_a_server_that_stays_away_never_recovered():
    with threads(WHOLE) as url:
        assert aftermath(SAMPLES[:2], SCRIPT, url, killed_at_s=5.0).recovery_s is None
    with pytest.raises(TargetError, match="did not answer after it was started again"):
        aftermath(SAMPLES, SCRIPT, url, killed_at_s=5.0)


def run(tmp_path: Path, target: str = "inprocess") -> SuiteResult:
    profile = tmp_path / "chaos.yaml"
    profile.write_text(
        """\
name: chaos
model: paced:ttft_ms=100,gap_ms=10,tokens=30
arrivals: {pattern: poisson, rate_per_s: 10, duration_s: 6.5}
warmup_s: 0.3
max_in_flight: 100
turn_timeout_s: 10
drain_s: 10
objectives: {response_s: 2.0, ttft_s: 1.0}
chaos: {kill_at_s: 1.5}
seed: 7
"""
    )
    cards = [card for card in load_cards(ROOT / "datasets/qsr/scenarios/safety") if len(card.turns) == 1][:6]
    load = LoadRun(pack="qsr", profile=profile, target=parse_target(target), folder=tmp_path, environ=os.environ)
    return run_load_suite(cards, load, lambda name, done, total: None)


@pytest.mark.slow
def test_turns_accepted_before_the_kill_are_kept_and_the_run_goes_on(tmp_path):
    result = run(tmp_path)
    chaos = result.tables["load"]["chaos"]
    assert chaos["lost"] == []
    assert chaos["accepted"] > 10
    assert chaos["failed"] > 3
    assert 0.5 < chaos["recovery_s"] < 30
    survived = result.metrics["target.survived"]
    assert survived is not None and survived.value == 1.0
    error_rate = result.metrics["load.error_rate"]
    assert error_rate is not None and 0.05 < (error_rate.value or 0.0) < 1.0


def test_only_an_own_server_is_killed(tmp_path):
    with pytest.raises(UsageError, match="only a server of our own"):
        run(tmp_path, "http://127.0.0.1:1")
