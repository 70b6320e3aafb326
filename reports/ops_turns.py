"""What the figures of operation are made from: one row per turn that an assistant stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import inf

UNKNOWN = "unknown"
"""Stands for a model, an agent or an intent that the store does not tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolUse:
    """One call of a tool. `ok` and `duration_s` are null when no result was stored.

    `retry`: the same tool had just failed in this turn.
    """

    tool: str
    ok: bool | None
    duration_s: float | None
    retry: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTurn:
    """One turn. `at` is when it was accepted, with a time zone.

    `outcome` is null when no answer was kept: the turn broke, or its reader left before the end. `model` is the configured model
    string, `answered_by` what the model called itself. `answer_s`: seconds from acceptance to the last stored event, the end of
    the answer. `cost_usd` is null without a known price, `cache_hit` and `thumbs_up` where nobody recorded them.
    """

    at: datetime
    thread: str
    outcome: str | None
    agent: str = UNKNOWN
    intent: str = UNKNOWN
    model: str = UNKNOWN
    answered_by: str = UNKNOWN
    answer_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    cache_hit: bool | None = None
    thumbs_up: bool | None = None
    tools: tuple[ToolUse, ...] = ()

    @property
    def failed(self) -> bool:
        """The user got no answer."""
        return self.outcome in (None, "error")

    @property
    def felt_s(self) -> float | None:
        """Seconds the user waited; infinite for a failed turn, null when nobody measured an answered one."""
        return inf if self.failed else self.answer_s
