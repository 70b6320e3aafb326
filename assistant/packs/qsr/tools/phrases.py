"""How the tools say dates, times, temperatures, numbers and lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from assistant.packs.qsr.tools.rows import Keyed, text


def say_day(day: date, today: date | None = None) -> str:
    """`June 18, 2026`; with `today`, near days say how near: `June 16, 2026 (tomorrow)`."""
    said = f"{day:%B} {day.day}, {day.year}"
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}.get((day - today).days) if today else None
    return f"{said} ({near})" if near else said


def say_weekday(day: date) -> str:
    """`Monday, June 15, 2026`."""
    return f"{day:%A}, {say_day(day)}"


def say_time(clock: str) -> str:
    """`05:30` as `5:30 AM`; anything else unchanged."""
    try:
        moment = datetime.strptime(clock, "%H:%M")  # noqa: DTZ007 - a clock face, not a moment
    except ValueError:
        return clock
    return f"{moment.hour % 12 or 12}:{moment:%M %p}"


def say_number(value: float) -> str:
    """Up to one decimal, thousands separated, no trailing `.0`."""
    return f"{value:,.0f}" if round(value, 1) == round(value) else f"{value:,.1f}"


def say_temperature(reading_f: float) -> str:
    """`165 F (73.9 C)`."""
    return f"{say_number(reading_f)} F ({say_number(to_celsius(reading_f))} C)"


def to_celsius(reading_f: float) -> float:
    return (reading_f - 32) * 5 / 9


def to_fahrenheit(reading_c: float) -> float:
    return reading_c * 9 / 5 + 32


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 ticket`, `2 tickets`, `no tickets`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number or 'no'} {plural or noun + 's'}"


def listing(items: Sequence[str], joint: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " ".join([", ".join(items[:-1]), joint, items[-1]]) if len(items) > 1 else "".join(items)


def names_of(rows: Sequence[Keyed], field: str = "name", *, joint: str = "and") -> str:
    """The rows' names as a listing."""
    return listing([text(row, field, key) for key, row in rows], joint)


def sentence(words: str) -> str:
    """The words with a capital first letter and a full stop."""
    said = words.strip()
    return said[:1].upper() + said[1:] + ("" if said.endswith((".", "!", "?")) else ".") if said else ""
