"""Dates and clock times, relative ones against a given day."""

from __future__ import annotations

import re
from datetime import date, timedelta

from assistant.models.embedded.language import word_list

_MONTHS = word_list("january february march april may june july august september october november december")
_DAYS = word_list("monday tuesday wednesday thursday friday saturday sunday")
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_US = re.compile(r"\b(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?\b")
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" if len(month) > 3 else month for month in _MONTHS)
_MONTH_FIRST = re.compile(rf"\b({_MONTH})\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?\b", re.IGNORECASE)
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?({_MONTH})\.?(?:,?\s+(\d{{4}}))?\b", re.IGNORECASE)
_RELATIVE = re.compile(
    rf"\b(?:(day after tomorrow|today|tonight|tomorrow|yesterday)|(next|last|this)?\s*\b({'|'.join(_DAYS)})|in (\d+|a|one|two|three) (day|week)s?)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b(\d{1,2})(?::(\d{2}))?\s*(am|pm|a\.m\.?|p\.m\.?)(?!\w)|\b([01]?\d|2[0-3]):([0-5]\d)\b|\b(noon|midnight)\b", re.IGNORECASE
)


def day_in(instructions: str) -> date | None:
    """The day a prompt says it is: its first ISO date."""
    found = _ISO.search(instructions)
    return _day(int(found[1]), int(found[2]), int(found[3])) if found else None


def find_day(text: str, today: date | None) -> date | None:
    """The first day named in the text. Relative days and dates without a year need `today`; without it they are null."""
    iso = _ISO.search(text)
    if iso:
        return _day(int(iso[1]), int(iso[2]), int(iso[3]))
    written = _written(text, today)
    return written if written is not None or today is None else _relative(text, today)


def _written(text: str, today: date | None) -> date | None:
    found = _MONTH_FIRST.search(text)
    if found:
        return _in_year(found[3], _month(found[1]), int(found[2]), today)
    found = _DAY_FIRST.search(text)
    if found:
        return _in_year(found[3], _month(found[2]), int(found[1]), today)
    found = _US.search(text)
    return _in_year(found[3], int(found[1]), int(found[2]), today) if found else None


def _in_year(year: str | None, month: int, day: int, today: date | None) -> date | None:
    if year is None:
        return _day(today.year, month, day) if today else None
    return _day(int(year) + (2000 if len(year) == 2 else 0), month, day)


def _relative(text: str, today: date) -> date | None:
    found = _RELATIVE.search(text)
    if not found:
        return None
    if found[1]:
        return today + timedelta(days={"yesterday": -1, "tomorrow": 1, "day after tomorrow": 2}.get(found[1].lower(), 0))
    if found[4]:
        count = {"a": 1, "one": 1, "two": 2, "three": 3}.get(found[4].lower()) or int(found[4])
        return today + timedelta(days=count * (7 if found[5].lower() == "week" else 1))
    ahead = (_DAYS.index(found[3].lower()) - today.weekday()) % 7
    direction = (found[2] or "").lower()
    if direction == "last":
        return today + timedelta(days=ahead - 7)
    return today + timedelta(days=ahead or (7 if direction == "next" else 0))


def find_time(text: str) -> str | None:
    """The first clock time in the text as `HH:MM`."""
    for found in _CLOCK.finditer(text):
        if found[6]:
            return "12:00" if found[6].lower() == "noon" else "00:00"
        if found[4]:
            return f"{int(found[4]):02d}:{found[5]}"
        hour, half = int(found[1]), found[3].lower()[0]
        if 1 <= hour <= 12:
            return f"{hour % 12 + (12 if half == 'p' else 0):02d}:{found[2] or '00'}"
    return None


_SPAN = re.compile(
    r"\b(\d{1,2})(?::(\d{2}))?\s*(am|pm)?\s*(?:to|till|until|[-–])\s*(\d{1,2})(?::(\d{2}))?\s*(am|pm)?\b(?!\s*(?:%|percent|degrees|[a-z]{3}))",
    re.IGNORECASE,
)


def find_span(text: str) -> tuple[str, str] | None:
    """Start and end of the first span of clock times as `HH:MM`; a start without am or pm takes that of the end when it fits before it."""
    found = _SPAN.search(text)
    if found is None:
        return None
    half = (found[6] or "").lower()
    end = _minutes(found[4], found[5], half)
    start = _minutes(found[1], found[2], (found[3] or "").lower() or half)
    if start is not None and end is not None and start >= end and not found[3]:
        start = _minutes(found[1], found[2], "am" if half else "")
    return None if start is None or end is None else (_clock(start), _clock(end))


def _minutes(hour: str, minute: str | None, half: str) -> int | None:
    value = int(hour) % 12 + (12 if half == "pm" else 0) if half and int(hour) <= 12 else int(hour)
    return value * 60 + int(minute or 0) if value < 24 and int(minute or 0) < 60 else None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _month(word: str) -> int:
    return next(number for number, month in enumerate(_MONTHS, start=1) if month.startswith(word.lower()[:3]))


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
