"""How much more evidence would decide an inconclusive gate, if what was seen so far goes on."""

from __future__ import annotations

import re
from math import ceil
from statistics import NormalDist

from reports.records import Estimate
from reports.statistics.proportions import wilson_bounds
from reports.statistics.quantiles import METHOD, smallest_n

CAP = 1_000_000
"""Above this many samples the honest answer is that the rate sits on the threshold."""


def more_needed(estimate: Estimate, threshold: float) -> int | None:
    """Samples to add so that the bound facing `threshold` would clear it at the rate seen so far.

    Null when none would: the value sits on the threshold, is missing, or more than a million samples were needed. Rates
    re-solve their Wilson bound; other estimates assume a width that shrinks with the square root of `n`.
    """
    if estimate.value is None or estimate.n == 0 or estimate.value == threshold:
        return None
    if estimate.high is None and estimate.method.startswith(METHOD):
        return _for_upper_bound(estimate)
    if estimate.k is not None and not estimate.method.startswith(METHOD) and estimate.value == estimate.k / estimate.n:
        return _for_rate(estimate, threshold)
    return _by_scaling(estimate, threshold)


def _for_upper_bound(estimate: Estimate) -> int | None:
    found = re.match(rf"{METHOD} p([\d.]+)", estimate.method)
    if not found:
        return None
    return max(1, smallest_n(float(found[1]) / 100, estimate.confidence) - estimate.n)


def _for_rate(estimate: Estimate, threshold: float) -> int | None:
    p, z = estimate.value or 0.0, NormalDist().inv_cdf(estimate.confidence)

    def clears(n: int) -> bool:
        low, high = wilson_bounds(p, n, z)
        return low >= threshold if p > threshold else high <= threshold

    low, high = estimate.n, estimate.n
    while not clears(high):
        low, high = high, high * 2
        if high > CAP:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if clears(middle) else (middle, high)
    return max(1, high - estimate.n)


def _by_scaling(estimate: Estimate, threshold: float) -> int | None:
    value = estimate.value or 0.0
    facing = estimate.low if value > threshold else estimate.high
    if facing is None or facing == value:
        return None
    wanted = ceil(estimate.n * ((facing - value) / (threshold - value)) ** 2)
    return max(1, wanted - estimate.n) if wanted <= CAP else None
