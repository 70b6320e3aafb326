"""The temperature log: readings judged against the store's limits."""

from __future__ import annotations

from typing import Literal

from pydantic_ai import RunContext

from assistant.packs.qsr.deps import SafetyDeps
from assistant.packs.qsr.tools.matching import find, words
from assistant.packs.qsr.tools.outcome import Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import count, names_of, say_day, say_temperature, say_time, sentence, to_fahrenheit
from assistant.packs.qsr.tools.rows import Keyed, Row, day, next_id, number, text, texts

TEMPERATURES = "temperatures"
LIMITS = "temperature_limits"
Check = Literal["cooking", "hot holding", "cold holding", "freezer", "reheating"]
RECENT = 5
_GENERIC: dict[str, tuple[str, ...]] = {
    "hot-holding": ("holding", "held", "hold", "steam", "cabinet", "warmer", "hot"),
    "cold-holding": ("cooler", "fridge", "refrigerator", "walkin", "cold", "salad", "prep"),
    "freezer": ("freezer", "frozen"),
    "reheating": ("reheated", "reheating", "reheat"),
}


async def log_temperature(
    ctx: RunContext[SafetyDeps], item: str, reading: float, unit: Literal["F", "C"] = "F", check: Check | None = None
) -> Outcome:
    """Log a temperature reading of a food or a unit and judge it against its limit.

    Use for: "log chicken at 172"; "walk-in cooler is 38 F, write it down"; "record the soup on the steam table, 61 C"
    "the burger patty reached 158 degrees"; "temp check, freezer is at minus 2"; "log the salad bar at 44 degrees"

    Args:
        item: The food or unit that was probed, in the user's words.
        reading: The number on the thermometer.
        unit: The unit of the reading; F when nothing is said.
        check: What kind of check it was. Leave out to infer it from the item.
    """
    deps = ctx.deps
    limits = await deps.state.items(LIMITS)
    meant = _limit(limits, item, check)
    if meant is None:
        known = names_of(list(limits.items())) or "none"
        return not_found(f"I found no temperature limit for {item!r}, so I logged nothing. Items with limits: {known}.")
    limit_key, limit = meant
    reading_f = reading if unit == "F" else to_fahrenheit(reading)
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
    name = text(limit, "name", limit_key)
    verdict = "in range" if good else "out of range"
    lead = f"I logged {name} at {say_temperature(reading_f)} as {key}: {verdict}, the limit is {_say_limit(limit)}."
    return told(lead if good else f"{lead} Do this now: {sentence(action or 'tell the manager on duty')}", [(key, row)])


async def list_temperatures(ctx: RunContext[SafetyDeps], item: str = "all") -> Outcome:
    """List the latest readings in the temperature log, newest first, with those out of range.

    Use for: "what were the last temperature readings"; "was the walk-in in range this morning"; "show the temperature log for chicken"
    "any temperatures out of range today"; "when did we last check the freezer"

    Args:
        item: A food or unit to narrow the list to, or `all`.
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
    head = f"The latest {count(len(shown), 'reading')}, {count(bad, 'out of range', 'out of range')}"
    return told(f"{head}: {'; '.join(lines)}.", shown)


def _limit(limits: dict[str, Row], item: str, check: Check | None) -> Keyed | None:
    if check is not None and check != "cooking":
        wanted = check.replace(" ", "-")
        return (wanted, limits[wanted]) if wanted in limits else None
    said = set(words(item))
    for key in ("reheating", "hot-holding"):
        if said & {word for cue in _GENERIC[key] for word in words(cue)} and key in limits and not _named_unit(limits, item):
            return key, limits[key]
    found = find(item, limits)
    if found:
        return found[0]
    generic = [key for key, cues in _GENERIC.items() if said & {word for cue in cues for word in words(cue)} and key in limits]
    return (generic[0], limits[generic[0]]) if generic else None


def _named_unit(limits: dict[str, Row], item: str) -> bool:
    return any(text(row, "check") != "cooking" and key not in _GENERIC for key, row in find(item, limits))


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
