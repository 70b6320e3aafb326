"""Machines, maintenance, parts and service tickets."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ("what is the serial number of fryer 2", "Fryer 2 is a Vulcan LG400, serial number VF-204818"),
        ("is the left soft-serve still under warranty", "The warranty runs until June 20, 2026."),
        ("our Hobart mixer", "The warranty ended on September 1, 2022."),
        ("ice machine", "It is out of service."),
        ("TR-771204", "Walk-in cooler is a Traulsen WC810"),
    ],
)
async def test_a_machine_is_looked_up_by_any_of_its_names(store: Any, machine: str, said: str) -> None:
    assert said in await store.says("get_machine", machine=machine)


async def test_machines_that_fit_alike_are_all_told(store: Any) -> None:
    assert [row["key"] for row in (await store.call("get_machine", machine="the fryer"))["rows"]] == ["fryer-1", "fryer-2"]


async def test_an_unknown_machine_names_those_there_are(store: Any, empty_store: Any) -> None:
    result = await store.call("get_machine", machine="waffle iron")
    assert not result["found"]
    assert "Registered machines: Coffee brewer" in result["summary"]
    assert await empty_store.says("get_machine", machine="fryer") == "No machines are registered for this store."


async def test_facts_that_are_not_on_record_are_not_made_up(empty_store: Any) -> None:
    await empty_store.state.put("machines", "x", {"name": "Toaster", "make": "Acme", "model": "T1"})
    assert await empty_store.says("get_machine", machine="toaster") == (
        "Toaster is a Acme T1, serial number not recorded, at no recorded location. It is in service."
    )


async def test_machines_are_listed_by_kind_state_or_all(store: Any, empty_store: Any) -> None:
    assert (await store.says("list_machines")).startswith("The store has 12 machines: ")
    assert (await store.says("list_machines")).endswith("Out of service: Ice machine.")
    assert (await store.says("list_machines", kind="fryers")).startswith("The store has 2 machines: Fryer 1 (Vulcan LG400")
    assert await store.says("list_machines", kind="which are out of service") == (
        "Out of service: Ice machine (Manitowoc IDT0500A, back of house)."
    )
    store.rows("machines")["ice-machine-1"]["status"] = "in service"
    assert await store.says("list_machines", kind="machines that are down") == "All 12 registered machines are in service."
    assert not (await empty_store.call("list_machines"))["found"]


async def test_maintenance_due_soon_is_listed_with_the_overdue_first(store: Any) -> None:
    result = await store.call("list_maintenance")
    assert result["summary"].startswith(
        "7 maintenance tasks, 3 overdue: Dough mixer planetary lubrication, overdue by 8 days (it was due on June 7, 2026)"
    )
    assert "descaling" not in result["summary"]
    assert await store.call("list_maintenance", machine="what machine maintenance are we behind on") == result


async def test_maintenance_of_one_machine_or_task_is_listed_in_full(store: Any) -> None:
    assert (await store.says("list_maintenance", machine="the coffee brewer")) == (
        "1 maintenance task, none overdue: Coffee brewer descaling, due on July 1, 2026."
    )
    assert len((await store.call("list_maintenance", machine="next boil-out of fryer 1"))["rows"]) == 1


async def test_no_maintenance_is_said_plainly(store: Any, empty_store: Any) -> None:
    assert await store.says("list_maintenance", machine="oven") == "No maintenance is planned for the Convection oven."
    assert await empty_store.says("list_maintenance") == "Nothing is overdue and nothing is due within 7 days."
    assert await empty_store.says("record_maintenance", task="boil-out") == "No maintenance is planned."


async def test_a_task_without_a_date_says_so(store: Any) -> None:
    store.rows("maintenance")["coffee-1-descaling"]["due"] = None
    assert (await store.says("list_maintenance", machine="coffee")).endswith("Coffee brewer descaling, no date set.")


async def test_recorded_maintenance_is_planned_anew(store: Any) -> None:
    said = await store.says("record_maintenance", task="I finished the boil-out on fryer 1")
    assert said == "Recorded: Fryer 1 boil-out was done on June 15, 2026. It is next due on July 15, 2026."
    row = store.rows("maintenance")["fryer-1-boil-out"]
    assert (row["last_done"], row["due"], row["done_by"]) == ("2026-06-15", "2026-07-15", "maria-lopez")


async def test_the_only_task_of_a_machine_needs_no_name(store: Any) -> None:
    assert (await store.says("record_maintenance", task="the grill is done")).startswith(
        "Recorded: Flat grill surface calibration"
    )


async def test_an_ambiguous_task_is_asked_back_and_an_unknown_one_changes_nothing(store: Any) -> None:
    asked = await store.call("record_maintenance", task="we did the boil-out")
    assert asked["next"]["question"] == "Which one was done: Fryer 1 boil-out or Fryer 2 boil-out?"
    before = dict(store.rows("maintenance"))
    assert not (await store.call("record_maintenance", task="polished the sign"))["found"]
    assert store.rows("maintenance") == before


@pytest.mark.parametrize(
    ("part", "keys"),
    [
        ("do we have a spare thermocouple for the fryer", ["fryer-thermocouple"]),
        ("TA-0355", ["scraper-blades"]),
        ("which parts fit the mixer", ["mixer-guard-switch"]),
        ("how many door gaskets are left", ["cooler-gasket", "freezer-gasket"]),
    ],
)
async def test_parts_are_found_by_name_number_or_machine(store: Any, part: str, keys: list[str]) -> None:
    assert [row["key"] for row in (await store.call("find_part", part=part))["rows"]] == keys


async def test_a_part_is_told_with_number_stock_price_and_supplier(store: Any) -> None:
    assert await store.says("find_part", part="scraper blades") == (
        "Scraper blade set, part number TA-0355: 0 on hand at shelf A1, $38.00 each from Frostline Service, delivered in 3 days."
    )
    await store.state.put("parts", "knob", {"name": "Knob"})
    assert await store.says("find_part", part="knob") == "Knob, part number not recorded: 0 on hand."


async def test_unknown_parts_name_the_list(store: Any, empty_store: Any) -> None:
    assert "Parts on the list: Walk-in door gasket" in await store.says("find_part", part="flux capacitor")
    assert await empty_store.says("find_part", part="knob") == "No spare parts are registered."


async def test_low_parts_are_listed(store: Any, empty_store: Any) -> None:
    assert "Scraper blade set (0 on hand, minimum 2)" in await store.says("list_low_parts")
    assert await empty_store.says("list_low_parts") == "Every spare part is above its minimum stock."


async def test_a_ticket_names_machine_company_priority_and_problem(store: Any) -> None:
    said = await store.says("create_service_ticket", problem="open a service ticket for fryer 2, the thermostat is off")
    assert (
        said
        == "I opened service ticket TKT-0003 for Fryer 2 with Coastal Kitchen Service, normal priority: the thermostat is off."
    )
    row = store.rows("tickets")["TKT-0003"]
    assert (row["machine"], row["problem"], row["status"], row["opened_by"]) == (
        "fryer-2",
        "the thermostat is off",
        "open",
        "maria-lopez",
    )
    assert row["opened_at"] == "2026-06-15T10:00-04:00"


async def test_urgency_is_said_or_inferred(store: Any) -> None:
    assert "urgent priority" in await store.says("create_service_ticket", problem="the walk-in is not cooling")
    assert "normal priority" in await store.says("create_service_ticket", problem="freezer gasket leak", priority="normal")
    assert "urgent priority" in await store.says("create_service_ticket", problem="freezer gasket", priority="urgent")


async def test_a_ticket_needs_a_machine_and_can_be_declined(store: Any) -> None:
    asked = await store.call("create_service_ticket", problem="somebody should repair it")
    assert asked["next"]["tool"] == "create_service_ticket"
    assert await store.says("create_service_ticket", problem="no thanks") == "All right, I opened no ticket."
    assert len(store.rows("tickets")) == 2


async def test_tickets_are_listed_open_by_machine_or_by_id(store: Any) -> None:
    assert await store.says("list_service_tickets") == (
        "1 service ticket: TKT-0001 for Ice machine (urgent priority, open, opened on June 13, 2026): makes no ice and shows a water alarm."
    )
    assert await store.says("list_service_tickets", machine="fryer 2") == "No service ticket is open for Fryer 2."
    assert "TKT-0002 for Fryer 2 (normal priority, closed" in await store.says(
        "list_service_tickets", machine="status of TKT-0002"
    )
    del store.rows("tickets")["TKT-0001"]
    assert await store.says("list_service_tickets") == "No service ticket is open for any machine."
