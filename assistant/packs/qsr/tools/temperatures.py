"""The temperature log: readings judged against the store's limits."""

from __future__ import annotations

from typing import Literal

from pydantic_ai import RunContext

from assistant.packs.qsr.deps import SafetyDeps
from assistant.packs.qsr.tools.matching import find, says, words
from assistant.packs.qsr.tools.outcome import Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import count, names_of, say_day, say_temperature, say_time, sentence, to_fahrenheit
from assistant.packs.qsr.tools.rows import Keyed, Row, day, next_id, number, text, texts

TEMPERATURES = "temperatures"
LIMITS = "temperature_limits"
Check = Literal["cooking", "hot holding", "cold holding", "freezer", "reheating"]
RECENT = 5
COLD_FOOD_F = 80.0
REHEATED = ("reheat", "reheated", "reheating", "reheats")


async def log_temperature(
    ctx: RunContext[SafetyDeps], item: str, reading: float, unit: Literal["F", "C"] = "F", check: Check | None = None
) -> Outcome:
    """Log a temperature reading of a food or a unit and judge it against its limit.

    Use for: "log chicken at 172"; "walk-in cooler is 38 F, write it down"; "record the soup on the steam table, 61 C"
    "the burger patty reached 158 degrees"; "temp check, freezer is at minus 2"; "log the salad bar at 44 degrees"

    Args:
        item: food or unit that was probed, in the user's words.
        reading: reading on the thermometer.
        unit: unit of the reading.
        check: kind of check. Leave out to infer it from the item.
    """
    deps = ctx.deps
    limits = await deps.state.items(LIMITS)
    reading_f = reading if unit == "F" else to_fahrenheit(reading)
    meant = _limit(limits, item, reading_f, check)
    if meant is None:
        known = names_of(list(limits.items())) or "none"
        return not_found(f"I found no temperature limit for {item!r}, so I logged nothing. Items with limits: {known}.")
    limit_key, limit = meant
    low, high = number(limit, "minimum_f"), number(limit, "maximum_f")
    good = (low is None or reading_f >= low) and (high is None or reading_f <= high)
    key = next_id(await deps.state.items(TEMPERATURES), "TMP")
    action = "" if good else text(limit, "corrective_action")
    row: Row = {
        "item": item,
        "limit": limit_key,
        "reading_f": round(reading_f, 1),
        "in_range": good,
        "corrective_action": action or None,
        "taken_at": deps.now().isoformat(timespec="minutes"),
        "taken_by": deps.user_id,
    }
    await deps.state.put(TEMPERATURES, key, row)
    name, verdict = _name(item, limit), "in range" if good else "out of range"
    said = f"I logged {name} at {say_temperature(reading_f)} as {key}: {verdict}, the limit is {_say_limit(limit)}."
    return told(said + (f" Do this now: {sentence(action or 'tell the manager on duty')}" if not good else ""), [(key, row)])


async def list_temperatures(ctx: RunContext[SafetyDeps], item: str = "all") -> Outcome:
    """List the latest readings in the temperature log, newest first, with those out of range.

    Use for: "what were the last temperature readings"; "was the walk-in in range this morning"; "show the temperature log for chicken"
    "any temperatures out of range today"; "when did we last check the freezer"

    Args:
        item: food or unit to narrow the list to, or `all`.
    """
    deps = ctx.deps
    rows = await deps.state.items(TEMPERATURES)
    limits = await deps.state.items(LIMITS)
    named = find(item, limits)
    keys = {key for key, _ in named}
    if "out of range" in item.lower():
        chosen = [found for found in rows.items() if found[1].get("in_range") is False]
    else:
        chosen = [found for found in rows.items() if not keys or text(found[1], "limit") in keys]
    if not chosen:
        what = f"for {names_of(named)}" if named else "out of range" if rows else "at all"
        return not_found(f"The temperature log has no reading {what}.")
    chosen.sort(key=lambda found: (text(found[1], "taken_at"), found[0]), reverse=True)
    shown = chosen[:RECENT]
    bad = sum(1 for _, row in shown if row.get("in_range") is False)
    lines = [_say(row, limits) for _, row in shown]
    head = f"The latest {count(len(shown), 'reading')}, {bad or 'none'} out of range"
    return told(f"{head}: {'; '.join(lines)}.", shown)


def _limit(limits: dict[str, Row], item: str, reading_f: float, check: Check | None) -> Keyed | None:
    """The limit a reading is judged by. A food in a cold or hot place is judged as held, not as cooked, and so is a food too cold
    to have just been cooked: judging it by its cooking limit would call safe cold food unsafe and warm food undercooked."""
    foods = {key: row for key, row in limits.items() if text(row, "check") == "cooking"}
    held = {key: row for key, row in limits.items() if key not in foods}
    if check is not None and check != "cooking":
        return next((pair for pair in held.items() if pair[0] == check.replace(" ", "-")), None)
    if "reheating" in held and check is None and says(item, REHEATED):
        return "reheating", held["reheating"]
    food, place = find(item, foods), find(item, held) if check is None else []
    if food and not place and check is None and reading_f < COLD_FOOD_F and "cold-holding" in held:
        return "cold-holding", held["cold-holding"]
    if food and place:
        general = text(place[0][1], "check").replace(" ", "-")
        return (general, held[general]) if general in held else place[0]
    return (place or food or [None])[0]


def _name(item: str, limit: Row) -> str:
    """A short item keeps the user's words beside the limit's name, since a limit may stand for many foods."""
    name = text(limit, "name")
    adds = 1 <= len(item.split()) <= 3 and not set(words(item)) <= set(words(name))
    return f"{item.strip()} ({name.lower()})" if adds else name


def _say_limit(limit: Row) -> str:
    low, high = number(limit, "minimum_f"), number(limit, "maximum_f")
    if low is not None and high is not None:
        return f"{say_temperature(low)} to {say_temperature(high)}"
    if low is not None:
        return f"{say_temperature(low)} or above"
    return f"{say_temperature(high)} or below" if high is not None else "not set"


def _say(row: Row, limits: dict[str, Row]) -> str:
    reading, taken = number(row, "reading_f"), day(row, "taken_at")
    name = text(limits.get(text(row, "limit"), {}), "name", text(row, "item"))
    said = say_temperature(reading) if reading is not None else "no reading"
    when = f" on {say_day(taken)} at {say_time(text(row, 'taken_at')[11:16])}" if taken else ""
    action = (
        ""
        if row.get("in_range") is not False
        else f", {text(row, 'corrective_action').rstrip('.')}" * bool(texts(row, "corrective_action"))
    )
    return f"{name} {said}{when}, {'in range' if row.get('in_range') else 'out of range'}{action}"
