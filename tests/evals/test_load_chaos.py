"""A server that is killed under load and started again, and what is asked of it afterwards."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from assistant.models.paced import parse_paced
from evals import loadsuite
from evals.aftermath import Struck, aftermath
from evals.catalog import load_cards
from evals.chaos import Disturbances, faulty
from evals.cli.load import beside
from evals.errors import TargetError, UsageError
from evals.loadsuite import LoadRun, run_load_suite
from evals.serving import Served
from evals.suites import SuiteResult
from evals.targets.opening import parse_target
from loadtests.runner import LoadPlan
from loadtests.samples import Sample
from loadtests.script import Conversation, ScriptTurn
from loadtests.traffic import Chaos, TrafficError, load_profile

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
        "faults": [{"kind": "kill", "at_s": 5.0, "for_s": 0.0, "recovery_s": 3.5, "errors": {"stream_broken": 1, "connect": 1}, "without_model": 0}], "failed": 2, "accepted": 3, "answered": 2, "lost": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "lost"),
    [({"b": []}, ["1-1"]), ({"a": [("u0", "user")]}, ["0-1"]), ({"a": None, "c": [("u9", "user")]}, ["0-1", "3-1"])],
)
def test_a_message_or_an_answer_that_is_gone_is_found(missing, lost):
    kept = {thread: rows for thread, rows in {**WHOLE, **missing}.items() if rows is not None}
    with threads(kept) as url:
        assert aftermath(SAMPLES, SCRIPT, url, [KILL]).lost == lost


def test_what_failed_while_a_fault_went_on_is_told_apart_from_what_failed_otherwise():
    early, late = sample(4, None, 1.0, "timeout"), sample(5, None, 9.0, "http_5xx")
    with threads(WHOLE) as url:
        spells = [KILL, Struck(kind="frozen", at_s=8.6, for_s=2.0)]
        kill, frozen = aftermath([*SAMPLES, early, late], SCRIPT, url, spells).faults
    assert kill["errors"] == {"stream_broken": 1, "connect": 1}
    assert (frozen["errors"], frozen["recovery_s"]) == ({"http_5xx": 1}, None)


def test_a_turn_that_needed_no_model_says_nothing_about_its_recovery():
    usage = {"type": "usage", "model_calls": 1}
    answered = [replace(one, events=[*one.events, usage | {"model_calls": int(one.sample == "3-1")}]) for one in SAMPLES]
    early = replace(answered[0], t_send=5.2, t_done=5.3)
    failed = {"type": "error", "code": "model_failed"}
    fallback = replace(answered[3], t_send=5.4, t_done=5.6, events=[*answered[3].events, failed])
    with threads(WHOLE) as url:
        spells = [Struck(kind="model stall", at_s=5.0, for_s=2.0), Struck(kind="frozen", at_s=5.0, for_s=2.0)]
        stall, frozen = aftermath([early, fallback, *answered[1:]], SCRIPT, url, spells).faults
    assert (stall["recovery_s"], round(frozen["recovery_s"], 3)) == (3.5, 0.3)
    assert stall["without_model"] == 1


def test_a_server_that_stays_away_never_recovered():
    with threads(WHOLE) as url:
        assert aftermath(SAMPLES[:2], SCRIPT, url, [KILL]).faults[0]["recovery_s"] is None
    with pytest.raises(TargetError, match="did not answer after its faults were over"):
        aftermath(SAMPLES, SCRIPT, url, [KILL])


class StandIn:
    """A server that only notes what befell it."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.database: Any = None
        self.served = Served(url="", pid=os.getpid())
        self.model_faults = store / "model-faults.json"
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


