"""The shift plan: who works when."""

from __future__ import annotations

from datetime import date

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import OperationsDeps
from assistant.packs.qsr.tools.days import day_in, shift_hours
from assistant.packs.qsr.tools.matching import says
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.people import name_of, people_named, unknown_person
from assistant.packs.qsr.tools.phrases import count, listing, say_time, say_weekday
from assistant.packs.qsr.tools.rows import Keyed, Row, day, text
from assistant.packs.qsr.tools.thread import speak_of
from assistant.packs.qsr.tools.whom import other_meant, someone_meant, user_meant, whose

SHIFTS = "shifts"
OWN_SHIFT = ("my", "i work", "i working", "im working", "am i on", "im on", "i scheduled", "im scheduled")


async def list_shifts(ctx: RunContext[OperationsDeps], when_or_who: str = "today") -> Outcome:
    """List who works on a day, or when a person works next.

    Use for: "who is working tonight"; "who closes tomorrow"; "when does Devon work this week"; "show the schedule for Friday"
    "is Priya on shift on Saturday"; "how many people do we have on June 18"

    Args:
        when_or_who: day, person or both, in the user's words.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = await deps.state.items(SHIFTS)
    who = await _workers(deps, when_or_who)
    if not isinstance(who, list):
        return who
    on = day_in(when_or_who, today)
    if who:
        found = [item for item in rows.items() if text(item[1], "person") in who and _on(item[1], on, today)]
    else:
        found = [item for item in rows.items() if day(item[1], "date") == (on or today)]
    found.sort(key=lambda item: (text(item[1], "date"), text(item[1], "start")))
    if not who:
        found = _at_edge(found, when_or_who)
    if not found:
        names = listing([await name_of(deps, key) for key in who]) or "Nobody"
        when = f"on {say_weekday(on)}" if on else "from today on" if who else f"on {say_weekday(today)}"
        return not_found(f"{names} {'has no shift' if who else 'is planned'} {when}.")
    if who and on is None:
        lines = [f"{await name_of(deps, text(row, 'person'))} on {_when(row)}" for _, row in found]
        return told(f"{count(len(found), 'shift')} planned: {'; '.join(lines)}.", found)
    lines = [await _line(deps, row) for _, row in found]
    return told(f"{say_weekday(on or today)}: {'; '.join(lines)}.", found)


async def add_shift(ctx: RunContext[OperationsDeps], person: str, day: str, start: str, end: str) -> Outcome:
    """Add a shift for a person to the plan.

    Use for: "add a shift for Chloe on Friday from 10am to 4pm"; "put Jamal on tomorrow 5pm to 11pm"; "schedule Maria for June 20, 6 to 14"
    "I need Tomas to work Saturday 11:00 to 17:00"

    Args:
        person: name of the team member who works.
        day: day of the shift.
        start: start time of the shift.
        end: end time of the shift.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    who = await other_meant(deps, person, "add_shift")
    if not isinstance(who, tuple):
        return who
    on = day_in(day, today)
    begins, ends = shift_hours(start, end)
    if on is None or begins is None or ends is None:
        missing = [what for what, value in (("the day", on), ("the start time", begins), ("the end time", ends)) if value is None]
        return not_found(f"I could not read {listing(missing)}, so I added nothing. Say it like: Friday from 10am to 4pm.")
    rows = await deps.state.items(SHIFTS)
    taken = _shift_of(rows, who[0], on)
    name = text(who[1], "name")
    if taken is not None:
        return not_found(f"{name} already works on {_when(taken[1])}, so I added nothing.")
    key = f"{on.isoformat()}-{who[0]}"
    row: Row = {"person": who[0], "date": on.isoformat(), "start": begins, "end": ends, "station": None, "added_by": deps.user_id}
    await deps.state.put(SHIFTS, key, row)
    return told(f"I added a shift for {name} on {_when(row)}.", [(key, row)])


