"""Checklists, shifts, stock, guests, quality and store figures."""

from __future__ import annotations

from typing import Any

import pytest


async def test_a_checklist_shows_what_is_done_today(store: Any, empty_store: Any) -> None:
    said = await store.says("get_checklist", checklist="opening")
    assert said.startswith("Opening checklist: 4 of 8 tasks are done today. Done: Unlock the doors and switch off the alarm;")
    assert said.endswith("Mix sanitizer buckets and test them; Check the restrooms.")
    assert await empty_store.says("get_checklist", checklist="closing") == "No closing checklist is set up."


async def test_yesterdays_ticks_do_not_count_today(store: Any) -> None:
    store.rows("checklist_items")["opening-01"]["done_on"] = "2026-06-14"
    assert "3 of 8 tasks" in await store.says("get_checklist", checklist="opening")


async def test_a_task_is_ticked_off_by_its_words(store: Any) -> None:
    said = await store.says("complete_checklist_item", item="the lobby is swept, tick it off")
    assert said.startswith("I ticked off: Sweep and mop the lobby. Closing checklist: 1 of 7 tasks are done today.")
    row = store.rows("checklist_items")["closing-04"]
    assert (row["done_on"], row["done_by"]) == ("2026-06-15", "maria-lopez")
    assert (
        await store.says("complete_checklist_item", item="lobby mopped")
        == "Sweep and mop the lobby was already ticked off today."
    )


async def test_the_last_task_completes_the_list(store: Any) -> None:
    for key in ("opening-05", "opening-06", "opening-07"):
        store.rows("checklist_items")[key]["done_on"] = "2026-06-15"
    said = await store.says("complete_checklist_item", item="opening: restrooms are checked")
    assert said.endswith("8 of 8 tasks are done today. Nothing is left.")


async def test_unknown_or_ambiguous_tasks_are_asked_back(store: Any) -> None:
    assert "Open tasks: Filter the fryer oil" in await store.says("complete_checklist_item", item="I fed the cat")
    store.rows("checklist_items")["closing-08"] = {
        "checklist": "closing",
        "task": "Clean the lobby windows",
        "aliases": ["lobby"],
    }
    asked = await store.call("complete_checklist_item", item="lobby")
    assert (
        asked["next"]["question"] == "Which one is done: Sweep and mop the lobby (closing) or Clean the lobby windows (closing)?"
    )


@pytest.mark.parametrize(
    ("asked", "people"),
    [
        ("today", ["aisha-khan", "ben-olsen", "priya-nair", "chloe-nguyen", "devon-carter"]),
        ("who closes tomorrow", ["devon-carter"]),
        ("who opens tomorrow", ["jamal-brooks"]),
        ("is Devon on today", ["devon-carter"]),
        ("when does Priya work", ["priya-nair", "priya-nair"]),
        ("is Priya on shift on Saturday", []),
        ("Sunday", []),
    ],
)
async def test_shifts_are_told_by_day_and_by_person(store: Any, asked: str, people: list[str]) -> None:
    assert [row["person"] for row in (await store.call("list_shifts", when_or_who=asked))["rows"]] == people


async def test_shifts_are_told_in_sentences(store: Any) -> None:
    assert (await store.says("list_shifts")).startswith("Monday, June 15, 2026: Aisha Khan 5:30 AM to 1:30 PM (shift lead);")
    assert (await store.says("list_shifts", when_or_who="when does Priya work")).startswith(
        "2 shifts planned: Priya Nair on Monday, June 15, 2026, 10:00 AM to 6:00 PM;"
    )
    assert (
        await store.says("list_shifts", when_or_who="Priya on Saturday") == "Priya Nair has no shift on Saturday, June 20, 2026."
    )
    assert await store.says("list_shifts", when_or_who="Sunday") == "Nobody is planned on Sunday, June 21, 2026."
    store.rows("shifts").clear()
    assert await store.says("list_shifts", when_or_who="Priya") == "Priya Nair has no shift from today on."
    assert await store.says("list_shifts") == "Nobody is planned on Monday, June 15, 2026."


