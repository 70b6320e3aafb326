"""The restaurant suite is large enough in every class, says what it cannot play without a language model, and holds on this build."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from evals.cards import Card
from evals.catalog import load_cards
from evals.experiment import judge
from evals.plan import plan_cards
from evals.targets.inprocess import InProcessTarget, load_pack
from evals.targets.opening import CARD_CLOCK, private_environ

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cards() -> list[Card]:
    return load_cards(ROOT / "datasets/qsr/scenarios")


def test_there_are_enough_cards_in_all_and_few_need_a_language_model(cards: list[Card]) -> None:
    assert len(cards) >= 150
    assert sum(card.requires == "llm" for card in cards) <= 0.2 * len(cards)


@pytest.mark.parametrize("kind", ["multi-turn", "safety", "injection", "refusal", "fault"])
def test_every_class_has_twenty_cards(cards: list[Card], kind: str) -> None:
    assert sum(kind in card.tags or kind == card.area for card in cards) >= 20


def test_tags_tell_the_truth(cards: list[Card]) -> None:
    assert [card.id for card in cards if "fault" in card.tags and not card.faults] == []
    assert [card.id for card in cards if card.faults and "fault" not in card.tags] == []
    assert [card.id for card in cards if len(card.turns) > 1 and "multi-turn" not in card.tags] == []


def test_every_card_in_which_something_breaks_holds(cards: list[Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    chosen = [card for card in cards if card.area == "faults"]

    async def play() -> list[str]:
        source = load_pack("qsr", private_environ(os.environ, tmp_path), now=CARD_CLOCK)
        plan = plan_cards(chosen, repeats=1, visible=InProcessTarget.visible, llm=False)
        async with source.target(source.pack) as target:
            slots = [slot for play in plan.plays for slot in judge(play, await target.play(play.card, 0))]
        return [f"{slot.card} {slot.evaluator}: {slot.reason}" for slot in slots if slot.state != "pass"]

    assert asyncio.run(play()) == []


def test_an_error_the_card_does_not_plant_is_still_the_assistants(cards: list[Card]) -> None:
    planted = next(card for card in cards if card.id == "quat-model-down-once")
    assert [planted.awaits_error(turn) for turn in range(3)] == [True, False, False]
    assert not planted.model_copy(update={"faults": []}).awaits_error(0)
