"""Histogram: log-linear counts of durations with at most 1 % relative error, exact to merge, plain to store."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

UNIT_S = 1e-6
"""Values are whole microseconds inside."""
SUB_BUCKETS = 64
"""Linear steps per octave; a step is at most 1/64 of its value, so its middle is within 0.8 % of anything in it."""


class Histogram:
    """Counts of non-negative seconds. Infinite values are counted apart and lie above every other."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._infinite = 0

    def add(self, value_s: float) -> None:
        """Count one value. Raises `ValueError` when it is negative or not a number."""
        if math.isnan(value_s) or value_s < 0:
            raise ValueError(f"a duration is a number >= 0, not {value_s!r}")
        if math.isinf(value_s):
            self._infinite += 1
            return
        bucket = _bucket(round(value_s / UNIT_S))
        self._counts[bucket] = self._counts.get(bucket, 0) + 1

    def merge(self, other: Histogram) -> None:
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self._infinite += other._infinite

    @property
    def count(self) -> int:
        return sum(self._counts.values()) + self._infinite

    @property
    def infinite(self) -> int:
        return self._infinite

    def quantile(self, q: float) -> float | None:
        """The value of rank `ceil(q * count)`, within 1 %; null when empty, `inf` when it falls among the infinite ones."""
        if self.count == 0:
            return None
        rank = max(1, math.ceil(q * self.count))
        seen = 0
        for bucket, count in sorted(self._counts.items()):
            seen += count
            if seen >= rank:
                low, high = _bounds(bucket)
                return (low + high - 1) / 2 * UNIT_S
        return math.inf

    def rows(self) -> list[tuple[float, float, int]]:
        """Filled buckets as (from, to, count), seconds, ascending; infinite values are not among them."""
        return [(*(edge * UNIT_S for edge in _bounds(bucket)), count) for bucket, count in sorted(self._counts.items())]  # pyright: ignore[reportReturnType]

    def as_json(self) -> dict[str, Any]:
        return {
            "unit_s": UNIT_S,
            "sub_buckets": SUB_BUCKETS,
            "infinite": self._infinite,
            "counts": {str(bucket): count for bucket, count in sorted(self._counts.items())},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Histogram:
        """Read what `as_json` gave. Raises `ValueError` for another layout, whose counts would not merge."""
        if data["unit_s"] != UNIT_S or data["sub_buckets"] != SUB_BUCKETS:
            raise ValueError(f"a histogram of another layout: unit_s {data['unit_s']}, sub_buckets {data['sub_buckets']}")
        histogram = cls()
        histogram._counts = {int(bucket): int(count) for bucket, count in data["counts"].items()}
        histogram._infinite = int(data["infinite"])
        return histogram

    @classmethod
    def of(cls, values_s: Iterable[float]) -> Histogram:
        histogram = cls()
        for value in values_s:
            histogram.add(value)
        return histogram

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and (self._counts, self._infinite) == (other._counts, other._infinite)


def _bucket(units: int) -> int:
    """Exact below `2 * SUB_BUCKETS`, then `SUB_BUCKETS` linear steps in each octave."""
    if units < 2 * SUB_BUCKETS:
        return units
    shift = units.bit_length() - SUB_BUCKETS.bit_length()
    return shift * SUB_BUCKETS + (units >> shift)


def _bounds(bucket: int) -> tuple[int, int]:
    """First unit in the bucket and first unit after it."""
    if bucket < 2 * SUB_BUCKETS:
        return bucket, bucket + 1
    shift = bucket // SUB_BUCKETS - 1
    step = bucket - shift * SUB_BUCKETS
    return step << shift, (step + 1) << shift