async def test_a_shift_is_added_once(store: Any) -> None:
    said = await store.says("add_shift", person="Chloe", day="Friday", start="10am", end="4pm")
    assert said == "I added a shift for Chloe Nguyen on Friday, June 19, 2026, 10:00 AM to 4:00 PM."
    assert store.rows("shifts")["2026-06-19-chloe-nguyen"]["start"] == "10:00"
    said = await store.says("add_shift", person="Chloe", day="Saturday", start="10", end="4")
    assert said == "I added a shift for Chloe Nguyen on Saturday, June 20, 2026, 10:00 AM to 4:00 PM."
    assert "already works" in await store.says("add_shift", person="Chloe", day="Friday", start="10am", end="4pm")


async def test_a_shift_is_given_away_by_pronoun_but_not_to_oneself(store: Any) -> None:
    await store.call("list_shifts", when_or_who="when does Devon work")
    said = await store.says("swap_shift", from_person="his friday shift", to_person="Priya", day="Friday")
    assert said.startswith("Priya Nair now works Devon Carter's shift on Friday, June 19, 2026")
    assert (await store.says("swap_shift", from_person="Devon", to_person="Devon", day="Friday")).startswith(
        "I found no team member"
    )
    unclear = await store.says("swap_shift", from_person="Jamal", to_person="her", day="Friday")
    assert unclear.startswith("I found no team member that fits 'Jamal and her'.")
    store.thread_id = "thread-2"
    asked = await store.call("swap_shift", from_person="his shift", to_person="Priya", day="Friday")
    assert asked["next"] == {"tool": "swap_shift", "argument": "from_person", "question": "Who do you mean?"}


async def test_my_shifts_are_the_users(store: Any) -> None:
    assert (await store.says("list_shifts", when_or_who="when do i work this week")).startswith("2 shifts planned: Maria Lopez")
    assert "Aisha Khan" in await store.says("list_shifts", when_or_who="who do i have on today")


async def test_a_shift_that_cannot_be_read_is_not_added(store: Any) -> None:
    result = await store.call("add_shift", person="Chloe", day="soon", start="early", end="4pm")
    assert result["summary"].startswith("I could not read the day and the start time, so I added nothing.")
    assert "The team: Aisha Khan" in await store.says("add_shift", person="Zed", day="Friday", start="1pm", end="4pm")


async def test_a_shift_is_given_to_another_or_traded(store: Any) -> None:
    given = await store.says(
        "swap_shift", from_person="swap Devon's Friday shift with Priya", to_person="with Priya", day="Friday"
    )
    assert given == "Priya Nair now works Devon Carter's shift on Friday, June 19, 2026, 5:30 AM to 1:30 PM."
    row = store.rows("shifts")["2026-06-19-devon-carter"]
    assert (row["person"], row["swapped_from"], row["swapped_by"]) == ("priya-nair", "devon-carter", "maria-lopez")
    traded = await store.says("swap_shift", from_person="Maria", to_person="Devon", day="Saturday")
    assert traded.endswith("Devon Carter now works 8:00 AM to 4:30 PM and Maria Lopez 1:00 PM to 9:30 PM.")


async def test_a_swap_that_cannot_be_done_says_why(store: Any) -> None:
    assert (await store.call("swap_shift", from_person="Devon", to_person="Priya", day="soon"))["next"]["argument"] == "day"
    assert "The team:" in await store.says("swap_shift", from_person="Devon", to_person="Zed", day="Friday")
    assert "The team:" in await store.says("swap_shift", from_person="Devon", to_person="Devon", day="Friday")
    assert (await store.says("swap_shift", from_person="Ben", to_person="Devon", day="Friday")).startswith(
        "Ben Olsen has no shift"
    )


