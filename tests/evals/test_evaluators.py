from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from evals.cards import Card, Expectation, ToolExpectation
from evals.evaluators.actions import contains, tool_faults
from evals.evaluators.table import CHECK_NAMES, checks_for, measurable
from evals.experiment import judge
from evals.plan import PlannedPlay
from evals.selfcheck import solution_faults
from evals.targets.scripted import scripted_transcript
from evals.transcript import Citation, ToolCall, Transcript, Turn, Visible

MakeCard = Callable[..., Card]


def states(card: Card, transcript: Transcript) -> dict[str, str]:
    slots = judge(PlannedPlay(card=card, repeat=0, checks=checks_for(card)), transcript)
    return {slot.evaluator: slot.state for slot in slots}


def broken(transcript: Transcript, number: int, **changes: Any) -> Transcript:
    turns = list(transcript.turns)
    turns[number - 1] = replace(turns[number - 1], **changes)
    return replace(transcript, turns=turns)


def test_the_reference_passes_every_check(make_card: MakeCard) -> None:
    card = make_card()
    assert set(states(card, scripted_transcript(card, card.reference)).values()) == {"pass"}
    assert solution_faults(card) == []


@pytest.mark.parametrize(
    ("number", "changes", "check"),
    [
        (1, {"text": "  "}, "answered"),
        (1, {"agent": "training"}, "agent"),
        (1, {"tool_calls": ()}, "tools"),
        (1, {"text": "Hold it at 120 F."}, "say"),
        (1, {"citations": ()}, "citations"),
        (1, {"citations": (Citation(document="hot-holding", passage="x", exists=False),)}, "citations"),
        (1, {"citations": (Citation(document="cold-holding", passage="x"),)}, "citations"),
        (2, {"handoff": None}, "handoff"),
        (2, {"text": "I will transfer you to equipment."}, "seamless"),
        (2, {"text": "They said transfer."}, "not_say"),
    ],
)
def test_each_check_catches_its_planted_failure(make_card: MakeCard, number: int, changes: dict[str, Any], check: str) -> None:
    card = make_card()
    assert states(card, broken(scripted_transcript(card, card.reference), number, **changes))[check] == "fail"


def test_a_wrong_end_state_is_caught(make_card: MakeCard) -> None:
    card = make_card(absent_state={"orders": [{"item": "fries"}]})
    good = scripted_transcript(card, card.reference)
    assert states(card, good)["state"] == "pass"
    assert states(card, replace(good, state={}))["state"] == "fail"
    assert states(card, replace(good, state={**(good.state or {}), "orders": {"1": {"item": "Fries, large"}}}))["state"] == "fail"


def test_a_wrong_outcome_and_a_spent_budget_are_caught(make_card: MakeCard) -> None:
    turns = [{"user": "hi", "expect": {"outcome": "refused"}}]
    card = make_card(
        turns=turns,
        budgets={"turn_s": 1.0},
        expect_state={},
        reference={"turns": [{"text": "No.", "outcome": "refused"}]},
        sabotage={"fails": "outcome"},
    )
    good = scripted_transcript(card, card.reference)
    assert set(states(card, good).values()) == {"pass"}
    assert states(card, broken(good, 1, outcome="answered"))["outcome"] == "fail"
    assert states(card, broken(good, 1, duration_s=1.5))["budget"] == "fail"


def test_a_question_asked_twice_is_caught_unless_it_was_interrupted(make_card: MakeCard) -> None:
    turn = {"user": "x", "expect": {"agent": "safety"}}
    scripted = {"agent": "safety", "text": "135 F. Which fryer is it?"}
    card = make_card(
        turns=[turn, turn, turn], expect_state={}, reference={"turns": [scripted] * 3}, sabotage={"fails": "agent", "turns": {}}
    )
    good = scripted_transcript(card, card.reference)
    assert states(card, good)["seamless"] == "fail"
    interrupted = broken(broken(good, 2, agent="none", text="No."), 1, text="Which fryer is it?")
    assert states(card, interrupted)["seamless"] == "pass"


