"""Numbers with their units, as written ("38F", "two and a half hours", "$12.50", "15 %"), and conversion between units."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assistant.models.embedded.language import word_list

_SCALES: dict[str, tuple[str, float]] = {
    "s": ("duration", 1.0),
    "min": ("duration", 60.0),
    "h": ("duration", 3600.0),
    "day": ("duration", 86400.0),
    "week": ("duration", 604800.0),
    "g": ("mass", 1.0),
    "kg": ("mass", 1000.0),
    "oz": ("mass", 28.349523125),
    "lb": ("mass", 453.59237),
    "ml": ("volume", 1.0),
    "l": ("volume", 1000.0),
    "floz": ("volume", 29.5735295625),
    "cup": ("volume", 236.5882365),
    "qt": ("volume", 946.352946),
    "gal": ("volume", 3785.411784),
    "mm": ("length", 1.0),
    "cm": ("length", 10.0),
    "in": ("length", 25.4),
    "ft": ("length", 304.8),
    "m": ("length", 1000.0),
    "km": ("length", 1_000_000.0),
    "mi": ("length", 1_609_344.0),
    "percent": ("share", 1.0),
    "usd": ("money", 1.0),
    "ppm": ("concentration", 1.0),
}
_UNIT_WORDS: dict[str, str] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "day"),
    **dict.fromkeys(("week", "weeks", "wk", "wks"), "week"),
    **dict.fromkeys(("g", "gram", "grams"), "g"),
    **dict.fromkeys(("kg", "kilo", "kilos", "kilogram", "kilograms"), "kg"),
    **dict.fromkeys(("oz", "ounce", "ounces"), "oz"),
    **dict.fromkeys(("lb", "lbs", "pound", "pounds"), "lb"),
    **dict.fromkeys(("ml", "milliliter", "milliliters", "millilitre", "millilitres"), "ml"),
    **dict.fromkeys(("l", "liter", "liters", "litre", "litres"), "l"),
    **dict.fromkeys(("qt", "quart", "quarts"), "qt"),
    **dict.fromkeys(("gal", "gallon", "gallons"), "gal"),
    **dict.fromkeys(("cup", "cups"), "cup"),
    **dict.fromkeys(("mm", "millimeter", "millimeters"), "mm"),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), "cm"),
    **dict.fromkeys(("inch", "inches"), "in"),
    **dict.fromkeys(("ft", "feet", "foot"), "ft"),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("km", "kilometer", "kilometers", "kilometre", "kilometres"), "km"),
    **dict.fromkeys(("mi", "mile", "miles"), "mi"),
    **dict.fromkeys(("%", "percent", "pct"), "percent"),
    **dict.fromkeys(("$", "usd", "dollar", "dollars", "buck", "bucks"), "usd"),
    "ppm": "ppm",
    **dict.fromkeys(("f", "fahrenheit", "°f"), "f"),
    **dict.fromkeys(("c", "celsius", "centigrade", "°c"), "c"),
    **dict.fromkeys(("degrees", "degree", "deg", "°"), "degree"),
}
_SMALL = {
    word: value
    for value, word in enumerate(
        word_list(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
        )
    )
}
_TENS = {
    word: 10 * value for value, word in enumerate(word_list("twenty thirty forty fifty sixty seventy eighty ninety"), start=2)
}
_BIG = {"hundred": 100, "thousand": 1000, "million": 1_000_000, "k": 1000}
_UNITS = "|".join(sorted((re.escape(word) for word in _UNIT_WORDS if word not in {"$"}), key=len, reverse=True))
_DIGITS = re.compile(
    rf"(?P<money>[$€£]\s?)?(?<![\w.])(?P<number>[-−+]?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?)(?P<half>\s*(?:1/2|½))?"
    rf"(?:\s*(?P<big>million|thousand|hundred|k)\b)?(?:\s*-?(?P<unit>(?:degrees?\s*|deg\.?\s*|°\s*)(?:f|c|fahrenheit|celsius)\b|{_UNITS})(?![\w]))?",
    re.IGNORECASE,
)
_WORD_NUMBER = "|".join([*_SMALL, *_TENS, "a dozen", "half a dozen", "half an?", "a couple(?: of)?"])
_SPELLED = re.compile(
    rf"\b(?P<phrase>(?:{_WORD_NUMBER})(?:[\s-](?:and\s)?(?:{'|'.join([*_SMALL, *_TENS])}|hundred|thousand|million))*)(?!\w)(?P<half>\s+and a half)?"
    rf"(?:\s*-?\s*(?P<unit>(?:degrees?\s*)(?:f|c|fahrenheit|celsius)\b|{_UNITS})(?!\w))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number at `start:end` of the text. `unit` is canonical (`f c degree min h lb percent usd ...`) or null; `spelled`: in words."""

    value: float
    unit: str | None
    start: int
    end: int
    spelled: bool = False