async def test_stock_is_told_with_its_reorder_point_and_order(store: Any) -> None:
    assert await store.says("get_stock", item="how many burger buns do we have") == (
        "Burger buns: 18 packs on hand, reorder point 20, time to reorder."
    )
    assert (await store.says("get_stock", item="lettuce")).endswith("time to reorder, on order with ORD-0001.")
    assert len((await store.call("get_stock", item="fries and napkins"))["rows"]) == 2
    assert "Stock items: Beef patties" in await store.says("get_stock", item="caviar")
    await store.state.put("inventory", "salt", {"name": "Salt"})
    assert await store.says("get_stock", item="salt") == "Salt: not counted yet."


async def test_low_stock_is_listed(store: Any, empty_store: Any) -> None:
    assert (await store.says("list_low_stock")).startswith("4 items at or below the reorder point. Burger buns: 18 packs")
    assert await empty_store.says("list_low_stock") == "Every stock item is above its reorder point."


async def test_a_count_replaces_the_stock(store: Any) -> None:
    said = await store.says("record_stock_count", item="I counted 24 packs of buns", counted=24)
    assert said.startswith(
        "I recorded 24 packs of Burger buns (before: 18). Burger buns: 24 packs on hand, reorder point 20, enough"
    )
    assert store.rows("inventory")["burger-buns"]["counted_by"] == "maria-lopez"
    assert "below zero" in await store.says("record_stock_count", item="buns", counted=-1)
    assert store.rows("inventory")["burger-buns"]["on_hand"] == 24
    await store.state.put("inventory", "salt", {"name": "Salt", "unit": "bags"})
    assert (await store.says("record_stock_count", item="salt", counted=2)) == "I recorded 2 bags of Salt. Salt: 2 bags on hand."


async def test_an_order_takes_a_quantity_or_fills_up_to_par(store: Any) -> None:
    assert await store.says("place_order", item="order fries", quantity=10) == (
        "I placed order ORD-0003: 10 cases of Frozen fries from Millport Foods, expected on June 17, 2026."
    )
    assert "42 packs of Burger buns from Golden Crust Bakery" in await store.says("place_order", item="burger buns")
    assert store.rows("orders")["ORD-0003"]["ordered_by"] == "maria-lopez"


async def test_an_order_of_nothing_is_refused(store: Any) -> None:
    assert await store.says("place_order", item="fries", quantity=0) == "I ordered nothing: the quantity must be above zero."
    store.rows("inventory")["napkins"]["on_hand"] = 12
    assert await store.says("place_order", item="napkins") == "I ordered nothing: Napkins is at par (12 cases)."


async def test_an_item_that_is_unclear_is_asked_back(store: Any) -> None:
    store.rows("inventory")["pie-cherry"] = {"name": "Cherry pie"}
    store.rows("inventory")["pie-apple"] = {"name": "Apple pie"}
    for tool, more in (("place_order", {}), ("record_stock_count", {"counted": 3})):
        asked = await store.call(tool, item="pie", **more)
        assert asked["next"] == {"tool": tool, "argument": "item", "question": "Which one do you mean: Apple pie or Cherry pie?"}
        assert not (await store.call(tool, item="caviar", **more))["found"]


async def test_open_orders_are_listed(store: Any) -> None:
    assert await store.says("list_orders") == (
        "1 open order. ORD-0001: 15 bags of Shredded lettuce from Green Valley Produce, expected on June 16, 2026 (tomorrow)."
    )
    assert (await store.says("list_orders", item="Green Valley")).startswith("1 open order.")
    assert await store.says("list_orders", item="buns") == "No order is open for Burger buns."
    store.rows("orders")["ORD-0001"] = {"item": "lettuce", "quantity": 1, "unit": "bag"}
    assert (await store.says("list_orders")).endswith("1 bag of Shredded lettuce from the supplier.")
    store.rows("orders").clear()
    assert await store.says("list_orders") == "No order is open."


