"""Typed reading of state rows, which are plain JSON, and keys for new ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date

from pydantic import JsonValue

Row = dict[str, JsonValue]
Keyed = tuple[str, Row]
"""A row with its key."""


def text(row: Mapping[str, JsonValue], field: str, default: str = "") -> str:
    """The field as text; `default` when absent or null."""
    value = row.get(field)
    return default if value is None else str(value)


def number(row: Mapping[str, JsonValue], field: str) -> float | None:
    """The field as a number; None when absent or not a number."""
    value = row.get(field)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def texts(row: Mapping[str, JsonValue], field: str) -> list[str]:
    """The field as a list of texts; a single text counts as a list of one."""
    value = row.get(field)
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else []


def records(row: Mapping[str, JsonValue], field: str) -> list[Row]:
    """The field as a list of objects; anything else in it is left out."""
    value = row.get(field)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def day(row: Mapping[str, JsonValue], field: str) -> date | None:
    """The field as a date (an ISO date or date-time); None when absent or not one."""
    try:
        return date.fromisoformat(text(row, field)[:10])
    except ValueError:
        return None


def next_id(keys: Iterable[str], prefix: str) -> str:
    """The id after the highest of its kind: `INC-0001`, `INC-0002`, ..."""
    taken = [int(key[len(prefix) + 1 :]) for key in keys if re.fullmatch(rf"{prefix}-\d+", key)]
    return f"{prefix}-{max(taken, default=0) + 1:04d}"
