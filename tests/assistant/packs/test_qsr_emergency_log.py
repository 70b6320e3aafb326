"""An emergency and its entry in the incident log: what was told once need not be told again."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.errors import StateReadOnly

CALL = "ow, devon just burned his hand on the fryer 2 door"


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("its under the tap. yes log that", f"{CALL}; its under the tap"),
        ("yes", CALL),
        ("yes please log it", CALL),
        ("log that devon burned his hand", CALL),
        ("he went to the clinic, log it", f"{CALL}; he went to the clinic"),
        ("he slipped as well", f"{CALL}; he slipped as well"),
        (
            "log it, devon burned his left hand on the fryer while filtering",
            "devon burned his left hand on the fryer while filtering",
        ),
    ],
)
@pytest.mark.parametrize("offered", [True, False])
async def test_the_words_of_the_emergency_fill_the_incident(store: Any, said: str, what: str, offered: bool) -> None:
    following = (await store.call("get_emergency_steps", situation=CALL))["next"]
    await store.call("log_incident", **({**following["arguments"], following["argument"]: said} if offered else {"what": said}))
    row = store.rows("incidents")["INC-0004"]
    assert (row["what"], row["kind"], row["person"]) == (what, "burn", "devon-carter")
    assert "emergency" not in store.rows("threads")["thread-1"]


@pytest.mark.parametrize(
    "other",
    [
        "a guest slipped by the door",
        "log a near miss, a box fell on nobody",
        "log an incident, a box of knives went missing",
        "another one: chemical in the mop sink",
    ],
)
async def test_another_incident_is_not_told_by_the_words_of_the_emergency(store: Any, other: str) -> None:
    await store.call("get_emergency_steps", situation=CALL)
    await store.call("log_incident", what=other)
    row = store.rows("incidents")["INC-0004"]
    assert "devon" not in row["what"] and row["person"] is None
    await store.call("log_incident", what="yes log that")
    assert store.rows("incidents")["INC-0005"]["person"] == "devon-carter"


async def test_a_question_in_place_of_a_yes_logs_nothing_and_keeps_the_offer(store: Any) -> None:
    await store.call("get_emergency_steps", situation=CALL)
    result = await store.call("log_incident", what=CALL, addition="its blistering, should he pop it and put butter on")
    assert result["summary"].startswith("No ice, butter, oil or toothpaste, and do not break blisters.")
    assert result["summary"].endswith("I have not logged it yet. Say yes when I should log it.")
    assert result["next"]["arguments"] == {"what": CALL}
    assert not result["found"]
    assert len(store.rows("incidents")) == 3
    assert (await store.says("log_incident", what=CALL, addition="no thanks")).startswith("All right, I logged nothing.")
    unknown = await store.says("log_incident", what="something odd", addition="is that bad?")
    assert unknown.startswith("I have not logged it yet.")


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        (["help", "he burned himself"], "help; he burned himself"),
        (["someone burned a hand", "its devon, burn on the hand"], "someone burned a hand; its devon, burn on the hand"),
        (["devon burned his hand", "the burn is red"], "devon burned his hand"),
        (["devon burned his hand", "and now"], "devon burned his hand"),
        (["devon burned his hand", "now a guest is choking"], "now a guest is choking"),
    ],
)
async def test_an_emergency_is_kept_in_the_words_that_say_what_and_who(store: Any, calls: list[str], words: str) -> None:
    for situation in calls:
        await store.call("get_emergency_steps", situation=situation)
    assert store.rows("threads")["thread-1"]["emergency"] == words


async def test_emergency_steps_are_told_when_nothing_can_be_written(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise StateReadOnly

    monkeypatch.setattr(store.state, "put", refuse)
    result = await store.call("get_emergency_steps", situation=CALL)
    assert "20 minutes" in result["summary"]
    assert result["next"]["arguments"] == {"what": CALL}
    with pytest.raises(StateReadOnly):
        await store.call("log_incident", what="a box fell")


async def test_the_incident_with_him_is_the_one_of_the_person_last_spoken_of(store: Any) -> None:
    assert [row["key"] for row in (await store.call("list_incidents", topic="anything with him"))["rows"]] == [
        "INC-0001",
        "INC-0002",
    ]
    await store.call("list_incidents", topic="is the incident with Jamal closed")
    assert [row["key"] for row in (await store.call("list_incidents", topic="anything with him"))["rows"]] == ["INC-0001"]
