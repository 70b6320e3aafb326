"""Whom a message speaks of: somebody named, the one spoken of last, or the user; and never one taken for another."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.packs.qsr.tools import whom


@pytest.mark.parametrize(
    ("phrase", "spoken"),
    [
        ("his food handler card", "other"),
        ("whats he scheduled for", "other"),
        ("my certificates", "self"),
        ("which cards do i have and when do they expire", "self"),
        ("their cards", "other"),
        ("the new guy's card", "other"),
        ("my new hire's card", "other"),
        ("show me the latest results", "nobody"),
        ("I need to see the scores", "nobody"),
        ("Devon", "nobody"),
    ],
)
def test_a_pronoun_tells_whose_it_is(phrase: str, spoken: str) -> None:
    assert whom.whose(phrase) == spoken


def test_they_may_be_things_where_more_than_a_name_is_said() -> None:
    assert whom.whose("who is on tonight and when do they leave", only_names=False) == "nobody"


async def test_a_pronoun_means_the_person_last_spoken_of(store: Any) -> None:
    await store.call("get_evaluation", person="how is Devon doing")
    card = "Devon Carter: Food handler card valid until July 2, 2026 (17 days left)."
    assert await store.says("get_certifications", person="when does his food handler card expire") == card
    assert (await store.says("get_learning_progress", person="and his learning path")).startswith("Devon Carter: 5 of 5")
    assert (await store.says("get_onboarding_status", person="his onboarding")) == "Devon Carter has no onboarding plan."
    assert (
        await store.says("list_quiz_scores", person_or_quiz="his quiz scores")
    ) == "No quiz score is recorded for Devon Carter."
    assert (await store.says("list_coaching_notes", person="him")) == "There is no coaching note for Devon Carter."
    assert (await store.says("list_shifts", when_or_who="whats he scheduled for tomorrow")) == (
        "Tuesday, June 16, 2026: Devon Carter 1:00 PM to 9:30 PM (shift lead)."
    )
    await store.call("start_quiz", topic="quiz him on allergens")
    assert store.rows("quiz_runs")["thread-1"]["person"] == "devon-carter"


async def test_a_pronoun_without_a_person_is_asked_about_and_never_taken_for_the_user(store: Any) -> None:
    for tool, argument, more in [
        ("get_certifications", "person", {}),
        ("get_learning_progress", "person", {}),
        ("complete_module", "person", {"module": "hand washing"}),
        ("complete_onboarding_task", "person", {"task": "safety tour"}),
        ("get_evaluation", "person", {}),
        ("get_onboarding_status", "person", {}),
        ("list_coaching_notes", "person", {}),
        ("list_quiz_scores", "person_or_quiz", {}),
        ("list_shifts", "when_or_who", {}),
    ]:
        asked = await store.call(tool, **{argument: "what about his", **more})
        assert asked["next"] == {"tool": tool, "argument": argument, "question": "Who do you mean?"}, tool
    assert "threads" not in store.state.rows


async def test_a_pronoun_after_two_names_is_asked_about_with_both(store: Any) -> None:
    await store.call("swap_shift", from_person="Devon", to_person="Aisha", day="Friday")
    assert (await store.says("get_certifications", person="his card")).endswith("Who do you mean: Devon Carter or Aisha Khan?")


async def test_threads_do_not_share_whom_they_speak_of(store: Any) -> None:
    await store.call("get_certifications", person="Devon")
    store.thread_id = "thread-2"
    assert (await store.says("get_certifications", person="his card")).endswith("Who do you mean?")


@pytest.mark.parametrize("phrase", ["Zed", "zed miller", "when does Zed's card expire", "the card of Zed please"])
async def test_somebody_elses_card_is_not_answered_with_the_users(store: Any, phrase: str) -> None:
    result = await store.call("get_certifications", person=phrase)
    assert not result["found"]
    assert "I found no team member that fits 'Zed" in result["summary"].replace("zed", "Zed")


@pytest.mark.parametrize(
    "phrase", ["my ServSafe", "me", "maria-lopez", "", "food handler card", "when does the ServSafe card expire", "progress"]
)
async def test_the_user_is_meant_when_nobody_else_is(store: Any, phrase: str) -> None:
    assert (await store.says("get_certifications", person=phrase)).startswith("Maria Lopez:")


async def test_the_new_hire_is_looked_up_among_those_being_onboarded(store: Any) -> None:
    assert (await store.says("get_onboarding_status", person="is the new hire on track")).startswith(
        "Chloe Nguyen has done 3 of 6"
    )
    assert (await store.says("get_onboarding_status", person="is new hire Ben on track")) == "Ben Olsen has no onboarding plan."


async def test_an_unknown_user_is_asked_for_the_name_once(store: Any) -> None:
    store.user_id = "crew"
    asked = await store.call("get_certifications", person="my certificates")
    assert asked["summary"] == "I do not have your name. What is your name?"
    assert asked["next"] == {"tool": "get_certifications", "argument": "person", "question": "What is your name?"}
    assert (await store.says("get_certifications", person="Jamal")).startswith("Jamal Brooks:")
    assert (await store.says("get_certifications", person="my certificates")).startswith("Jamal Brooks:")
    assert (await store.says("list_shifts", when_or_who="when do i work next")).startswith("2 shifts planned: Jamal Brooks")


async def test_a_name_that_does_not_answer_the_question_for_it_is_not_the_users(store: Any) -> None:
    store.user_id = "crew"
    await store.call("get_certifications", person="my certificates")
    await store.call("get_evaluation", person="how is Devon doing")
    assert (await store.says("get_certifications", person="my certificates")).endswith("What is your name?")


async def test_a_quiz_of_an_unknown_user_is_filed_only_under_the_name_they_give(store: Any) -> None:
    store.user_id = "crew"
    assert "I do not have your name, so I will ask for it before I file the score." in await store.says(
        "start_quiz", topic="quiz me on allergens"
    )
    for answer in ("nine", "sesame"):
        await store.call("answer_quiz", answer=answer)
    last = await store.call("answer_quiz", answer="no")
    assert last["summary"] == (
        "Right. That was the last question. You have 3 of 3 right, 100 %: passed. I have not filed the score, because I do not have your "
        "name. What is your name?"
    )
    assert last["next"]["arguments"] == {"quiz": "Allergens", "score_pct": 100.0}
    assert len(store.rows("quiz_results")) == 2
    assert await store.says("record_quiz_score", person="Chloe", **last["next"]["arguments"]) == (
        "I recorded QUIZ-0003: Chloe Nguyen, Allergens quiz, 100 %, passed."
    )
    assert store.rows("quiz_runs")["thread-1"]["person"] == "chloe-nguyen"


async def test_who_takes_a_quiz_and_which_may_be_told_one_after_the_other(store: Any) -> None:
    asked = await store.call("start_quiz", topic="quiz him on allergens")
    assert asked["next"] == {"tool": "start_quiz", "argument": "topic", "question": "Who do you mean?"}
    assert (await store.says("start_quiz", topic="Jamal")).startswith("Allergens quiz")
    assert store.rows("quiz_runs")["thread-1"]["person"] == "jamal-brooks"
    await store.call("start_quiz", topic="give Priya a quiz")
    await store.call("start_quiz", topic="food safety")
    assert store.rows("quiz_runs")["thread-1"]["person"] == "priya-nair"
    assert not (await store.call("start_quiz", topic="quiz Zed on allergens"))["found"]
