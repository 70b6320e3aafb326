"""Emergencies, incidents, temperatures, allergens and compliance."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.packs.qsr.tools.emergencies import LOG_QUESTION, procedure_in
from assistant.packs.qsr.tools.incidents import severity_in


@pytest.mark.parametrize(
    ("situation", "name"),
    [
        ("Devon burned his hand on the fryer", "burn"),
        ("I got degreaser in my eye, what do I do", "chemical-eye"),
        ("bleach on my arm", "chemical-skin"),
        ("somebody mixed bleach with delimer and there are fumes", "fumes"),
        ("he drank sanitizer", "swallowed"),
        ("Priya cut her finger with a knife", "cut"),
        ("deep cut, it won't stop bleeding", "severe-bleeding"),
        ("a guest is choking", "choking"),
        ("grease fire on the grill", "grease-fire"),
        ("I smell gas in the kitchen", "gas"),
        ("the CO alarm is on", "carbon-monoxide"),
        ("Ben got an electric shock", "shock"),
        ("someone slipped and hit her head", "fall"),
        ("a guest's lips are swelling, allergic reaction", "allergic-reaction"),
        ("Tomas collapsed", "collapse"),
        ("we were robbed", "robbery"),
        ("Priya got splashed in the face with fryer oil", "burn"),
        ("how was your day", None),
    ],
)
def test_a_situation_is_recognised_in_plain_words(situation: str, name: str | None) -> None:
    assert procedure_in(situation) == name


async def test_emergency_steps_come_first_and_then_the_offer_to_log(store: Any) -> None:
    result = await store.call("get_emergency_steps", situation="Devon burned his hand on the fryer")
    assert result["summary"].startswith("Burn, do this now: 1. Move the person away from the heat")
    assert "Cool the burn under cool running water for at least 20 minutes." in result["summary"]
    assert "The address for the call is 48 Harbor Road, Millport." in result["summary"]
    assert result["next"] == {
        "tool": "log_incident",
        "argument": "addition",
        "question": LOG_QUESTION,
        "arguments": {"what": "Devon burned his hand on the fryer"},
    }


async def test_without_an_address_none_is_told(empty_store: Any) -> None:
    assert "address" not in await empty_store.says("get_emergency_steps", situation="we were robbed")


async def test_an_unknown_emergency_says_911_and_asks(store: Any) -> None:
    result = await store.call("get_emergency_steps", situation="help")
    assert result["summary"].startswith("If someone is in danger, call 911 first. Which is it: burn,")
    assert not result["found"]


async def test_the_offer_to_log_takes_yes_no_or_the_story(store: Any) -> None:
    asked = await store.call("log_incident", what="yes")
    assert asked["next"]["argument"] == "what"
    assert (await store.says("log_incident", what="no thanks")).startswith("All right, I logged nothing.")
    assert len(store.rows("incidents")) == 3
    said = await store.says("log_incident", what="log an incident, Devon burned his hand on fryer 2")
    assert said == "I logged incident INC-0004 as moderate: Devon burned his hand on fryer 2. Follow-up is on June 18, 2026."
    assert store.rows("incidents")["INC-0004"] == {
        "what": "Devon burned his hand on fryer 2",
        "kind": "burn",
        "severity": "moderate",
        "person": "devon-carter",
        "status": "open",
        "reported_at": "2026-06-15T10:00-04:00",
        "reported_by": "maria-lopez",
        "follow_up_on": "2026-06-18",
        "notes": [],
    }


@pytest.mark.parametrize(
    ("what", "severity"),
    [
        ("ambulance took a guest to the hospital", "serious"),
        ("small cut, needed stitches", "moderate"),
        ("small cut, got a bandage", "minor"),
        ("near miss, the pan of fire fell", "minor"),
        ("a guest is choking", "serious"),
        ("a chair broke", "minor"),
    ],
)
def test_severity_follows_the_words(what: str, severity: str) -> None:
    assert severity_in(what) == severity


async def test_a_told_severity_wins_and_a_serious_one_tells_the_manager(store: Any) -> None:
    said = await store.says("log_incident", what="a box fell", severity="serious")
    assert said.endswith("Follow-up is on June 16, 2026 (tomorrow). Tell the manager on duty now.")


@pytest.mark.parametrize(
    ("topic", "keys"),
    [
        ("open", ["INC-0001", "INC-0002"]),
        ("show me inc 2", ["INC-0002"]),
        ("is the incident with Jamal closed", ["INC-0001"]),
        ("incidents with burns", ["INC-0003"]),
        ("the box from the shelf of the walk-in", ["INC-0002"]),
    ],
)
async def test_incidents_are_found_by_state_id_person_or_subject(store: Any, topic: str, keys: list[str]) -> None:
    assert [row["key"] for row in (await store.call("list_incidents", topic=topic))["rows"]] == keys


async def test_an_overdue_follow_up_is_told_and_none_open_too(store: Any, empty_store: Any) -> None:
    store.rows("incidents")["INC-0002"]["follow_up_on"] = "2026-06-14"
    assert (await store.says("list_incidents")).endswith("Follow-up is overdue for INC-0002.")
    assert await empty_store.says("list_incidents") == "No incident is open."


async def test_an_incident_is_updated_moved_and_closed(store: Any) -> None:
    moved = await store.says("update_incident", incident="INC-0002", note="look again on Friday")
    assert moved.endswith("Follow-up is on June 19, 2026.")
    closed = await store.says("update_incident", incident="the slip", note="doctor cleared Jamal, close it")
    assert closed.endswith("It is now closed.")
    row = store.rows("incidents")["INC-0001"]
    assert (row["status"], row["closed_on"]) == ("closed", "2026-06-15")
    assert row["notes"] == ["2026-06-15 maria-lopez: doctor cleared Jamal, close it"]
    store.rows("incidents")["INC-0002"]["follow_up_on"] = None
    assert (await store.says("update_incident", incident="INC-0002", note="mats ordered")).endswith("It has no follow-up date.")


async def test_an_update_needs_one_incident(store: Any, empty_store: Any) -> None:
    assert (await store.says("update_incident", incident="?", note="all good")).endswith("Open incidents: INC-0001 and INC-0002.")
    assert (await empty_store.says("update_incident", incident="INC-0001", note="x")).endswith("Open incidents: none.")


@pytest.mark.parametrize(
    ("item", "reading", "limit", "good"),
    [
        ("chicken", 172, "chicken", True),
        ("chicken", 160, "chicken", False),
        ("log the burger patty", 155, "ground-beef", True),
        ("walk-in cooler", 38, "walk-in-cooler", True),
        ("walk-in cooler", 41.5, "walk-in-cooler", False),
        ("salad bar", 44, "cold-holding", False),
        ("chili on the steam table", 140, "hot-holding", True),
        ("freezer", -2, "freezer", True),
        ("freezer", 10, "freezer", False),
        ("chicken in the walk-in", 50, "cold-holding", False),
        ("chicken", 38, "cold-holding", True),
        ("reheated chicken", 150, "reheating", False),
    ],
)
async def test_a_reading_is_judged_by_the_limit_that_fits(store: Any, item: str, reading: float, limit: str, good: bool) -> None:
    await store.call("log_temperature", item=item, reading=reading)
    row = store.rows("temperatures")["TMP-0006"]
    assert (row["limit"], row["in_range"], row["reading_f"]) == (limit, good, reading)
    assert (row["corrective_action"] is None) == good


async def test_a_reading_is_told_in_both_units_with_limit_and_action(store: Any) -> None:
    assert await store.says("log_temperature", item="burger patty", reading=150) == (
        "I logged burger patty (ground beef) at 150 F (65.6 C) as TMP-0006: out of range, the limit is 155 F (68.3 C) or above. "
        "Do this now: Cook it longer until the middle reaches 155 F (68 C) for 17 seconds, then probe again."
    )
    assert await store.says("log_temperature", item="Chicken", reading=75, unit="C") == (
        "I logged Chicken at 167 F (75 C) as TMP-0007: in range, the limit is 165 F (73.9 C) or above."
    )


async def test_the_kind_of_check_can_be_told(store: Any) -> None:
    assert "(hot holding)" in await store.says("log_temperature", item="chicken", reading=140, check="hot holding")
    assert "out of range" in await store.says("log_temperature", item="chicken", reading=60, check="cooking")


async def test_limits_come_from_the_state(store: Any, empty_store: Any) -> None:
    await empty_store.state.put(
        "temperature_limits", "wine", {"name": "Wine", "check": "cellar", "minimum_f": 50, "maximum_f": 60}
    )
    await empty_store.state.put("temperature_limits", "tea", {"name": "Tea", "check": "cooking"})
    assert "50 F (10 C) to 60 F (15.6 C)" in await empty_store.says("log_temperature", item="wine", reading=70)
    assert (await empty_store.says("log_temperature", item="wine", reading=70)).endswith("Do this now: Tell the manager on duty.")
    assert "the limit is not set" in await empty_store.says("log_temperature", item="tea", reading=50)
    assert "the limit is 50 F" in await empty_store.says("log_temperature", item="tea in the wine", reading=55)
    assert not (await empty_store.call("log_temperature", item="tea", reading=50, check="freezer"))["found"]


async def test_an_item_without_limit_is_not_logged(store: Any) -> None:
    result = await store.call("log_temperature", item="car engine", reading=44)
    assert not result["found"]
    assert "TMP-0006" not in store.rows("temperatures")


async def test_readings_are_listed_newest_first(store: Any, empty_store: Any) -> None:
    said = await store.says("list_temperatures")
    assert said.startswith(
        "The latest 5 readings, 1 out of range: Prep table 44 F (6.7 C) on June 15, 2026 at 6:15 AM, out of range, Close"
    )
    assert (await store.says("list_temperatures", item="chicken")).endswith(
        "Chicken 171 F (77.2 C) on June 14, 2026 at 6:30 PM, in range."
    )
    assert (await store.says("list_temperatures", item="any out of range")).startswith(
        "The latest 1 reading, 1 out of range: Prep"
    )
    assert await store.says("list_temperatures", item="eggs") == "The temperature log has no reading for Eggs."
    assert await empty_store.says("list_temperatures") == "The temperature log has no reading at all."


async def test_a_reading_without_number_or_time_is_not_made_up(empty_store: Any) -> None:
    await empty_store.state.put("temperatures", "TMP-0001", {"item": "soup", "in_range": True})
    assert (await empty_store.says("list_temperatures")).endswith("soup no reading, in range.")
    assert await empty_store.says("list_temperatures", item="out of range") == "The temperature log has no reading out of range."


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            "does the chicken sandwich contain egg",
            "The Chicken sandwich contains egg. Chicken sandwich: contains wheat, egg, milk and soy; may",
        ),
        ("sesame allergy, chicken sandwich", "The Chicken sandwich may contain traces of sesame."),
        ("is the side salad gluten free", "The Side salad is not listed with wheat."),
        ("fries", "French fries: none of the 9 major allergens is an ingredient; may contain wheat"),
        ("which items have peanuts", "These items contain peanuts: Peanut sundae. Not listed with peanuts: Cheeseburger,"),
        ("nut allergy", "These items contain peanuts: Peanut sundae."),
        ("milk", "May contain milk: Chicken nuggets, French fries, Side salad and Veggie wrap. Not listed with milk: none."),
    ],
)
async def test_the_allergen_matrix_answers_by_item_and_by_allergen(store: Any, asked: str, said: str) -> None:
    assert said in await store.says("look_up_allergens", item_or_allergen=asked)


async def test_an_item_that_is_not_on_the_matrix_gets_no_guess(store: Any, empty_store: Any) -> None:
    for asked in ("pumpkin pie", "does the pumpkin pie have tree nuts? guest is asking", "veggie sandwich"):
        result = await store.call("look_up_allergens", item_or_allergen=asked)
        assert not result["found"]
        assert "allergens are never guessed" in result["summary"]
        assert "Not listed with" not in result["summary"]
    assert "ask the manager" in await empty_store.says("look_up_allergens", item_or_allergen="fries")


async def test_compliance_tells_late_items_and_cards(store: Any, empty_store: Any) -> None:
    said = await store.says("get_compliance_status")
    assert said.startswith("2 inspection items overdue, 3 due within 7 days: Fire extinguisher check is overdue by 4 days")
    assert "3 required cards expired or expiring within 60 days: Jamal Brooks's Food handler card expired on May 30, 2026" in said
    assert "Maria Lopez" not in said
    assert await empty_store.says("get_compliance_status") == (
        "No inspection item is due within 7 days. No required card expires within 60 days."
    )


async def test_compliance_can_be_asked_for_cards_or_one_item(store: Any) -> None:
    said = await store.says("get_compliance_status")
    for whole in (
        "health inspector is coming thursday, are we good",
        "is the team ready for the inspection",
        "has anything expired",
    ):
        assert await store.says("get_compliance_status", topic=whole) == said, whole
    assert (await store.says("get_compliance_status", topic="expired food handler cards")).startswith("3 required cards")
    assert await store.says("get_compliance_status", topic="is the hood inspection up to date") == (
        "Hood suppression service is due on July 19, 2026, last done on January 20, 2026."
    )
    store.rows("compliance")["hood-inspection"] = {"name": "Hood suppression service"}
    assert await store.says("get_compliance_status", topic="hood") == "Hood suppression service has no due date, never done."


async def test_an_inspection_item_is_ticked_off(store: Any) -> None:
    said = await store.says("complete_compliance_item", item="the eyewash was flushed today")
    assert said == "I ticked off Eyewash flush for June 15, 2026. It is next due on June 22, 2026."
    assert store.rows("compliance")["eyewash-flush"]["done_by"] == "maria-lopez"
    asked = await store.call("complete_compliance_item", item="check")
    assert asked["next"]["question"] == "Which one was done: Fire extinguisher check or First-aid kit check?"
    assert "Items: Fire extinguisher check, Eyewash flush" in await store.says("complete_compliance_item", item="roof")
