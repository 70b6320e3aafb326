"""How the tools read people: names, days, times, answers; and how they say dates and numbers."""

from __future__ import annotations

from datetime import date

import pytest

from assistant.packs.qsr.tools import days, evidence, phrases, replies, rows
from assistant.packs.qsr.tools.diagnosis_trees import Step, read_answer
from assistant.packs.qsr.tools.matching import alike, best_text, find, mentioned, says, words
from assistant.packs.qsr.tools.rows import Row

TODAY = date(2026, 6, 15)
STOCK: dict[str, Row] = {
    "buns": {"name": "Burger buns", "aliases": ["buns"]},
    "oil": {"name": "Fryer oil", "aliases": []},
    "cups": {"name": "20 oz cups"},
}


def keys(found: list[tuple[str, Row]]) -> list[str]:
    return [key for key, _ in found]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("how many burger buns do we have", ["buns"]),
        ("burgr buns", ["buns"]),
        ("the fryer's oil", ["oil"]),
        ("cup", ["cups"]),
        ("nothing like it", []),
        ("the of and", []),
    ],
)
def test_a_row_is_found_in_a_whole_sentence(query: str, found: list[str]) -> None:
    assert keys(find(query, STOCK)) == found


def test_rows_that_fit_alike_are_all_returned() -> None:
    assert keys(find("fryer", {"a": {"name": "Fryer 1"}, "b": {"name": "Fryer 2"}})) == ["a", "b"]
    assert keys(find("fryer 2", {"a": {"name": "Fryer 1"}, "b": {"name": "Fryer 2"}})) == ["b"]


def test_a_near_miss_is_no_match_where_whole_names_are_asked_for() -> None:
    menu: dict[str, Row] = {"c": {"name": "Chicken sandwich"}, "f": {"name": "Fish sandwich"}}
    assert keys(find("veggie sandwich", menu)) == ["c", "f"]
    assert find("veggie sandwich", menu, whole=True) == []
    assert keys(find("sandwich", menu, whole=True)) == ["c", "f"]


def test_mentions_come_in_the_order_of_the_sentence() -> None:
    assert keys(mentioned("more oil, then buns", STOCK)) == ["oil", "buns"]
    assert mentioned("more of everything", STOCK) == []


def test_one_choice_or_none() -> None:
    assert best_text("the hand washing module", ["Hand washing", "Fry station"]) == "Hand washing"
    assert best_text("station", ["Grill station", "Fry station"]) is None


def test_words_are_compared_in_the_singular_and_slips_are_forgiven() -> None:
    assert words("The boxes, the batteries and the glasses' lenses") == ["box", "battery", "glass", "lense"]
    assert alike("chicken", "chiken")
    assert not alike("chicken", "kitchen")
    assert not alike("egg", "eggy")
    assert says("don't know", ["dont know"])
    assert not says("unknown", ["know"])


@pytest.mark.parametrize(
    ("phrase", "day"),
    [
        ("on 2026-06-18", date(2026, 6, 18)),
        ("June 18", date(2026, 6, 18)),
        ("the 18th of June", date(2026, 6, 18)),
        ("jun 18th, 2027", date(2027, 6, 18)),
        ("6/18", date(2026, 6, 18)),
        ("6/18/2027", date(2027, 6, 18)),
        ("tomorrow morning", date(2026, 6, 16)),
        ("the day after tomorrow", date(2026, 6, 17)),
        ("the day before yesterday", date(2026, 6, 13)),
        ("Monday", date(2026, 6, 15)),
        ("next Friday", date(2026, 6, 19)),
        ("last Monday", date(2026, 6, 8)),
        ("June 31", None),
        ("whenever", None),
    ],
)
def test_a_day_is_read_out_of_a_phrase(phrase: str, day: date | None) -> None:
    assert days.day_in(phrase, TODAY) == day


def test_a_weekday_of_the_past_is_the_latest_one() -> None:
    assert days.day_in("on Saturday", TODAY, past=True) == date(2026, 6, 13)
    assert days.day_in("on Monday", TODAY, past=True) == date(2026, 6, 8)


