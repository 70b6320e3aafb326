"""What a run may spend before it starts no further play."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from evals.transcript import Transcript


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits for one run; null: no limit. Plays that have begun are played to their end, so a run may end a little above."""

    tokens: int | None = None
    seconds: float | None = None
    cost_usd: float | None = None


@dataclass(kw_only=True)
class Meter:
    """What has been spent of a budget. Tokens and money a target does not tell cost nothing."""

    budget: Budget
    clock: Callable[[], float] = time.monotonic
    tokens: int = 0
    cost_usd: float = 0.0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def add(self, transcript: Transcript) -> None:
        for turn in transcript.turns:
            usage = turn.usage or {}
            self.tokens += int(usage.get("input_tokens") or 0) + int(usage.get("output_tokens") or 0)
            self.cost_usd += float(usage.get("cost_usd") or 0.0)

    def used_up(self) -> str | None:
        """Which limit is reached, in words; null while all hold."""
        budget, seconds = self.budget, self.clock() - self.started
        if budget.tokens is not None and self.tokens >= budget.tokens:
            return f"the budget of {budget.tokens:,} tokens is used up"
        if budget.cost_usd is not None and self.cost_usd >= budget.cost_usd:
            return f"the budget of {budget.cost_usd:g} USD is used up"
        if budget.seconds is not None and seconds >= budget.seconds:
            return f"the budget of {budget.seconds:g} seconds is used up"
        return None
