"""How a mock model server behaves, and what each of its requests meets, drawn from the seed and the request's number alone."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Fault = Literal["rate_limited", "server_error", "cut", "garbage"]
Content = Literal["echo", "lorem", "fixed", "tool"]


@dataclass(frozen=True, kw_only=True)
class MockProfile:
    """How the server behaves. Times in seconds; rates are shares of requests from 0 to 1 and together at most 1.

    `jitter` stretches each delay by a factor drawn evenly from `1 - jitter` to `1 + jitter`. `lorem_tokens` is the length of a lorem answer
    when the request sets no limit. `tool_call` is what content `tool` calls (name and arguments) until a tool result is in the
    messages; then it answers with `reply`. `ignores_max_completion_tokens` behaves as Ollama does: only `max_tokens` limits.
    """

    model: str = "mock"
    seed: int = 0
    ttft_s: float = 0.0
    gap_s: float = 0.0
    jitter: float = 0.0
    stall_s: float = 0.0
    stall_rate: float = 0.0
    rate_limited_rate: float = 0.0
    retry_after_s: int = 1
    server_error_rate: float = 0.0
    cut_rate: float = 0.0
    garbage_rate: float = 0.0
    content: Content = "echo"
    reply: str = "ok"
    lorem_tokens: int = 64
    tool_call: tuple[str, Mapping[str, Any]] | None = None
    ignores_max_completion_tokens: bool = False
    sends_usage: bool = True
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        rates = {
            name: getattr(self, name)
            for name in ("stall_rate", "rate_limited_rate", "server_error_rate", "cut_rate", "garbage_rate")
        }
        faults = [f"{name} must be from 0 to 1, not {rate}" for name, rate in rates.items() if not 0 <= rate <= 1]
        if sum(rate for name, rate in rates.items() if name != "stall_rate") > 1:
            faults.append("rate_limited_rate, server_error_rate, cut_rate and garbage_rate together must not exceed 1")
        if self.content == "tool" and self.tool_call is None:
            faults.append("content 'tool' needs tool_call=(name, arguments)")
        if faults:
            raise ValueError("; ".join(faults))


_SLOWER = re.compile(r"\+(\d+(?:\.\d+)?)ms$", re.ASCII)


def asked_delay_s(model: str) -> float:
    """What a request adds to its first word by the name of its model: `anything+20ms`, 20 ms. One server then gives two known times."""
    found = _SLOWER.search(model)
    return float(found[1]) / 1000 if found else 0.0


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What one request meets."""

    fault: Fault | None
    ttft_s: float
    gaps_s: Callable[[], float]
    cut_after: int


def draw_of(profile: MockProfile, number: int) -> Draw:
    chance = random.Random(f"{profile.seed}:{number}")
    edge, at, fault = 0.0, chance.random(), None
    rates: tuple[tuple[Fault, float], ...] = (
        ("rate_limited", profile.rate_limited_rate),
        ("server_error", profile.server_error_rate),
        ("cut", profile.cut_rate),
        ("garbage", profile.garbage_rate),
    )
    for name, rate in rates:
        if fault is None and edge <= at < edge + rate:
            fault = name
        edge += rate
    stalled = chance.random() < profile.stall_rate

    def stretched(seconds: float) -> float:
        return seconds * chance.uniform(1 - profile.jitter, 1 + profile.jitter)

    ttft_s = stretched(profile.ttft_s) + (profile.stall_s if stalled else 0.0)
    return Draw(fault=fault, ttft_s=ttft_s, gaps_s=lambda: stretched(profile.gap_s), cut_after=chance.randint(1, 4))