async def test_a_complaint_is_logged_under_its_topic(store: Any) -> None:
    said = await store.says("log_complaint", what="log a complaint, a guest waited 15 minutes in the drive-thru")
    assert said == "I logged complaint CMP-0004 under wait: A guest waited 15 minutes in the drive-thru."
    assert "under other" in await store.says("log_complaint", what="the music was odd")
    assert (await store.call("log_complaint", what="log a complaint"))["next"]["argument"] == "what"
    assert await store.says("log_complaint", what="no") == "All right, I logged no complaint."


async def test_complaints_are_listed_by_state_topic_or_id(store: Any, empty_store: Any) -> None:
    assert (await store.says("list_complaints")).startswith("2 open complaints. CMP-0001 (wait, open) on June 13, 2026:")
    assert [row["key"] for row in (await store.call("list_complaints", topic="slow service"))["rows"]] == ["CMP-0001"]
    assert [row["key"] for row in (await store.call("list_complaints", topic="show CMP-0003"))["rows"]] == ["CMP-0003"]
    assert await empty_store.says("list_complaints") == "No guest complaint is open."
    await empty_store.state.put("complaints", "CMP-0001", {"what": "Loud."})
    assert await empty_store.says("list_complaints") == "1 open complaint. CMP-0001 (other, open): Loud."


async def test_a_quality_check_passes_at_85(store: Any) -> None:
    assert (
        await store.says("record_quality_check", area="fries", score=85)
        == "I recorded quality check QC-0004: fries, 85 of 100 points, passed."
    )
    assert "below the pass mark of 85" in await store.says("record_quality_check", area="fries", score=84.5)
    assert not (await store.call("record_quality_check", area="fries", score=101))["found"]
    assert "QC-0006" not in store.rows("quality_checks")


async def test_quality_checks_are_listed(store: Any, empty_store: Any) -> None:
    assert (await store.says("list_quality_checks")).startswith("The latest 3 quality checks. QC-0003 on June 14, 2026: Lobby")
    assert [row["key"] for row in (await store.call("list_quality_checks", area="how did the fries do"))["rows"]] == ["QC-0002"]
    assert [row["key"] for row in (await store.call("list_quality_checks", area="which failed"))["rows"]] == ["QC-0002"]
    assert await empty_store.says("list_quality_checks") == "No quality check fits that."
    await empty_store.state.put("quality_checks", "QC-0001", {"area": "Bins", "score": 90})
    assert (await empty_store.says("list_quality_checks")).endswith("QC-0001: Bins, 90 points, passed.")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("how were sales yesterday", "Sunday, June 14, 2026: sales $7,480 (target $7,200, on target)."),
        ("drive-thru time on Saturday", "Saturday, June 13, 2026: drive-thru time 268 seconds (target 240 seconds, off target)."),
        ("how was Saturday", "Saturday, June 13, 2026: sales $8,610"),
        ("sales on Monday", "Monday, June 8, 2026: sales $6,480"),
        (
            "are we over on labor this week",
            "Average of the last 7 days with figures: labor cost 25.5 % (target 26.0 %, on target).",
        ),
        (
            "how was June 1",
            "No figures are recorded for Monday, June 1, 2026. The latest days with figures: June 12, 2026, June 13, 2026 and June",
        ),
    ],
)
async def test_store_figures_are_told_against_target(store: Any, question: str, said: str) -> None:
    assert said in await store.says("get_store_performance", question=question)


async def test_missing_figures_are_not_zero(store: Any, empty_store: Any) -> None:
    assert await empty_store.says("get_store_performance") == "No store figures are recorded yet."
    await empty_store.state.put("performance", "2026-06-14", {"sales_usd": 100})
    assert await empty_store.says("get_store_performance", question="sales and waste") == (
        "Sunday, June 14, 2026: sales $100; waste not recorded."
    )
    assert (await empty_store.says("get_store_performance", question="waste this week")).endswith("waste not recorded.")
    await empty_store.state.delete("performance", "2026-06-14")
    await empty_store.state.put("performance", "2026-05-01", {"sales_usd": 100})
    assert not (await empty_store.call("get_store_performance", question="sales this week"))["found"]
