"""Reads days and clock times out of what people say."""

from __future__ import annotations

import re
from datetime import date, timedelta

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NEAR = {"day before yesterday": -2, "day after tomorrow": 2, "yesterday": -1, "tomorrow": 1, "today": 0, "tonight": 0}


def day_in(phrase: str, today: date, *, past: bool = False) -> date | None:
    """The day a phrase names: an ISO date, `June 18`, `6/18`, `tomorrow`, `Friday`, `last Friday`.

    A weekday is the next one, today included; with `past`, the latest one.
    """
    said = phrase.lower()
    for word, shift in NEAR.items():
        if re.search(rf"\b{word}\b", said):
            return today + timedelta(days=shift)
    return _iso(said) or _month_day(said, today) or _weekday(said, today, past)


def time_in(phrase: str) -> str | None:
    """The first clock time in the phrase as `HH:MM`: `5pm`, `5:30 am`, `17:00`, `noon`, a bare hour of the day."""
    said = phrase.lower().replace(".", "")
    if "noon" in said:
        return "12:00"
    found = re.search(r"\b(\d{1,2})(?::(\d{2}))?\s*(am|pm)?\b", said)
    if not found:
        return "00:00" if "midnight" in said else None
    hour, minute, half = int(found[1]), int(found[2] or 0), found[3]
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return f"{hour:02d}:{minute:02d}" if hour < 24 and minute < 60 else None


def _iso(said: str) -> date | None:
    found = re.search(r"\b(\d{4})-(\d{2})-(\d{2})\b", said)
    return _date(int(found[1]), int(found[2]), int(found[3])) if found else None


def _month_day(said: str, today: date) -> date | None:
    named = re.search(rf"\b({'|'.join(MONTHS)})[a-z]*\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?\b", said)
    if named:
        return _date(int(named[3] or today.year), MONTHS.index(named[1]) + 1, int(named[2]))
    turned = re.search(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?({'|'.join(MONTHS)})[a-z]*\b(?:,?\s+(\d{{4}}))?", said)
    if turned:
        return _date(int(turned[3] or today.year), MONTHS.index(turned[2]) + 1, int(turned[1]))
    slashed = re.search(r"\b(\d{1,2})/(\d{1,2})(?:/(\d{4}))?\b", said)
    return _date(int(slashed[3] or today.year), int(slashed[1]), int(slashed[2])) if slashed else None


def _weekday(said: str, today: date, past: bool) -> date | None:
    for number, name in enumerate(WEEKDAYS):
        found = re.search(rf"\b(last\s+)?{name}\b", said)
        if found and found[1]:
            return today - timedelta(days=(today.weekday() - number - 1) % 7 + 1)
        if found:
            return (
                today - timedelta(days=(today.weekday() - number) % 7)
                if past
                else today + timedelta(days=(number - today.weekday()) % 7)
            )
    return None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