async def swap_shift(ctx: RunContext[OperationsDeps], from_person: str, to_person: str, day: str) -> Outcome:
    """Swap a shift: give one person's shift on a day to another; when both work that day they trade shifts.

    Use for: "swap Devon's Friday shift with Priya"; "Chloe takes over Jamal's shift tomorrow"; "Maria is sick today, give her shift to Tomas"
    "trade shifts between Maria and Devon on Saturday"

    Args:
        from_person: name of the team member whose shift it is now.
        to_person: name of the team member who takes the shift.
        day: day of the shift.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    on = day_in(day, today)
    if on is None:
        question = "Which day is the shift on?"
        return not_found("I could not read the day.", ask=NextQuestion(tool="swap_shift", argument="day", question=question))
    pair = await _pair(deps, from_person, to_person)
    if not isinstance(pair, tuple):
        return pair
    giver, taker = pair
    rows = await deps.state.items(SHIFTS)
    given, back = _shift_of(rows, giver[0], on), _shift_of(rows, taker[0], on)
    names = text(giver[1], "name"), text(taker[1], "name")
    if given is None:
        return not_found(f"{names[0]} has no shift on {say_weekday(on)}, so there is nothing to swap.")
    moved = [await _hand_over(deps, given, taker[0])]
    if back is not None:
        moved.append(await _hand_over(deps, back, giver[0]))
        return told(f"I swapped the shifts of {names[0]} and {names[1]} on {say_weekday(on)}: {names[1]} now works {_hours(given[1])} and "
                    f"{names[0]} {_hours(back[1])}.", moved)  # fmt: skip
    return told(f"{names[1]} now works {names[0]}'s shift on {_when(given[1])}.", moved)


async def _workers(deps: TurnDeps, phrase: str) -> list[str] | Outcome:
    """Keys of whose shifts are asked for, none when it is everyone's."""
    named = [key for key, _ in await people_named(deps, phrase)]
    await speak_of(deps, named)
    if named:
        return named
    if whose(phrase, only_names=False) == "other":
        who = await someone_meant(deps, phrase, "list_shifts", "when_or_who")
    else:
        who = await user_meant(deps, "list_shifts", "when_or_who") if says(phrase, OWN_SHIFT) else None
    return [who[0]] if isinstance(who, tuple) else who or []


async def _pair(deps: TurnDeps, from_person: str, to_person: str) -> tuple[Keyed, Keyed] | Outcome:
    giver = await someone_meant(deps, from_person, "swap_shift", "from_person")
    taker = next((one for one in await people_named(deps, to_person) if not isinstance(giver, tuple) or one[0] != giver[0]), None)
    other = taker or await someone_meant(deps, to_person, "swap_shift", "to_person")
    for who in (giver, other):
        if who is not None and not isinstance(who, tuple):
            return who
    if not isinstance(giver, tuple) or not isinstance(other, tuple) or giver[0] == other[0]:
        return await unknown_person(deps, f"{from_person} and {to_person}")
    await speak_of(deps, [giver[0], other[0]])
    return giver, other


async def _hand_over(deps: TurnDeps, shift: Keyed, to_key: str) -> Keyed:
    key, row = shift
    moved: Row = {**row, "person": to_key, "swapped_from": text(row, "person"), "swapped_by": deps.user_id}
    await deps.state.put(SHIFTS, key, moved)
    return key, moved


def _shift_of(rows: dict[str, Row], person: str, on: date) -> Keyed | None:
    return next((item for item in rows.items() if text(item[1], "person") == person and day(item[1], "date") == on), None)


def _on(row: Row, on: date | None, today: date) -> bool:
    planned = day(row, "date")
    return planned is not None and (planned == on if on else planned >= today)


def _at_edge(found: list[Keyed], phrase: str) -> list[Keyed]:
    """Of one day's shifts those that open or close the store, when the phrase asks for them; else all."""
    if found and says(phrase, ("closes", "closing", "close")):
        last = max(text(row, "end") for _, row in found)
        return [item for item in found if text(item[1], "end") == last]
    if found and says(phrase, ("opens", "opening", "open")):
        first = min(text(row, "start") for _, row in found)
        return [item for item in found if text(item[1], "start") == first]
    return found


def _hours(row: Row) -> str:
    return f"{say_time(text(row, 'start'))} to {say_time(text(row, 'end'))}"


def _when(row: Row) -> str:
    on = day(row, "date")
    return f"{say_weekday(on) if on else 'an unknown day'}, {_hours(row)}"


async def _line(deps: TurnDeps, row: Row) -> str:
    station = f" ({text(row, 'station')})" if text(row, "station") else ""
    return f"{await name_of(deps, text(row, 'person'))} {_hours(row)}{station}"
