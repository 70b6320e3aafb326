"""Comparing what was said with what had to be said: normalised text, and quantities that are equal across units."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_SPACE = re.compile(r"\s+")
_MARKER = re.compile(r"\s*\[[a-z0-9-]+#[a-z0-9-]+\]")
_QUANTITY = re.compile(
    r"(?<![\w.])(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)\s*(?P<degree>°|degrees?\s+)?\s*(?P<unit>fahrenheit|celsius|minutes?|mins?|hours?|hrs?|seconds?|secs?|ppm|%|f|c)(?![\w])",
    re.IGNORECASE,
)
_UNITS = {"fahrenheit": "f", "celsius": "c", "min": "minute", "hr": "hour", "sec": "second"}
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


class Quantity(NamedTuple):
    """A number in a base unit: `c` (degrees Celsius), `s` (seconds), `ppm` or `%`."""

    value: float
    unit: str


def normalise(text: str) -> str:
    """Case-folded text with plain quotes, dashes and spaces, without citation markers and Markdown emphasis."""
    text = unicodedata.normalize("NFKC", _MARKER.sub("", text)).casefold()
    for found, plain in (("\u2019", "'"), ("\u2018", "'"), ("\u201c", '"'), ("\u201d", '"'), ("\u2013", "-"), ("\u2014", "-")):
        text = text.replace(found, plain)
    return _SPACE.sub(" ", text.replace("*", "").replace("`", "")).strip()


def quantities(text: str) -> list[Quantity]:
    """All numbers with a known unit in `text`, in base units."""
    return [_to_base(float(match["number"].replace(",", "")), match["unit"]) for match in _QUANTITY.finditer(text)]


def says(answer: str, phrase: str) -> bool:
    """Whether `answer` contains `phrase`: as words, or, when the phrase is one quantity, as an equal quantity (74 C is 165 F)."""
    wanted = _QUANTITY.fullmatch(phrase.strip())
    if wanted:
        target = _to_base(float(wanted["number"].replace(",", "")), wanted["unit"])
        return any(_equal(target, found) for found in quantities(answer))
    pattern = rf"(?<!\w){re.escape(normalise(phrase))}(?!\w)"
    return re.search(pattern, normalise(answer)) is not None


def sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def content_words(text: str) -> set[str]:
    """Words of four letters or more, and numbers: a cheap stand-in for what a sentence is about."""
    return {word for word in re.findall(r"[a-z]{4,}|\d+(?:\.\d+)?", normalise(text))}


def _to_base(number: float, unit: str) -> Quantity:
    name = unit.casefold()
    name = name.rstrip("s") if len(name) > 1 else name
    name = _UNITS.get(name, name)
    if name == "f":
        return Quantity((number - 32) / 1.8, "c")
    if name in _SECONDS:
        return Quantity(number * _SECONDS[name], "s")
    return Quantity(number, name)


def _equal(left: Quantity, right: Quantity) -> bool:
    """Within rounding to whole degrees in either scale, exact otherwise."""
    tolerance = 0.6 if left.unit == "c" else 1e-6
    return left.unit == right.unit and abs(left.value - right.value) <= tolerance
