"""Planted faults in tools, knowledge and prompts are noticed by the cards, and those that nobody could notice are not counted."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from evals.catalog import load_cards
from evals.cli import main as entry
from evals.errors import UsageError
from evals.mutation import missing_step, wrong_figure, wrong_unit
from evals.selftest import Trial, first_change, run_mutants
from evals.transcript import ToolCall, Transcript, Turn, Visible

ROOT = Path(__file__).resolve().parents[2]
CARDS = ("quat-mix-strength", "shift-add-asks-for-hours")
CAUGHT = (
    "tool:add_shift:wrong figure",
    "tool:add_shift:wrong row",
    "tool:add_shift:swallowed write",
    "knowledge:sanitizer-concentrations:wrong unit",
    "prompt:add_shift:described as nothing",
    "prompt:operations:another day",
)
IDLE, SURVIVING = "tool:add_shift:wrong unit", "prompt:operations:emptied"


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def trials() -> dict[str, Trial]:
    cards = [card for card in load_cards(ROOT / "datasets/qsr/scenarios") if card.id in CARDS]
    faults = (*CAUGHT, IDLE, SURVIVING)
    found = asyncio.run(run_mutants(cards, "qsr", os.environ, lambda name, done, total: None, faults=faults))
    return {trial.mutant: trial for trial in found}


@pytest.mark.parametrize("mutant", CAUGHT)
def test_a_planted_fault_is_caught_by_a_card_that_is_named(trials: dict[str, Trial], mutant: str) -> None:
    trial = trials[mutant]
    assert trial.fate == "caught", trial.shows
    assert trial.noticed_by.split()[0] in CARDS


def test_a_fault_that_changes_nothing_is_idle_and_one_that_only_shows_says_where(trials: dict[str, Trial]) -> None:
    assert trials[IDLE].fate == "idle"
    survivor = trials[SURVIVING]
    assert survivor.fate == "survived"
    assert survivor.shows.startswith("shift-add-asks-for-hours turn 2 calls: ")


def transcript(**changes: object) -> Transcript:
    plain = {"user": "hi", "text": "hello", "agent": "safety", "outcome": "answered", **changes}
    state = plain.pop("state", {"threads": {"abc": {"people": []}}})
    return Transcript(card="c", repeat=0, turns=[Turn(**plain)], visible=Visible(), state=state, thread_id="abc")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({}, ""),
        ({"text": "bye"}, "c turn 1 text: 'hello' became 'bye'"),
        ({"agent": "training"}, "c turn 1 agent: 'safety' became 'training'"),
        ({"tool_calls": [ToolCall(tool="t", arguments={}, ok=True)]}, "c turn 1 calls: [] became [('t', {}, True)]"),
        ({"state": {}}, "c end state, threads thread: {'people': []} became None"),
    ],
)
def test_a_change_is_what_the_user_or_the_store_meets(change: dict[str, object], shown: str) -> None:
    assert first_change(transcript(), transcript(**change)) == shown


def test_what_only_a_tool_returned_is_no_change_and_a_broken_play_is() -> None:
    before = transcript(tool_calls=[ToolCall(tool="t", arguments={}, ok=True, result=1)])
    assert first_change(before, transcript(tool_calls=[ToolCall(tool="t", arguments={}, ok=True, result=2)])) == ""
    broken = Transcript(card="c", repeat=0, turns=[], visible=Visible(), fault="infra_error", fault_reason="gone")
    assert first_change(before, broken) == "c broke off: gone"


def test_text_operators_change_what_they_name_and_nothing_else() -> None:
    assert wrong_figure("Cook to 165 F, see doc-12") == "Cook to 172 F, see doc-12"
    assert wrong_unit("165 F for 2 hours at 200 ppm") == "165 C for 2 minutes at 200 %"
    assert missing_step("1. Stop.\n2. Look.\n3. Go.\n") == "1. Stop.\n3. Go.\n"
    assert missing_step("Stop. Look. Go.") == "Stop. Look.\n"
    assert missing_step("Stop.") == "Stop."


def test_a_fault_that_these_cards_do_not_meet_is_a_usage_error() -> None:
    cards = [card for card in load_cards(ROOT / "datasets/qsr/scenarios") if card.id == CARDS[1]]
    with pytest.raises(UsageError, match="no planted fault `tool:add_shft:wrong row`; did you mean `tool:add_shift:wrong row`"):
        asyncio.run(run_mutants(cards, "qsr", os.environ, lambda name, done, total: None, faults=["tool:add_shft:wrong row"]))


@pytest.mark.parametrize(("share", "code"), [("0.5", 0), ("0.6", 1)])
def test_the_command_fails_when_too_few_faults_are_caught(
    share: str, code: int, trials: dict[str, Trial], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    survivor, caught = trials[SURVIVING], trials["prompt:operations:another day"]

    async def played(*_: object, **__: object) -> list[Trial]:
        return [survivor, caught, trials[IDLE]]

    monkeypatch.setattr("evals.selftest.run_mutants", played)
    arguments = ["selftest", "--card", CARDS[1], "--at-least", share]
    monkeypatch.setattr(sys, "argv", ["assay", *arguments, *(["--json"] if code == 0 else [])])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    said = capsys.readouterr().out
    assert stop.value.code == code
    if code == 0:
        assert [trial["fate"] for trial in json.loads(said)] == ["survived", "caught", "idle"]
    else:
        assert "survived  prompt:operations:emptied" in said
        assert "1 / 2 planted faults caught; 1 changed nothing that anyone meets" in said
