"""A card's score is the share of its checks that pass; the mean weighs cards, and what was not judged does not pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evals.cards import Card
from evals.plan import plan_cards, slot_for
from evals.scoring import card_metrics, card_scores
from evals.targets.scripted import ALL_VISIBLE
from reports.gates.metrics import describe_metric
from reports.records import Slot, SlotState

MakeCard = Callable[..., Card]


def slots(card: Card, *states: SlotState) -> list[Slot]:
    (play,) = plan_cards([card], repeats=1, visible=ALL_VISIBLE, llm=True).plays
    return [slot_for(play, check, state) for check, state in zip(play.checks, states, strict=False)]


def test_scores_count_checks_and_leave_out_advice(make_card: MakeCard) -> None:
    card = make_card()
    some = slots(card, "pass", "pass", "fail", "judge_error")
    assert card_scores(some) == {"hold-chicken": 0.5}
    advice = [Slot(**{**vars(some[2]), "advisory": True}), *some[:2]]
    assert card_scores(advice) == {"hold-chicken": 1.0}


def test_the_mean_weighs_cards_and_is_told_per_area_and_agent(make_card: MakeCard) -> None:
    heavy, light = make_card(id="heavy", weight=3.0), make_card(id="light", area="training")
    metrics = card_metrics([*slots(heavy, "pass", "pass"), *slots(light, "pass", "fail")])
    values = {name: estimate.value for name, estimate in metrics.items() if estimate is not None and name.endswith(".score")}
    assert values == {
        "cards.score": pytest.approx((3 * 1.0 + 0.5) / 4),
        "cards.safety.score": 1.0,
        "cards.training.score": 0.5,
        "cards.agent.equipment.score": pytest.approx(0.875),
        "cards.agent.safety.score": pytest.approx(0.875),
    }
    assert describe_metric("cards.agent.safety.score").title == "Checks that pass, agent safety"
    assert describe_metric("cards.score").unit == "share"


def test_the_bounds_of_a_score_stay_within_its_range(make_card: MakeCard) -> None:
    cards = [make_card(id="good"), make_card(id="bad")]
    score = card_metrics([*slots(cards[0], "pass", "pass"), *slots(cards[1], "pass", "fail")])["cards.score"]
    assert score is not None and (score.low, score.high) == (0.0, 1.0)