def test_a_full_disk_lets_the_servers_process_write_nothing_and_is_empty_again_afterwards(tmp_path):
    loop = "import pathlib, sys\nfor line in sys.stdin:\n try: pathlib.Path(line[:-1]).write_text('x'); print('kept')\n except OSError as error: print(error.strerror)"
    with subprocess.Popen([sys.executable, "-uc", loop], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        server = StandIn(tmp_path)
        server.served = Served(url="", pid=process.pid)
        seen: list[str] = []
        with Disturbances(Chaos.model_validate({"disk_full": {"at_s": 1, "for_s": 1}}), server) as disturbances:
            for t_s in (0.5, 1.0, 2.0):
                disturbances.look(t_s)
                process.stdin.write(f"{tmp_path}/{t_s}\n")
                process.stdin.flush()
                seen.append(process.stdout.readline().strip())
        process.stdin.close()
    assert seen == ["kept", "File too large", "kept"]


def test_a_postgresql_database_is_taken_away_instead_of_a_folder(tmp_path):
    server = StandIn(tmp_path / "store")
    server.database = SimpleNamespace(
        take_away=lambda: server.seen.append("taken away"), give_back=lambda: server.seen.append("given back")
    )
    with Disturbances(Chaos.model_validate({"database_gone": {"at_s": 1, "for_s": 1}}), server) as disturbances:
        disturbances.look(1.0)
        assert server.seen == ["taken away"]
    assert server.seen == ["taken away", "given back"]
    with pytest.raises(UsageError, match=r"database_locked: is of SQLite, .* leave --database away"):
        Disturbances(Chaos.model_validate({"database_locked": {"at_s": 1, "for_s": 1}}), server)


def test_a_models_faults_come_and_go_and_end_by_themselves(tmp_path):
    spells = [{"at_s": 1, "for_s": 1, "fault": "stall"}, {"at_s": 2, "for_s": 1, "fault": "slow", "factor": 3}]
    server = StandIn(tmp_path)
    with Disturbances(Chaos.model_validate({"model": spells}), server) as disturbances:
        seen: list[tuple[str, float] | None] = []
        for t_s in (0.5, 1.0, 2.0, 2.0, 3.0):
            disturbances.look(t_s)
            row = json.loads(server.model_faults.read_text()) if server.model_faults.exists() else None
            seen.append((row["fault"], row["factor"]) if row else None)
            assert row is None or 0.5 < row["until"] - time.monotonic() <= 1.0
        assert seen == [None, ("stall", 5.0), None, ("slow", 3.0), None] or seen[2:4] == [("slow", 3.0)] * 2


@pytest.mark.parametrize(
    ("chaos", "model", "fault"),
    [
        (
            [{"at_s": 1, "for_s": 2, "fault": "stall"}, {"at_s": 2, "for_s": 1, "fault": "cut"}],
            "paced:",
            "stall at 1 s and cut at 2 s overlap",
        ),
        ([{"at_s": 1, "for_s": 2, "fault": "stall"}], "embedded", "only a paced: model fails by the clock, not 'embedded'"),
        ([{"at_s": 1, "for_s": 2, "fault": "flood"}], "paced:", "chaos.model.0.fault: Input should be 'stall', 'slow'"),
    ],
)
def test_faults_of_a_model_that_cannot_be_played_are_usage_errors(tmp_path, chaos, model, fault):
    profile = yaml.safe_load((ROOT / "datasets/traffic/chaos-model.yaml").read_text())
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({**profile, "model": model, "chaos": {"model": chaos}}))
    with pytest.raises(TrafficError, match=fault):
        load_profile(tmp_path / "p.yaml")


def test_a_paced_model_is_told_where_its_faults_are(tmp_path):
    for name in ("paced:", "paced:ttft_ms=5,of=embedded"):
        told = parse_paced(faulty(name, tmp_path / "f.json").removeprefix("paced:"))
        assert told.faults == (tmp_path / "f.json").resolve()
    assert (told.pace.ttft_ms, told.inner) == (5, "embedded")


def test_a_store_that_cannot_be_locked_is_named(tmp_path):
    chaos = Chaos.model_validate({"database_locked": {"at_s": 1, "for_s": 1}})
    disturbances = Disturbances(chaos, StandIn(tmp_path / "nowhere"))
    with pytest.raises(TargetError, match=r"could not be locked \(unable to open"):
        disturbances.look(1.0)


def test_chaos_that_names_no_fault_is_refused():
    with pytest.raises(ValueError, match="names no fault"):
        Chaos.model_validate({})


STRUCK = "{database_locked: {at_s: 0.5, for_s: 0.7}, kill_at_s: 1.5}"


