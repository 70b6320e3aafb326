"""A finished run is judged again by today's cards: what changed is named, and a run of other cards is refused."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from evals.cards import Card
from evals.catalog import load_cards
from evals.cli import main as entry
from evals.errors import UsageError
from evals.experiment import run_plan
from evals.journal import Journal
from evals.plan import plan_cards
from evals.recording import Recording, finish_run
from evals.rescoring import rescore
from evals.suites import card_result
from evals.targets.scripted import ALL_VISIBLE, scripted_transcript
from evals.transcript import Transcript
from reports.gates.policy import read_policy
from reports.records import read_record, read_slots

ROOT = Path(__file__).resolve().parents[2]
CARDS = ("tree-nut-list", "still-on-order")


class References:
    visible = ALL_VISIBLE
    deterministic = True

    async def play(self, card: Card, repeat: int) -> Transcript:
        return scripted_transcript(card, card.reference)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[Card]:
    monkeypatch.chdir(ROOT)
    return [card for card in load_cards(ROOT / "datasets/qsr/scenarios") if card.id in CARDS]


@pytest.fixture
def run(cards: list[Card], tmp_path: Path) -> Path:
    """A finished run in which every reference was played."""
    folder = tmp_path / "run"
    plan = plan_cards(cards, repeats=1, visible=ALL_VISIBLE, llm=True)
    with Journal.open(folder, digest="x") as journal:
        result = card_result(plan, asyncio.run(run_plan(plan, References(), journal)))
    policy = ROOT / "datasets/gates/pr.yaml"
    recording = Recording(tier="pr", pack="qsr", target="scripted", folder=folder, policy=policy, environ={})
    finish_run(recording, {"cards": result}, read_policy(policy), {"cards": 0.1})
    return folder


def stricter(card: Card) -> Card:
    turn = card.turns[0]
    expect = turn.expect.model_copy(update={"say": [*turn.expect.say, "unicorn"]})
    return card.model_copy(update={"turns": [turn.model_copy(update={"expect": expect})]})


def test_the_same_cards_change_nothing(cards: list[Card], run: Path) -> None:
    rescored = rescore(run, cards)
    assert rescored.changes == []
    assert {slot.state for slot in rescored.slots} == {"pass"}


def test_a_stricter_card_is_named_with_its_reason(cards: list[Card], run: Path) -> None:
    rescored = rescore(run, [stricter(cards[0]), *cards[1:]])
    (change,) = rescored.changes
    assert (change.slot_id, change.before, change.after) == (f"cards/{cards[0].id}/0/say", "pass", "fail")
    assert change.reason == "turn 1: does not say 'unicorn'"


def test_a_check_that_is_gone_and_one_that_is_fresh_are_named(cards: list[Card], run: Path) -> None:
    expect = cards[0].turns[0].expect.model_copy(update={"say": [], "refusal": False})
    changed = cards[0].model_copy(update={"turns": [cards[0].turns[0].model_copy(update={"expect": expect})]})
    changes = {(c.slot_id.rsplit("/", 1)[1], c.before, c.after) for c in rescore(run, [changed, *cards[1:]]).changes}
    assert changes == {("refusal", None, "pass"), ("say", "pass", None)}


def test_runs_of_other_cards_are_refused_with_every_card(cards: list[Card], run: Path) -> None:
    other = cards[0].model_copy(update={"turns": [cards[0].turns[0].model_copy(update={"user": "something else"})]})
    with pytest.raises(UsageError) as refused:
        rescore(run, [other])
    assert str(refused.value).splitlines() == [
        f"{run}: card {cards[0].id}: the user says something else now; play it again",
        f"{run}: card {cards[1].id} is not among today's cards; play it again",
    ]


def assay(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["assay", "score", *arguments])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_the_command_writes_a_run_that_says_what_it_was_made_from(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert assay(monkeypatch, str(run), "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    code = assay(monkeypatch, str(run), "--out", str(out))
    old, fresh = read_record(run / "record.json"), read_record(out / "record.json")
    assert code == json.loads((out / "verdict.json").read_text())["exit_code"]
    assert fresh.run_id == f"{old.run_id}-rescored"
    assert fresh.provenance.digests["rescored_from"] == old.run_id
    assert fresh.provenance.digests["cards.when_played"] == old.provenance.digests["cards"]
    assert fresh.metrics["cards.pass_rate"] == old.metrics["cards.pass_rate"]
    assert list(read_slots(out / "slots.jsonl", fresh.slots_digest)) == list(read_slots(run / "slots.jsonl"))
    assert (out / "report.html").is_file()
    assert assay(monkeypatch, str(run), "--out", str(out)) == 4
    assert "holds a finished run" in capsys.readouterr().err


def test_only_a_run_of_the_pack_itself_keeps_its_prompts(run: Path, tmp_path: Path) -> None:
    assert not (run / "prompts.json").exists()
    policy = ROOT / "datasets/gates/pr.yaml"
    (tmp_path / "own").mkdir()
    own = Recording(tier="pr", pack="qsr", target="inprocess", folder=tmp_path / "own", policy=policy, environ={})
    finish_run(own, {}, read_policy(policy), {})
    prompts = json.loads((tmp_path / "own/prompts.json").read_text())
    assert prompts["safety"] == (ROOT / "assistant/packs/qsr/prompts/safety.md").read_text()
