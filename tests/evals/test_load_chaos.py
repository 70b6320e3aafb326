"""A server that is killed under load and started again, and what is asked of it afterwards."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from evals import loadsuite
from evals.catalog import load_cards
from evals.chaos import Disturbances, Struck, aftermath
from evals.errors import TargetError, UsageError
from evals.loadsuite import LoadRun, run_load_suite
from evals.suites import SuiteResult
from evals.targets.opening import parse_target
from loadtests.runner import LoadPlan
from loadtests.samples import Sample
from loadtests.script import Conversation, ScriptTurn
from loadtests.traffic import Chaos

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


KILL = Struck(kind="kill", at_s=5.0, for_s=0.0)
WHOLE = {"a": [("u0", "user"), ("u0", "assistant")], "b": [("u1", "user")], "c": [("u3", "user"), ("u3", "assistant")]}
SAMPLES = [
    sample(0, "a", 1.0),
    sample(1, "b", 4.9, "stream_broken"),
    sample(2, None, 5.5, "connect"),
    sample(3, "c", 8.0),
]


def test_nothing_is_lost_where_every_accepted_message_and_every_answer_is_kept():
    with threads(WHOLE) as url:
        found = aftermath(SAMPLES, SCRIPT, url, [KILL])
    assert found.as_row() == {
        "faults": [{"kind": "kill", "at_s": 5.0, "for_s": 0.0, "recovery_s": 3.5}], "failed": 2, "accepted": 3, "answered": 2, "lost": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "lost"),
    [({"b": []}, ["1-1"]), ({"a": [("u0", "user")]}, ["0-1"]), ({"a": None, "c": [("u9", "user")]}, ["0-1", "3-1"])],
)
def test_a_message_or_an_answer_that_is_gone_is_found(missing, lost):
    kept = {thread: rows for thread, rows in {**WHOLE, **missing}.items() if rows is not None}
    with threads(kept) as url:
        assert aftermath(SAMPLES, SCRIPT, url, [KILL]).lost == lost


def test_a_server_that_stays_away_never_recovered():
    with threads(WHOLE) as url:
        assert aftermath(SAMPLES[:2], SCRIPT, url, [KILL]).faults[0]["recovery_s"] is None
    with pytest.raises(TargetError, match="did not answer after its faults were over"):
        aftermath(SAMPLES, SCRIPT, url, [KILL])


class StandIn:
    """A server that only notes what befell it."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.seen: list[Any] = []

    def kill(self) -> None:
        self.seen.append("kill")

    def signal(self, signum: int) -> None:
        self.seen.append(signal.Signals(signum).name)


def writable(store: Path) -> bool:
    if not store.is_dir():
        return False
    with closing(sqlite3.connect(store / "assay.db", timeout=0.0)) as connection:
        try:
            connection.execute("INSERT INTO kept VALUES (1)")
        except sqlite3.OperationalError as error:
            assert "locked" in str(error)
            return False
        connection.rollback()
        return True


def test_each_fault_comes_and_goes_when_the_schedule_says(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    with closing(sqlite3.connect(store / "assay.db")) as connection:
        connection.execute("CREATE TABLE kept (n)")
        connection.commit()
    spells = {"database_locked": (1, 2), "database_gone": (5, 1), "frozen": (4, 1.5)}
    chaos = Chaos.model_validate(
        {name: {"at_s": at, "for_s": length} for name, (at, length) in spells.items()} | {"kill_at_s": 2}
    )
    server = StandIn(store)
    with Disturbances(chaos, server) as disturbances:
        open_at: dict[float, bool] = {}
        for t_s in (0.5, 1.0, 2.0, 2.9, 3.0, 4.0, 5.0, 5.6):
            disturbances.look(t_s)
            open_at[t_s] = writable(store)
        assert open_at == {0.5: True, 1.0: False, 2.0: False, 2.9: False, 3.0: True, 4.0: True, 5.0: False, 5.6: False}
        assert server.seen == ["kill", "SIGSTOP", "SIGCONT"]
    assert writable(store), "a run that ends earlier leaves no fault behind"


def test_a_store_that_cannot_be_locked_is_named(tmp_path):
    chaos = Chaos.model_validate({"database_locked": {"at_s": 1, "for_s": 1}})
    disturbances = Disturbances(chaos, StandIn(tmp_path / "nowhere"))
    with pytest.raises(TargetError, match=r"could not be locked \(unable to open"):
        disturbances.look(1.0)


def test_chaos_that_names_no_fault_is_refused():
    with pytest.raises(ValueError, match="names no fault"):
        Chaos.model_validate({})


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
chaos: {database_locked: {at_s: 0.5, for_s: 0.7}, kill_at_s: 1.5}
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
    kill, lock = chaos["faults"]
    assert (kill["kind"], lock["kind"]) == ("kill", "database_locked")
    assert 0.5 < kill["recovery_s"] < 30
    assert 0.6 < lock["recovery_s"] < kill["recovery_s"] + 1.5, "turns were answered while nothing could be kept"
    survived = result.metrics["target.survived"]
    assert survived is not None and survived.value == 1.0
    error_rate = result.metrics["load.error_rate"]
    assert error_rate is not None and 0.05 < (error_rate.value or 0.0) < 1.0


def test_only_an_own_server_is_killed(tmp_path):
    with pytest.raises(UsageError, match="only a server of our own is struck"):
        run(tmp_path, "http://127.0.0.1:1")
