"""Guided diagnosis: one step at a time, safety first, its place kept in the thread's state."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from assistant.packs.qsr.tools.diagnosis_trees import Tree


async def play(store: Any, problem: str, *answers: str) -> dict[str, Any]:
    """Starts a diagnosis and hands each answer to whatever the last result asked."""
    result = await store.call("start_diagnosis", problem=problem)
    for answer in answers:
        following = result["next"]
        result = await store.call(following["tool"], **{following["argument"]: answer})
    return result


async def test_it_starts_with_safety_and_asks_one_question(store: Any) -> None:
    result = await play(store, "the left soft-serve is too runny")
    assert result["summary"].startswith("Let's look at Soft-serve left: product too soft or runny. Safety first. Keep hands")
    assert result["summary"].endswith("Is everyone clear of the moving parts?")
    assert result["next"] == {
        "tool": "continue_diagnosis",
        "argument": "answer",
        "question": "Is everyone clear of the moving parts?",
    }
    row = store.rows("diagnoses")["thread-1"]
    assert (row["machine"], row["symptom"], row["step"], row["status"]) == ("softserve-left", "soft-product", "safety", "open")


async def test_answers_lead_through_the_tree_to_its_end(store: Any) -> None:
    result = await play(store, "the left soft-serve is too runny", "yes", "it's in AUTO", "it was filthy", "still soft", "worn")
    assert result["summary"].startswith("Fit new scraper blades")
    assert "next" not in result
    row = store.rows("diagnoses")["thread-1"]
    assert [(answer["step"], answer["read_as"]) for answer in row["answers"]] == [
        ("safety", "yes"),
        ("mode", "yes"),
        ("airflow", "no"),
        ("recover", "still"),
        ("blades", "no"),
    ]
    assert row["status"] == "advised"


async def test_a_fix_at_any_step_ends_it(store: Any) -> None:
    result = await play(store, "fryer 2 pilot won't stay lit", "no", "yes", "it works now")
    assert result["summary"].startswith("The fryer heats again.")
    assert store.rows("diagnoses")["thread-1"]["status"] == "fixed"


async def test_still_after_a_check_of_state_goes_on_to_the_next_step(store: Any) -> None:
    await play(store, "fryer 2 pilot won't stay lit", "no", "still nothing")
    assert store.rows("diagnoses")["thread-1"]["step"] == "opened"


async def test_still_after_the_last_step_calls_service(store: Any) -> None:
    result = await play(store, "fryer 1 high limit tripped", "yes", "yes", "yes", "still tripping")
    assert "technician" in result["summary"]
    assert store.rows("diagnoses")["thread-1"]["status"] == "service"


async def test_an_unsafe_answer_repeats_the_safety_step(store: Any) -> None:
    result = await play(store, "the cooler is too warm", "no")
    assert result["summary"].startswith("Do that first, it keeps you safe. Probe the food")
    assert store.rows("diagnoses")["thread-1"]["step"] == "safety"


async def test_danger_in_any_answer_stops_at_once(store: Any) -> None:
    result = await play(store, "the mixer is grinding", "yes", "there are sparks coming out")
    assert result["summary"].startswith("Stop here: leave the machine")
    assert store.rows("diagnoses")["thread-1"]["urgent"] is True
    ticket = await store.call("create_service_ticket", problem="yes please")
    assert "urgent priority: grinding, knocking or squealing noise." in ticket["summary"]


async def test_an_unclear_answer_is_asked_again_once_and_then_ends_with_service(store: Any) -> None:
    again = await play(store, "the mixer won't start", "purple")
    assert again["summary"].startswith("I need a yes or a no to go on.")
    ended = await store.call("continue_diagnosis", answer="green")
    assert ended["summary"].startswith("This step cannot be settled from here.")
    assert ended["next"]["tool"] == "create_service_ticket"


async def test_an_unclear_answer_is_forgotten_after_a_clear_one(store: Any) -> None:
    result = await play(store, "the mixer won't start", "purple", "yes", "green")
    assert result["summary"].startswith("I need a yes or a no")


async def test_an_unknown_symptom_asks_for_it_and_remembers_the_machine(store: Any) -> None:
    asked = await play(store, "something is wrong with fryer 2")
    assert asked["next"]["tool"] == "start_diagnosis"
    assert "oil foams or smokes" in asked["summary"]
    shown = await store.call("show_diagnosis")
    assert shown["summary"] == "We are about to diagnose Fryer 2. What does the machine do?"
    result = await store.call("continue_diagnosis", answer="the oil is foaming")
    assert result["summary"].startswith("Let's look at Fryer 2: oil foams or smokes.")


async def test_the_kind_alone_is_enough_when_the_machine_is_not_told(store: Any) -> None:
    chosen = await play(store, "a fryer acts up", "high limit tripped")
    assert chosen["summary"].startswith("Let's look at the Vulcan fryer: high limit tripped.")
    asked = await store.call("create_service_ticket", problem="yes")
    assert asked["summary"] == "I need to know the machine to open a ticket. Which machine is it for: Fryer 1 or Fryer 2?"
    opened = await store.call("create_service_ticket", problem="Fryer 2")
    assert opened["summary"].endswith("for Fryer 2 with Coastal Kitchen Service, normal priority: high limit tripped.")


async def test_a_kind_is_known_by_its_words_in_a_store_without_registry(empty_store: Any) -> None:
    result = await play(empty_store, "our hobart mixer won't start")
    assert result["summary"].startswith("Let's look at the Hobart mixer: mixer will not start.")


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("the MIX OUT light is on", "Let's look at the Taylor soft-serve machine"),
        ("the pilot went out", "Let's look at the Vulcan fryer"),
    ],
)
async def test_words_that_only_one_kind_has_name_the_kind(store: Any, problem: str, said: str) -> None:
    assert (await play(store, problem))["summary"].startswith(said)


async def test_done_goes_on_when_the_step_was_a_thing_to_do(store: Any) -> None:
    await play(store, "the mixer won't start", "done")
    assert store.rows("diagnoses")["thread-1"]["step"] == "plug"


async def test_a_machine_without_trees_offers_a_ticket(store: Any) -> None:
    result = await play(store, "the grill is uneven")
    assert not result["found"]
    assert result["next"]["tool"] == "create_service_ticket"


async def test_no_machine_at_all_asks_which(store: Any) -> None:
    result = await play(store, "it is broken")
    assert result["next"]["question"] == "Which machine is it, and what does it do?"


async def test_nothing_open_is_said_plainly(store: Any) -> None:
    assert (await store.says("continue_diagnosis", answer="yes")).startswith("No diagnosis is open in this conversation.")
    assert await store.says("show_diagnosis") == "No diagnosis is open in this conversation."
    assert (await store.says("finish_diagnosis")).startswith("No diagnosis is open")


async def test_an_ended_diagnosis_is_not_continued(store: Any) -> None:
    await play(store, "fryer 2 pilot won't stay lit", "no", "that fixed it")
    assert (await store.says("continue_diagnosis", answer="yes")).startswith(
        "The diagnosis of Fryer 2 has ended: The fryer heats"
    )
    assert (await store.says("show_diagnosis")).startswith(
        "The diagnosis of Fryer 2 (pilot will not stay lit or no heat) has ended"
    )


async def test_where_we_are_can_be_shown(store: Any) -> None:
    await play(store, "fryer 2 pilot won't stay lit", "no")
    shown = await store.call("show_diagnosis")
    assert shown["summary"].startswith("We are at step 2 with Fryer 2 (pilot will not stay lit or no heat).")
    assert shown["next"]["tool"] == "continue_diagnosis"


@pytest.mark.parametrize(
    ("result", "status", "said"),
    [("it is working again", "fixed", "as fixed"), ("technician is here", "stopped", "without a repair")],
)
async def test_it_can_be_finished_early(store: Any, result: str, status: str, said: str) -> None:
    await play(store, "fryer 2 pilot won't stay lit")
    assert said in await store.says("finish_diagnosis", result=result)
    assert store.rows("diagnoses")["thread-1"]["status"] == status


async def test_two_threads_keep_their_own_place(store: Any) -> None:
    await play(store, "fryer 2 pilot won't stay lit", "no")
    store.thread_id = "thread-2"
    assert not (await store.call("show_diagnosis"))["found"]


def test_a_tree_that_points_nowhere_is_refused() -> None:
    step = {"do": "Look.", "ask": "Is it?", "yes": "fixed", "no": "nowhere"}
    with pytest.raises(ValidationError, match="no step or end is named nowhere"):
        Tree.model_validate({"symptom": "odd", "signs": [], "steps": {"safety": step}, "fixed": "Fine.", "service": "Call."})