def find_quantities(text: str) -> list[Quantity]:
    """Quantities in text order. Digits inside identifiers, dates and clock times are not quantities."""
    found = [_from_digits(match) for match in _DIGITS.finditer(text) if _stands_alone(text, match)]
    taken = [(one.start, one.end) for one in found]
    for match in _SPELLED.finditer(text):
        if not any(start < match.end() and match.start() < end for start, end in taken):
            spelled = _from_words(match)
            if spelled is not None:
                found.append(spelled)
    return sorted(found, key=lambda one: one.start)


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    before, after = text[: match.start("number")], text[match.end("number") :]
    if re.search(r"[\w/:#-]$", before) and not before.endswith(("$", " -")) and re.search(r"(?:\d[:/-]|[A-Za-z#]-?)$", before):
        return False
    return (
        re.match(r"(?:[:/]\d|-\d|\s*(?:am|pm|a\.m|p\.m)\b|(?:st|nd|rd|th)\b)", after, re.IGNORECASE) is None
        or match["half"] is not None
    )


def _from_digits(match: re.Match[str]) -> Quantity:
    value = float(match["number"].replace(",", "").replace("−", "-"))
    value *= _BIG.get((match["big"] or "").lower(), 1)
    if match["half"]:
        value += 0.5
    if re.search(r"\bminus\s+$", match.string[: match.start("number")], re.IGNORECASE):
        value = -value
    unit = "usd" if match["money"] else _unit(match["unit"])
    return Quantity(value=value, unit=unit, start=match.start(), end=match.end())


def _from_words(match: re.Match[str]) -> Quantity | None:
    phrase = match["phrase"].lower()
    unit = _unit(match["unit"])
    value = spelled_number(phrase)
    if value is None or (phrase == "one" and unit is None):
        return None
    sign = -1 if re.search(r"\bminus\s+$", match.string[: match.start()], re.IGNORECASE) else 1
    value = sign * (value + (0.5 if match["half"] else 0.0))
    return Quantity(value=value, unit=unit, start=match.start(), end=match.end(), spelled=True)


def spelled_number(phrase: str) -> float | None:
    """The value of a number in words, null when it is none."""
    special = {"a dozen": 12.0, "half a dozen": 6.0, "half a": 0.5, "half an": 0.5, "a couple": 2.0, "a couple of": 2.0}
    if phrase in special:
        return special[phrase]
    total, current = 0, 0
    for word in re.split(r"[\s-]+", phrase):
        if word in _SMALL or word in _TENS:
            value = _SMALL.get(word, 0) + _TENS.get(word, 0)
            # "one twenty" is 120 and "two fifteen" 215: a digit before a two-digit number stands for hundreds.
            current = current * 100 + value if 0 < current < 10 <= value else current + value
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in {"thousand", "million"}:
            total, current = total + max(current, 1) * _BIG[word], 0
        elif word != "and":
            return None
    return float(total + current)


def _unit(written: str | None) -> str | None:
    if not written:
        return None
    squeezed = re.sub(r"\s+|\.", "", written.lower())
    if squeezed in _UNIT_WORDS:
        return _UNIT_WORDS[squeezed]
    for prefix in ("degrees", "degree", "deg", "°"):
        if squeezed.startswith(prefix) and len(squeezed) > len(prefix):
            squeezed = squeezed[len(prefix) :]
    return _UNIT_WORDS.get(squeezed)


def unit_of(word: str) -> str | None:
    """Canonical unit of a unit word, null when it is none."""
    return _UNIT_WORDS.get(word.lower())


def dimension(unit: str) -> str:
    return "temperature" if unit in {"f", "c", "degree"} else _SCALES[unit][0] if unit in _SCALES else unit


def named_unit(name: str, description: str) -> str | None:
    """The unit a parameter is in: the last word of its name, else a unit word after "in" in its description."""
    tail = re.split(r"[_.]", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())[-1]
    if tail in _UNIT_WORDS and (tail != name.lower() or len(tail) > 2):
        return None if _UNIT_WORDS[tail] == "degree" else _UNIT_WORDS[tail]
    found = re.search(rf"\b(?:in|as|of)\s+(?:degrees?\s+|whole\s+|us\s+)?({_UNITS})(?!\w)", description, re.IGNORECASE)
    word = found[1].lower() if found else ""
    return _UNIT_WORDS[word] if len(word) > 2 and _UNIT_WORDS[word] != "degree" else None


def convert(value: float, source: str | None, target: str | None) -> float | None:
    """`value` in `target` units, rounded to 4 decimals; null when the units measure different things.

    A bare number, or a bare "degrees", is taken to be in the target unit already.
    """
    if source is None or target is None or source == target or (source == "degree" and target in {"f", "c"}):
        return value
    if {source, target} == {"f", "c"}:
        return round(value * 9 / 5 + 32, 4) if source == "c" else round((value - 32) * 5 / 9, 4)
    if dimension(source) != dimension(target) or source not in _SCALES or target not in _SCALES:
        return None
    return round(value * _SCALES[source][1] / _SCALES[target][1], 4)
