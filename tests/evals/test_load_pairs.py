"""Accuracy under load against the same turns without load, other targets, and what the command prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evals import loadsuite
from evals.catalog import load_cards
from evals.cli.load import beside
from evals.cli.main import assay
from evals.errors import UsageError
from evals.loading import paired_accuracy, score_samples, switching, write_script
from evals.loadsuite import LoadRun, run_load_suite
from evals.targets.opening import parse_target
from loadtests.runner import LoadPlan
from loadtests.script import read_script
from loadtests.unloaded import play_unloaded
from reports.records import Slot

ROOT = Path(__file__).resolve().parents[2]
WIRE_SERVER = ROOT / "tests/loadtests/wire_server.py"


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(loadsuite, "LoadPlan", partial(LoadPlan, calibration_s=0.0))


@pytest.fixture
def wire_server() -> Iterator[Any]:
    started = []

    def start(**options: Any) -> str:
        process = subprocess.Popen([sys.executable, str(WIRE_SERVER), json.dumps(options)], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        return f"http://127.0.0.1:{int(process.stdout.readline())}"

    yield start
    for process in started:
        process.kill()
        process.communicate()


def slot(turn: str, state: str) -> Slot:
    return Slot(slot_id=turn, suite="load", card=turn, repeat=0, evaluator="correct", state=state, labels={"turn": turn})


def test_a_turn_that_load_breaks_once_is_broken_and_the_pairs_are_tested():
    loaded = [slot("a/1", "pass"), slot("a/1", "fail"), slot("b/1", "pass"), slot("c/1", "fail"), slot("d/1", "pass")]
    unloaded = [slot("a/1", "pass"), slot("b/1", "pass"), slot("c/1", "fail"), slot("d/1", "fail"), slot("never/1", "pass")]
    found = paired_accuracy(loaded, unloaded)
    assert found == {
        "turns": 4, "right_unloaded": 2, "right_loaded": 2, "broke": ["a/1"], "healed": ["d/1"], "p_value": pytest.approx(0.75),
    }  # fmt: skip


def test_many_broken_turns_are_no_accident():
    loaded = [slot(f"{n}/1", "fail") for n in range(8)]
    assert paired_accuracy(loaded, [slot(f"{n}/1", "pass") for n in range(8)])["p_value"] == pytest.approx(1 / 256)


def cards(count: int = 4) -> list[Any]:
    return [card for card in load_cards(ROOT / "datasets/qsr/scenarios/safety") if len(card.turns) == 1][:count]


def test_unloaded_play_says_every_conversation_once_and_keeps_what_goes_wrong(wire_server, tmp_path):
    write_script(cards(), tmp_path / "script.jsonl", pack="qsr")
    script = read_script(tmp_path / "script.jsonl")
    samples = play_unloaded(script, wire_server(sandbox_status=201, first_s=0, last_s=0, error_every=3), timeout_s=5)
    assert [sample.outcome for sample in samples] == ["ok", "ok", "http_5xx", "ok"]
    assert len({sample.sandbox for sample in samples}) == 4
    without = play_unloaded(script, wire_server(sandbox_status=500), timeout_s=5)
    assert [sample.outcome for sample in without] == ["no_sandbox"] * 4


def test_words_alone_are_scored_where_nothing_else_is_shown(wire_server, tmp_path):
    played = cards()
    write_script(played, tmp_path / "script.jsonl", pack="qsr")
    samples = play_unloaded(read_script(tmp_path / "script.jsonl"), wire_server(first_s=0, last_s=0), timeout_s=5)
    seen = score_samples(samples, played)
    hidden = score_samples(samples, played, ours=False)
    assert len(hidden) <= len(seen) == 4
    silent = played[0].model_copy(update={"id": "other"})
    assert score_samples(samples, [silent]) == []


def profile(tmp_path: Path, extra: str = "") -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(
        f"""\
