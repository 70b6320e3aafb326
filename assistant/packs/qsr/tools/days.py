"""Reads days and clock times out of what people say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NOON = 12 * 60
LONGEST_SHIFT = 12 * 60
EARLIEST_BARE_START = 5 * 60
_DATES = re.compile(
    rf"\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b\d{{1,2}}/\d{{1,2}}(?:/\d{{4}})?\b|\b(?:{'|'.join(MONTHS)})[a-z]*\.?\s+\d{{1,2}}(?:st|nd|rd|th)?\b"
)
NEAR = {"day before yesterday": -2, "day after tomorrow": 2, "yesterday": -1, "tomorrow": 1, "today": 0, "tonight": 0}


def day_in(phrase: str, today: date, *, past: bool = False) -> date | None:
    """The day a phrase names: an ISO date, `June 18`, `6/18`, `tomorrow`, `Friday`, `last Friday`.

    A weekday is the next one, today included; with `past`, the latest one before today.
    """
    said = phrase.lower()
    for word, shift in NEAR.items():
        if re.search(rf"\b{word}\b", said):
            return today + timedelta(days=shift)
    return _iso(said) or _month_day(said, today) or _weekday(said, today, past)


def time_in(phrase: str) -> str | None:
    """The first clock time in the phrase as `HH:MM`: `5pm`, `5:30 am`, `17:00`, `noon`, a bare hour of the day."""
    found = _clocks(phrase)
    return _clock(found[0].minutes) if found else None


def shift_hours(start: str, end: str) -> tuple[str | None, str | None]:
    """Start and end of a shift as `HH:MM`, each None when not told. An hour without am or pm is the one that makes a shift of at most 12
    hours, and a start before 5 is in the afternoon: `10` and `4` are 10:00 and 16:00. Both may be told in one phrase, `10 to 4`."""
    starts, ends = _clocks(start), _clocks(end)
    if not starts or not ends:
        return (_clock(starts[0].minutes) if starts else None, _clock(ends[-1].minutes) if ends else None)
    first, last = starts[0], ends[-1]
    pairs = [(begin, finish) for begin in first.readings(early=EARLIEST_BARE_START) for finish in last.readings()]
    fits = [(begin, finish) for begin, finish in pairs if 0 < finish - begin <= LONGEST_SHIFT]
    begin, finish = next(iter([*fits, (first.minutes, last.minutes)]))
    return _clock(begin), _clock(finish)


@dataclass(frozen=True, kw_only=True)
class _Clock:
    """Minutes after midnight. `bare`: an hour without am or pm, which may be twelve hours later as well."""

    minutes: int
    bare: bool

    def readings(self, early: int = 0) -> list[int]:
        """What it may mean, the likelier first; before `early` the later one is."""
        both = [self.minutes, (self.minutes + NOON) % (2 * NOON)] if self.bare else [self.minutes]
        return both[::-1] if self.minutes < early else both


def _clocks(phrase: str) -> list[_Clock]:
    said = _DATES.sub(" ", phrase.lower().replace("a.m.", "am").replace("p.m.", "pm").replace("a.m", "am").replace("p.m", "pm"))
    said = said.replace("midnight", "12am").replace("noon", "12pm")
    found: list[_Clock] = []
    for hours, minutes, half in re.findall(r"(?<![\d:])(\d{1,2})(?::(\d{2}))?\s*(am|pm)?\b", said):
        hour, minute = int(hours), int(minutes or 0)
        bare = not half and 1 <= hour <= 12 and not hours.startswith("0")
        hour = hour % 12 + (12 if half == "pm" else 0) if half and hour <= 12 else hour
        if hour < 24 and minute < 60:
            found.append(_Clock(minutes=60 * hour + minute, bare=bare))
    return found


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


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
            return _before(today, number)
        if found:
            return _before(today, number) if past else today + timedelta(days=(number - today.weekday()) % 7)
    return None


def _before(today: date, weekday: int) -> date:
    return today - timedelta(days=(today.weekday() - weekday - 1) % 7 + 1)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
