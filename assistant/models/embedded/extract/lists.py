"""Enumerations in a message: "a, b and c", "[1, 2, 3]"."""

from __future__ import annotations

import re

from assistant.models.embedded.extract.numbers import assign_numbers
from assistant.models.embedded.toolbook import Parameter


def listed(text: str) -> list[str] | None:
    """The members of the first enumeration with a comma."""
    found = re.search(r"(?:[:]\s*|\bof\s+|\bare\s+|\bfor\s+)?((?:[\w-]+(?:\s[\w-]+)?,\s*)+(?:and\s+)?[\w-]+)", text)
    if not found:
        return None
    return [piece.strip() for piece in re.split(r",\s*(?:and\s+)?|\s+and\s+", found[1]) if piece.strip()]


def numbers_listed(items: Parameter, text: str) -> list[int | float] | None:
    """The numbers in brackets, else all numbers of the text, that fit `items`."""
    bracketed = re.search(r"[\[(]([^\])]*\d[^\])]*)[\])]", text)
    pieces = re.split(r",|\band\b|\s", bracketed[1] if bracketed else text)
    values = [assign_numbers([items], piece).get(items.name) for piece in pieces]
    return [value for value in values if value is not None] or None