@pytest.mark.parametrize(
    ("phrase", "clock"),
    [
        ("5pm", "17:00"),
        ("5:30 a.m.", "05:30"),
        ("17:00", "17:00"),
        ("12am", "00:00"),
        ("noon", "12:00"),
        ("midnight", "00:00"),
        ("6", "06:00"),
        ("25:00", None),
        ("early", None),
    ],
)
def test_a_clock_time_is_read_out_of_a_phrase(phrase: str, clock: str | None) -> None:
    assert days.time_in(phrase) == clock


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("10", "4", ("10:00", "16:00")),
        ("10 to 4", "10 to 4", ("10:00", "16:00")),
        ("6", "14", ("06:00", "14:00")),
        ("9", "5:30", ("09:00", "17:30")),
        ("2", "8", ("14:00", "20:00")),
        ("12", "8", ("12:00", "20:00")),
        ("5", "11pm", ("17:00", "23:00")),
        ("10am", "4pm", ("10:00", "16:00")),
        ("June 20, 6", "noon", ("06:00", "12:00")),
        ("10pm", "6", ("22:00", "06:00")),
        ("early", "4", (None, "04:00")),
        ("10", "late", ("10:00", None)),
    ],
)
def test_bare_hours_make_a_shift_a_person_can_work(start: str, end: str, hours: tuple[str | None, str | None]) -> None:
    assert days.shift_hours(start, end) == hours


def test_a_generic_word_alone_picks_no_row() -> None:
    rows: dict[str, Row] = {
        "left": {"name": "Soft-serve left", "aliases": ["left machine"]},
        "hood": {"name": "Hood service", "aliases": ["hood inspection"]},
        "self": {"name": "Weekly self-inspection", "aliases": ["health inspection form"]},
        "on": {"name": "Turn on fryers", "aliases": ["equipment on"]},
    }
    assert find("what machine maintenance are we behind on", rows) == []
    assert find("the health inspector is coming", rows) == []
    assert keys(find("the left machine", rows)) == ["left"]
    assert keys(find("is the hood inspection due", rows)) == ["hood"]
    assert keys(find("self inspection", rows)) == ["self"]
    assert keys(find("all equipment is on", rows)) == ["on"]


@pytest.mark.parametrize(
    ("words_said", "count"),
    [
        ("rate jamal 4 out of 5 this time", 0),
        ("handled the rush alone", 1),
        ("he is great, really good", 0),
        ("handled the rush calmly and quickly", 1),
        ("no wrong orders on june 13 and june 14", 1),
        ("ran the fry station alone on june 13 and made no order errors on june 14", 2),
        ("rate Devon 4: opened on time all week; trained Chloe on the register", 2),
    ],
)
def test_facts_are_what_was_seen_and_not_the_request_or_the_judgement(words_said: str, count: int) -> None:
    assert len(evidence.facts_in(words_said, "Jamal Devon")) == count


def test_a_question_is_no_yes() -> None:
    assert replies.asks("its blistering a bit, should he pop it and put butter on")
    assert replies.asks("is it bad?")
    assert not replies.asks("can you log that")
    assert not replies.asks("yes, its under the tap")
    assert replies.is_bare_request("yes log that")


