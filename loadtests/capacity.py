"""Capacity: the search for the highest rate that still holds. Pure; what a rate is held to is the caller's business.

The rate doubles from `start` until it no longer holds, then the gap is halved on a logarithmic scale. The answer is certified on both
sides: the highest rate that passed, the lowest that failed. Between them may lie rates that decided nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

StepWord = Literal["pass", "fail", "inconclusive", "invalid"]
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Step(Generic[Found]):
    """One rate tried. `word` invalid: the generator could not make that load."""

    rate_per_s: float
    word: StepWord
    found: Found


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """`start` and `most` turns a second; the search ends at most `steps` steps later, or once the interval is `precision` wide
    relative to its lower end."""

    start: float
    most: float
    precision: float = 0.1
    steps: int = 12


@dataclass(frozen=True, kw_only=True)
class Capacity(Generic[Found]):
    """`highest_pass` and `lowest_fail` null: no rate did. Steps are in the order they were taken."""

    steps: list[Step[Found]]

    @property
    def highest_pass(self) -> float | None:
        """Below the lowest fail: a rate that passed by luck above one that failed certifies nothing."""
        failed = self.lowest_fail
        rates = [step.rate_per_s for step in self.steps if step.word == "pass" and (failed is None or step.rate_per_s < failed)]
        return max(rates, default=None)

    @property
    def lowest_fail(self) -> float | None:
        return min((step.rate_per_s for step in self.steps if step.word == "fail"), default=None)

    @property
    def word(self) -> StepWord:
        """`pass` when some rate holds, `fail` when the lowest tried fails, else why nothing is known."""
        if self.highest_pass is not None:
            return "pass"
        words = {step.word for step in self.steps}
        if self.lowest_fail is not None:
            return "fail"
        return "inconclusive" if "inconclusive" in words else "invalid"


def search(attempt: Callable[[float], Step[Found]], bounds: Bounds) -> Capacity[Found]:
    """Find the capacity between `bounds.start / 8` and `bounds.most`. Calls `attempt` at most `bounds.steps` times."""
    taken: list[Step[Found]] = []
    rate: float | None = min(bounds.start, bounds.most)
    while rate is not None and len(taken) < bounds.steps:
        taken.append(attempt(rate))
        words: dict[float, StepWord] = {step.rate_per_s: step.word for step in taken}
        rate = _next_pass(words, bounds) or _next_fail(words, bounds)
    return Capacity(steps=taken)


def _next_pass(words: Mapping[float, StepWord], bounds: Bounds) -> float | None:
    """The rate to try for the lower end; null when that is narrow enough or cannot be had."""
    ceiling = min((rate for rate, word in words.items() if word != "pass"), default=None)
    good = max((rate for rate, word in words.items() if word == "pass" and (ceiling is None or rate < ceiling)), default=None)
    if good is None:
        lower = (ceiling or bounds.start) / 2
        return lower if lower >= bounds.start / 8 else None
    if ceiling is None:
        return None if good >= bounds.most else min(good * 2, bounds.most)
    return None if ceiling <= good * (1 + bounds.precision) else math.sqrt(good * ceiling)


def _next_fail(words: Mapping[float, StepWord], bounds: Bounds) -> float | None:
    """The rate to try for the upper end, above what decided nothing; null when that is narrow enough. A generator at its limit ends it."""
    unsure = max((rate for rate, word in words.items() if word == "inconclusive"), default=None)
    failed = min((rate for rate, word in words.items() if word == "fail"), default=None)
    if unsure is None or "invalid" in words.values():
        return None
    if failed is None:
        return None if unsure >= bounds.most else min(unsure * 2, bounds.most)
    return None if failed <= unsure * (1 + bounds.precision) else math.sqrt(unsure * failed)
