"""Played: what one turn brought, read from its events and the moments at which they came."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from assistant.wire import DoneEvent, EventAdapter, MetaEvent, RestartEvent, TokenEvent, UsageEvent
from loadtests.samples import OK

_WORD_FIELDS = TokenEvent.model_fields.keys()
_DECODER = json.JSONDecoder()
Arrived = tuple[float, bytes]
"""When the bytes of an event were there, and its data."""


@dataclass(kw_only=True)
class Played:
    """What one turn brought. Times are those of `clock`; null means that it never happened."""

    outcome: str = OK
    status: int | None = None
    t_send: float | None = None
    t_first: float | None = None
    t_last: float | None = None
    t_done: float | None = None
    thread_id: str | None = None
    agent: str | None = None
    output_tokens: int | None = None
    text: str = ""
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    gaps_s: list[float] = field(default_factory=list[float])

    def digest(self, arrived: Sequence[Arrived]) -> None:
        """Fill in what the events say. Decoding waits until the turn is over, when it can no longer delay the next read."""
        self.tell((moment, decoded(data)) for moment, data in arrived)

    def tell(self, told: Iterable[tuple[float, Any]]) -> None:
        """Fill in what decoded events say, null for one that was no JSON.

        An event that is not of the wire, or whose id is out of turn, makes a turn that ended well a `bad_payload`. Words before a
        `restart` are void, and so is their first-word time. An answer that came whole with `done` has its first word there.
        """
        words: list[tuple[float, str]] = []
        valid = True
        for number, (moment, plain) in enumerate(told, start=1):
            try:
                # Most events are words; the whole contract is checked on the others, a word's by hand at a fifth of the price.
                event = None if _is_word(plain) else EventAdapter.validate_python(plain)
            except ValidationError:
                valid = False
                continue
            valid = valid and plain["id"] == number
            self.events.append(plain)
            if event is None:
                words.append((moment, plain["text"]))
            elif isinstance(event, RestartEvent):
                words = []
            elif isinstance(event, MetaEvent):
                self.thread_id = event.thread_id
            elif isinstance(event, UsageEvent):
                self.output_tokens = event.output_tokens
            elif isinstance(event, DoneEvent):
                self._end(event, moment)
                words = words or ([(moment, event.text)] if event.text else [])
        self._words(words)
        if self.outcome == OK and not valid:
            self.outcome = "bad_payload"
        if self.outcome == OK and not words:
            self.outcome = "no_output"

    def _end(self, event: DoneEvent, moment: float) -> None:
        self.t_done = moment
        self.agent = event.agent
        self.text = event.text
        if event.outcome == "error" and self.outcome == OK:
            self.outcome = "agent_error"

    def _words(self, words: Sequence[tuple[float, str]]) -> None:
        self.text = self.text or "".join(text for _, text in words)
        if words:
            self.t_first, self.t_last = words[0][0], words[-1][0]
        self.gaps_s = [after - before for (before, _), (after, _) in pairwise(words)]


def decoded(data: bytes) -> Any:
    """As `json.loads` does, at half of its price for an object without space around it; null for what is no JSON."""
    try:
        if data[:1] == b"{":
            text = data.decode()
            plain, end = _DECODER.raw_decode(text)
            if end == len(text):
                return plain
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _is_word(plain: Any) -> bool:
    """Whether this is a `token` event of the wire with text, field by field."""
    return (
        type(plain) is dict
        and plain.keys() == _WORD_FIELDS
        and plain["type"] == "token"
        and type(plain["text"]) is str
        and plain["text"] != ""
        and type(plain["id"]) is int
        and plain["id"] >= 1
        and type(plain["t_s"]) in {float, int}
        and plain["t_s"] >= 0
    )