def test_dates_times_numbers_and_temperatures_are_said_plainly() -> None:
    assert phrases.say_day(date(2026, 6, 16), TODAY) == "June 16, 2026 (tomorrow)"
    assert phrases.say_day(date(2026, 6, 18), TODAY) == "June 18, 2026"
    assert phrases.say_weekday(TODAY) == "Monday, June 15, 2026"
    assert [phrases.say_time(clock) for clock in ("00:05", "12:00", "17:30", "late")] == [
        "12:05 AM",
        "12:00 PM",
        "5:30 PM",
        "late",
    ]
    assert [phrases.say_number(value) for value in (3.0, 2.25, 1234.0)] == ["3", "2.2", "1,234"]
    assert phrases.say_temperature(165) == "165 F (73.9 C)"
    assert [phrases.count(number, "item") for number in (0, 1, 2)] == ["no items", "1 item", "2 items"]
    assert [phrases.listing(items) for items in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert [phrases.sentence(words) for words in ("it is", "done!", " ")] == ["It is.", "done!".capitalize(), ""]


def test_rows_are_read_by_type_and_absence_is_not_zero() -> None:
    row: Row = {
        "n": 2,
        "flag": True,
        "s": "x",
        "list": ["a", 1],
        "none": None,
        "objects": [{"a": 1}, 2],
        "day": "2026-06-15T10:00",
    }
    assert [rows.number(row, field) for field in ("n", "flag", "s", "none", "gone")] == [2.0, None, None, None, None]
    assert [rows.text(row, field, "-") for field in ("n", "s", "none", "gone")] == ["2", "x", "-", "-"]
    assert [rows.texts(row, field) for field in ("s", "list", "n")] == [["x"], ["a", "1"], []]
    assert [rows.records(row, field) for field in ("objects", "n")] == [[{"a": 1}], []]
    assert [rows.day(row, field) for field in ("day", "s")] == [TODAY, None]


def test_ids_count_on_from_the_highest() -> None:
    assert rows.next_id([], "INC") == "INC-0001"
    assert rows.next_id(["INC-0009", "INC-0003", "INC-x", "ORD-0100"], "INC") == "INC-0010"


def test_a_bare_yes_or_no_is_told_from_an_answer_with_content() -> None:
    assert all(replies.agrees(answer) for answer in ("yes", "Yes, please do it", "ok", "go ahead"))
    assert not any(replies.agrees(answer) for answer in ("", "yes, fryer 2", "no", "that it"[:0]))
    assert all(replies.declines(answer) for answer in ("no", "no thanks", "not now, later", "don't"))
    assert not any(replies.declines(answer) for answer in ("", "no heat in fryer 2", "yes"))


def test_the_request_in_front_of_the_matter_is_left_out() -> None:
    assert replies.matter_of("log a complaint, the fries were cold") == "the fries were cold"
    assert replies.matter_of("Please record that a guest slipped") == "a guest slipped"
    assert replies.matter_of("the fries were cold, log it") == "the fries were cold, log it"
    assert replies.matter_of("write up a near miss, a box fell") == "write up a near miss, a box fell"
    assert replies.matter_of("log it: done") == "log it: done"
    assert replies.is_bare_request("I need to log an incident")
    assert not replies.is_bare_request("log that the fries were cold")
    assert not replies.is_bare_request("!")


STEP = Step(
    do="Press AUTO.", ask="Is the machine in AUTO now?", yes="next", no="service", hints={"no": ["standby"], "yes": ["freezing"]}
)


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        ("yes", "yes"),
        ("Yep, it is", "yes"),
        ("it's in auto", "yes"),
        ("it shows standby", "no"),
        ("it is freezing", "yes"),
        ("the machine is dead", "unclear"),
        ("it isn't in auto", "no"),
        ("nope", "no"),
        ("that fixed it", "fixed"),
        ("it's not fixed", "still"),
        ("still runny", "still"),
        ("does not work", "no"),
        ("done, what's next?", "done"),
        ("not sure", "unsure"),
        ("the guard wasn't down. works now", "fixed"),
        ("no but there are flames", "danger"),
        ("there are sparks!", "danger"),
        ("no, there are no sparks", "no"),
        ("purple", "unclear"),
        ("guard wasnt all the way down. works now", "fixed"),
        ("still had a loose plug but it runs now", "fixed"),
        ("works now, not sure why", "fixed"),
        ("worked for a second, then nothing, still dead", "still"),
        ("fired right up", "fixed"),
        ("it wasnt in auto, it is now", "yes"),
        ("yes, it wasnt before", "yes"),
        ("in auto but it is not cooling", "no"),
        ("not sure, maybe", "unsure"),
        ("", "unclear"),
    ],
)
def test_an_answer_to_a_step_is_understood_in_any_words(answer: str, reading: str) -> None:
    assert read_answer(answer, STEP) == reading


LIGHT = Step(
    do="Fill it.",
    ask="Has the light gone out?",
    yes="fixed",
    no="next",
    hints={"no": ["still on"], "yes": ["its out", "went off"]},
)
PILOT = Step(do="Light it.", ask="Does the pilot stay lit?", yes="next", no="again", hints={"no": ["its out", "went off"]})


def test_out_is_good_for_a_warning_light_and_bad_for_a_pilot() -> None:
    assert [read_answer("it's out", step) for step in (LIGHT, PILOT)] == ["yes", "no"]
    assert [read_answer("light went off", LIGHT, gone) for gone in ((), ("light went off",))] == ["yes", "fixed"]
    assert read_answer("light went off", PILOT) == "no"
    assert read_answer("the light has not gone off, it's not fixed", LIGHT, ("light went off",)) == "still"