name: short
model: paced:ttft_ms=10,gap_ms=1,tokens=5
arrivals: {{pattern: poisson, rate_per_s: 20, duration_s: 1.0}}
warmup_s: 0.3
max_in_flight: 60
turn_timeout_s: 10
drain_s: 10
objectives: {{response_s: 5.0, ttft_s: 5.0}}
seed: 7
{extra}
"""
    )
    return path


def quiet(name: str, done: int, total: int) -> None:
    return None


def run(tmp_path: Path, target: str, extra: str = "", **changes: Any) -> LoadRun:
    fields = {"pack": "qsr", "profile": profile(tmp_path, extra), "folder": tmp_path, "environ": os.environ}
    return LoadRun(target=parse_target(target), **fields | changes)


def test_a_server_that_answers_wrongly_only_under_load_is_found(wire_server, tmp_path, monkeypatch):
    """The planted fault: the loaded slots of one card fail, the unloaded ones are what they are."""
    real = loadsuite.score_samples

    def broken_under_load(samples, played, **options):
        slots = real(samples, played, **options)
        many = len(samples) > 10
        return [slot_of(one, "fail" if many and one.labels["card"] == played[0].id else "pass") for one in slots]

    def slot_of(one: Slot, state: str) -> Slot:
        return Slot(**{**vars(one), "state": state})

    monkeypatch.setattr(loadsuite, "score_samples", broken_under_load)
    result = run_load_suite(cards(), run(tmp_path, wire_server(sandbox_status=201), paired=True), quiet)
    paired = result.tables["load"]["paired"]
    assert paired["turns"] >= 3
    assert paired["broke"] == [f"{cards()[0].id}/1"]
    assert f"broke under load: {cards()[0].id}/1" in beside(result.tables["load"])


def test_made_up_messages_have_no_accuracy(wire_server, tmp_path):
    result = run_load_suite(cards(), run(tmp_path, wire_server(), "content: {kind: synthetic}", paired=True), quiet)
    assert result.slots == []
    assert (result.metrics["load.correct_rate"], "paired" in result.tables["load"]) == (None, False)


@pytest.mark.slow
def test_an_own_server_is_compared_with_itself_unpaced(tmp_path):
    result = run_load_suite(cards(3), run(tmp_path, "inprocess", paired=True), quiet)
    assert result.tables["load"]["paired"]["turns"] >= 2
    assert result.tables["load"]["paired"]["broke"] == []


@pytest.mark.parametrize(
    ("target", "extra", "fault"),
    [
        ("scripted:x.json", "", "load needs a server"),
        ("openai:http://127.0.0.1:1/v1#m", "hold: {connections: 5}", "no WebSockets"),
        ("inprocess", "content: {kind: switching}", "no card of pack qsr fits"),
    ],
)
def test_what_cannot_be_loaded_is_a_usage_error(tmp_path, target, extra, fault):
    with pytest.raises(UsageError, match=fault):
        run_load_suite(cards(), run(tmp_path, target, extra), quiet)


def test_an_openai_compatible_target_is_driven_in_its_own_words(tmp_path, wire_server):
    result = run_load_suite(cards(), run(tmp_path, f"openai:{wire_server(completions=True)}/v1#tiny"), quiet)
    assert result.load["model"].startswith("paced:")
    error_rate = result.metrics["load.error_rate"]
    assert error_rate is not None and error_rate.value == 0.0


def test_switching_cards_change_the_agent():
    found = switching(load_cards(ROOT / "datasets/qsr/scenarios"))
    assert len(found) >= 5
    assert all(len({turn.agent for turn in card.reference.turns}) > 1 for card in found)


def test_a_kill_is_told_in_a_line():
    table = {name: {"p50": 1.0, "p95": 2.0} for name in ("response_s", "service_s", "gap_s", "tpot_s")}
    table |= {"errors": {"connect": 3}, "little": {"counted": None, "implied": 1.0}, "held": []}
    table |= {"floor_adjusted": {"response_p95_s": None, "ttft_p95_s": 0.3}}
    chaos = {
        "faults": [
            {"kind": "kill", "at_s": 12.0, "for_s": 0.0, "recovery_s": None, "errors": {"connect": 3}, "without_model": 2}
        ],
        "lost": ["1-1"],
        "accepted": 40,
    }
    told = beside({**table, "chaos": chaos})
    assert "kill at 12" in told
    meanwhile = "failed meanwhile: connect 3; answered without the model: 2"
    assert f"answered again after –; {meanwhile}\naccepted turns / lost              40 / 1" in told
    assert "connect 3" in told


def test_the_command_prints_what_the_metrics_leave_out(wire_server, tmp_path, monkeypatch):
    seen = []

    def traffic(name: str) -> Path:
        seen.append(name)
        return profile(tmp_path, "hold: {connections: 5, ping_every_s: 0.2}\ncanary: true")

    monkeypatch.setattr("evals.cli.load.traffic_profile", traffic)
    url = wire_server(sandbox_status=201, first_s=0, last_s=0)
    kept = []
    real = loadsuite.run_load_suite
    monkeypatch.setattr(loadsuite, "run_load_suite", lambda *given: kept.append(real(*given)) or kept[0])
    done = CliRunner().invoke(assay, ["load", "short", "--target", url, "--workers", "2"], standalone_mode=False)
    assert (done.exception, done.return_value, seen) == (None, 0, ["short"])
    for line in ("load.leaks", "websockets.held", "errors by class                    none", "Little's law", "ping p95"):
        assert line in done.output
    monkeypatch.setattr(loadsuite, "run_load_suite", lambda *given: kept[0])
    done = CliRunner().invoke(assay, ["load", "short", "--target", url, "--json"], standalone_mode=False)
    found = json.loads(done.output[done.output.index("{") :])
    assert found["load"]["response_s"]["n"] == found["load"]["turns"]["answered"]
