"""What a tool returns: sentences a person can be told as they are, and the rows behind them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict

from assistant.packs.qsr.tools.rows import Row


class NextQuestion(TypedDict):
    """An open question: the user's next message is handed to `argument` of `tool`, together with the `arguments` known already."""

    tool: str
    argument: str
    question: str
    arguments: NotRequired[dict[str, JsonValue]]


class Outcome(TypedDict):
    """Every tool's result. `rows` are the state rows the summary speaks of, each with its `key`."""

    summary: str
    found: bool
    rows: NotRequired[list[dict[str, JsonValue]]]
    next: NotRequired[NextQuestion]


def told(summary: str, rows: Iterable[tuple[str, Row]] = (), *, ask: NextQuestion | None = None) -> Outcome:
    """A result that answers the user."""
    outcome = Outcome(summary=summary, found=True, rows=[{"key": key, **row} for key, row in rows])
    if ask is not None:
        outcome["next"] = ask
        outcome["summary"] = f"{summary} {ask['question']}"
    return outcome


def not_found(summary: str, rows: Iterable[tuple[str, Row]] = (), *, ask: NextQuestion | None = None) -> Outcome:
    """A normal result that says what is missing and what there is instead."""
    outcome = told(summary, rows, ask=ask)
    outcome["found"] = False
    return outcome