def run(
    tmp_path: Path,
    target: str = "inprocess",
    chaos: str = STRUCK,
    duration_s: float = 6.5,
    rate: int = 10,
    database: str | None = None,
) -> SuiteResult:
    profile = tmp_path / "chaos.yaml"
    profile.write_text(
        f"""\
name: chaos
model: paced:ttft_ms=100,gap_ms=10,tokens=30
arrivals: {{pattern: poisson, rate_per_s: {rate}, duration_s: {duration_s}}}
warmup_s: 0.3
max_in_flight: 100
turn_timeout_s: 10
drain_s: 10
objectives: {{response_s: 2.0, ttft_s: 1.0}}
chaos: {chaos}
seed: 7
"""
    )
    cards = [card for card in load_cards(ROOT / "datasets/qsr/scenarios/safety") if len(card.turns) == 1][:6]
    load = LoadRun(
        pack="qsr", profile=profile, target=parse_target(target), folder=tmp_path, environ=os.environ, database=database
    )
    return run_load_suite(cards, load, lambda name, done, total: None)


@pytest.mark.slow
def test_turns_accepted_before_the_kill_are_kept_and_the_run_goes_on(tmp_path):
    result = run(tmp_path, duration_s=9)
    chaos = result.tables["load"]["chaos"]
    assert chaos["lost"] == []
    assert chaos["accepted"] > 0
    assert chaos["failed"] > 3
    kill, lock = chaos["faults"]
    assert (kill["kind"], lock["kind"]) == ("kill", "database_locked")
    assert 0.5 < kill["recovery_s"] < 30
    assert 0.6 < lock["recovery_s"] < kill["recovery_s"] + 1.5, "turns were answered while nothing could be kept"
    survived = result.metrics["target.survived"]
    assert survived is not None and survived.value == 1.0
    error_rate = result.metrics["load.error_rate"]
    assert error_rate is not None and 0.05 < (error_rate.value or 0.0) < 1.0


@pytest.mark.slow
def test_a_failing_model_and_a_full_disk_fail_the_turns_of_their_time_and_lose_none(tmp_path):
    chaos = "{disk_full: {at_s: 4.8, for_s: 0.8}, model: [{at_s: 0.6, for_s: 0.8, fault: stall}, {at_s: 3.0, for_s: 0.8, fault: error}]}"
    result = run(tmp_path, chaos=chaos, duration_s=6.5, rate=5)
    assert result.broken == []
    told = result.tables["load"]["chaos"]
    assert told["lost"] == []
    disk, stall, error = told["faults"]
    assert (stall["kind"], error["kind"]) == ("model stall", "model error")
    assert set(stall["errors"]) <= {"agent_error"}, "a slow machine may still be at these turns when the model fails"
    assert stall["recovery_s"] > 0.7, "nobody was answered while the model stood still"
    assert set(error["errors"]) == {"agent_error"} and error["errors"]["agent_error"] > 0
    assert disk["errors"]["http_5xx"] > 0 and set(disk["errors"]) <= {"http_5xx", "agent_error"}
    assert 0.7 < disk["recovery_s"] < 12, "the server goes on without a restart"
    assert 0.7 < error["recovery_s"] < 12
    assert "failed meanwhile: agent_error" in beside(result.tables["load"])


@pytest.mark.slow
def test_a_server_whose_postgresql_database_is_away_recovers_by_itself(postgresql, tmp_path):
    result = run(tmp_path, chaos="{database_gone: {at_s: 1.0, for_s: 1.0}}", duration_s=3.0, rate=5, database=postgresql)
    assert result.broken == []
    (gone,) = result.tables["load"]["chaos"]["faults"]
    assert result.tables["load"]["chaos"]["lost"] == []
    assert gone["errors"]["http_5xx"] > 1 and set(gone["errors"]) <= {"http_5xx", "agent_error", "timeout", "censored"}
    assert 0.9 < gone["recovery_s"] < 12
    assert result.load["store"] == "postgresql"


def test_another_servers_store_is_its_own(tmp_path):
    with pytest.raises(UsageError, match="--database: is the store of a server started here"):
        run(tmp_path, "http://127.0.0.1:1", database="postgresql+psycopg://h/d")


def test_only_an_own_server_is_killed(tmp_path):
    with pytest.raises(UsageError, match="only a server of our own is struck"):
        run(tmp_path, "http://127.0.0.1:1")