def test_a_citation_must_support_its_sentence(make_card: MakeCard) -> None:
    card = make_card()
    good = scripted_transcript(card, card.reference)
    quote = "Cooked food held hot must stay at 135 F (57 C) or above."
    cited = (Citation(document="hot-holding", passage="hot", quote=quote),)
    supported = broken(good, 1, text="Food held hot must stay at 135 F. [hot-holding#hot]", citations=cited)
    wrong_figure = broken(good, 1, text="Food held hot must stay at 145 F, not 135 F. [hot-holding#hot]", citations=cited)
    other_topic = broken(
        good, 1, text="At 135 F. Employees wash hands before every shift begins. [hot-holding#hot]", citations=cited
    )
    assert states(card, supported)["citations"] == "pass"
    assert states(card, wrong_figure)["citations"] == "fail"
    assert states(card, other_topic)["citations"] == "fail"


def test_what_broke_a_play_is_the_state_of_all_its_slots(make_card: MakeCard) -> None:
    card = make_card()
    good = scripted_transcript(card, card.reference)
    assert set(states(card, replace(good, fault="timeout", fault_reason="slow")).values()) == {"timeout"}
    assert set(states(card, replace(good, fault="infra_error")).values()) == {"infra_error"}
    assert set(states(card, broken(good, 1, error="model failed")).values()) == {"agent_error"}


def test_a_failed_tool_takes_the_blame_for_a_wrong_answer(make_card: MakeCard) -> None:
    card = make_card()
    transcript = broken(
        scripted_transcript(card, card.reference),
        1,
        text="No idea.",
        tool_calls=(ToolCall(tool="search_knowledge", arguments={}, ok=False),),
    )
    slots = judge(PlannedPlay(card=card, repeat=0, checks=checks_for(card)), transcript)
    assert next(slot.stage for slot in slots if slot.evaluator == "say") == "tool"


def test_our_evaluator_raising_is_a_judge_error(make_card: MakeCard) -> None:
    card = make_card()
    torn = replace(scripted_transcript(card, card.reference), turns=[Turn(user="x", text=None)])  # type: ignore[arg-type]
    assert "judge_error" in states(card, torn).values()


def call(tool: str, **arguments: Any) -> ToolCall:
    return ToolCall(tool=tool, arguments=arguments, ok=True)


def test_tool_order_and_arguments() -> None:
    wanted = Expectation(tools=[ToolExpectation(name="a", arguments={"x": 165}), ToolExpectation(name="b")])
    assert tool_faults(wanted, [call("a", x=165.4, y=1), call("c"), call("b")]) == []
    assert tool_faults(wanted, [call("b"), call("a", x=165)])
    assert tool_faults(wanted.model_copy(update={"order": "any_order"}), [call("b"), call("a", x=165)]) == []
    assert tool_faults(wanted.model_copy(update={"order": "exact"}), [call("a", x=165), call("b"), call("c")])
    assert tool_faults(wanted, [call("a", x=150), call("b")])
    assert tool_faults(Expectation(tools=[]), [call("a")])
    assert tool_faults(Expectation(forbid_tools=["a"]), [call("a")])


@pytest.mark.parametrize(
    ("actual", "wanted", "holds"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": [1, 2]}, {"a": [2]}, True),
        ("Burned hand", "burned", True),
        (1, True, False),
        (True, True, True),
        (None, None, True),
        ("5", 5, False),
        ([], [1], False),
    ],
)
def test_containment(actual: Any, wanted: Any, holds: bool) -> None:
    assert contains(actual, wanted) is holds


def test_a_check_needs_what_the_target_shows() -> None:
    by_name = {name for name in CHECK_NAMES}
    assert {"answered", "agent", "state", "citations"} <= by_name


def test_hidden_things_are_not_measurable(make_card: MakeCard) -> None:
    shown = {check.name for check in checks_for(make_card()) if measurable(check, Visible())}
    assert shown == {"answered", "say", "not_say", "seamless"}
