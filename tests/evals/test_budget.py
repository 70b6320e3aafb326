"""A run that has spent its budget ends what it began, starts nothing more, and says of the rest why it was not run."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evals.budget import Budget, Meter
from evals.cards import Card
from evals.cli import main as entry
from evals.experiment import Pace, Played, run_plan
from evals.journal import Journal
from evals.plan import Plan, plan_cards
from evals.scoring import card_metrics
from evals.targets.scripted import ALL_VISIBLE, scripted_transcript
from evals.transcript import Transcript
from reports.records import SLOT_STATES

MakeCard = Callable[..., Card]
ROOT = Path(__file__).resolve().parents[2]


class Spending:
    """Plays references; every turn costs 100 tokens and a cent, and some plays end otherwise."""

    visible = ALL_VISIBLE
    deterministic = True

    def __init__(self, fate: Callable[[str], str] = lambda _: "") -> None:
        self.played: list[str] = []
        self._fate = fate

    async def play(self, card: Card, repeat: int) -> Transcript:
        await asyncio.sleep(0)
        self.played.append(card.id)
        usage = {"input_tokens": 80, "output_tokens": 20, "cost_usd": 0.01}
        transcript = scripted_transcript(card, card.reference)
        transcript = replace(transcript, repeat=repeat, turns=[replace(turn, usage=usage) for turn in transcript.turns])
        fate = self._fate(f"{card.id}/{repeat}")
        if fate == "raise":
            raise RuntimeError("the driver broke")
        if fate == "wrong":
            return replace(transcript, turns=[replace(turn, text="no") for turn in transcript.turns])
        if fate == "error":
            return replace(transcript, turns=[replace(turn, error="gone") for turn in transcript.turns])
        return replace(transcript, fault=fate, fault_reason=fate) if fate else transcript


@pytest.fixture
def plan(make_card: MakeCard) -> Plan:
    return plan_cards([make_card(id=f"card-{number}") for number in range(10)], repeats=1, visible=ALL_VISIBLE, llm=True)


async def play(plan: Plan, target: Spending, folder: Path, budget: Budget, clock: Callable[[], float] = lambda: 0.0) -> Played:
    with Journal.open(folder, digest="x") as journal:
        return await run_plan(plan, target, journal, Pace(concurrency=1, meter=Meter(budget=budget, clock=clock)))


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(tokens=500), "the budget of 500 tokens is used up"),
        (Budget(cost_usd=0.05), "the budget of 0.05 USD is used up"),
    ],
)
async def test_the_rest_is_not_run_and_says_why(plan: Plan, tmp_path: Path, budget: Budget, reason: str) -> None:
    target = Spending()
    played = await play(plan, target, tmp_path, budget)
    assert len(target.played) == 3  # two turns a card: the third card passes the limit and is ended
    assert len(played.slots) == plan.slot_count
    left = [slot for slot in played.slots if slot.state == "not_run"]
    assert {slot.reason for slot in left} == {reason}
    assert {slot.card for slot in left} == {f"card-{number}" for number in range(3, 10)}


async def test_seconds_are_counted_by_the_clock(plan: Plan, tmp_path: Path) -> None:
    ticks = iter(range(100))
    played = await play(plan, Spending(), tmp_path, Budget(seconds=4), clock=lambda: float(next(ticks)))
    assert Counter(slot.state == "not_run" for slot in played.slots)[True] > 0
    assert next(slot.reason for slot in played.slots if slot.state == "not_run") == "the budget of 4 seconds is used up"


async def test_a_partial_run_is_no_better_and_can_be_continued(plan: Plan, tmp_path: Path) -> None:
    part = await play(plan, Spending(), tmp_path, Budget(tokens=500))
    share = card_metrics(part.slots)["cards.unjudged_share"]
    assert share is not None and share.value == 0.7
    target = Spending()
    whole = await play(plan, target, tmp_path, Budget())
    assert len(target.played) == 7
    assert {slot.state for slot in whole.slots} == {"pass"}


async def test_without_limits_everything_is_played(plan: Plan, tmp_path: Path) -> None:
    played = await play(plan, Spending(), tmp_path, Budget())
    assert {slot.state for slot in played.slots} == {"pass"}


@pytest.mark.parametrize("seed", range(12))
async def test_every_planned_slot_ends_in_exactly_one_state(make_card: MakeCard, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    cards = [make_card(id=f"card-{number}") for number in range(rng.randint(1, 12))]
    plan = plan_cards(cards, repeats=rng.randint(1, 4), visible=ALL_VISIBLE, llm=True)
    kinds = ["", "raise", "wrong", "error", "timeout", "agent_error", "infra_error", "simulator_error"]
    fates = {f"{play.card.id}/{play.repeat}": rng.choice(kinds) for play in plan.plays}
    budget = Budget(tokens=rng.choice([None, 200, 1_000]))
    played = await play(plan, Spending(fates.__getitem__), tmp_path, budget)
    planned = [f"cards/{play.card.id}/{play.repeat}/{check.name}" for play in plan.plays for check in play.checks]
    assert [slot.slot_id for slot in played.slots] == planned
    assert {slot.state for slot in played.slots} <= set(SLOT_STATES)
    for one in plan.plays:
        states = {slot.state for slot in played.slots if (slot.card, slot.repeat) == one.key}
        fate = fates[f"{one.card.id}/{one.repeat}"]
        expected = {"raise": "infra_error", "error": "agent_error"}.get(fate, fate)
        assert states == {"not_run"} or (
            "not_run" not in states and (not expected or expected == "wrong" or states == {expected})
        )


def test_the_command_ends_with_what_is_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["assay", "eval", "--area", "scope", "--max-tokens", "1"])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 1
    assert "the budget of 1 tokens is used up" in capsys.readouterr().out
