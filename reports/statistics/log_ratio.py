"""Slowdown between interleaved rounds: the mean log ratio with Student t bounds."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite, log

from reports.records import Estimate
from reports.statistics.means import mean_estimate
from reports.statistics.non_inferiority import Decision


def ratio_of_rounds(base: Sequence[float], candidate: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Geometric mean of `candidate / base` over rounds that ran base and candidate back to back; 1 is no change.

    Values are positive and in one unit (a round's p95, say). Bounds are the exponent of one-sided t bounds on the mean log ratio,
    rounds as units (Fleming and Wallace, Commun. ACM 29 (1986) 218; Kalibera and Jones, ISMM (2013) 63); null below two rounds.
    """
    if len(base) != len(candidate):
        raise ValueError(f"rounds must pair up: {len(base)} of the base, {len(candidate)} of the candidate")
    if any(not isfinite(value) or value <= 0 for value in (*base, *candidate)):
        raise ValueError("every round needs a positive, finite value; leave out rounds that failed, base and candidate together")
    logs = mean_estimate([log(c / b) for b, c in zip(base, candidate, strict=True)], confidence=confidence)
    value, low, high = (None if x is None else exp(x) for x in (logs.value, logs.low, logs.high))
    return Estimate(
        value=value,
        low=low,
        high=high,
        k=None,
        n=logs.n,
        planned=logs.n,
        confidence=confidence,
        method="t on log ratios of interleaved rounds",
    )


def slowed(ratio: Estimate, margin: float, *, strict: bool = False) -> Decision:
    """Decide on a ratio of times with `margin` as a share (0.05 allows 5 %).

    `fail` when the ratio is above `1 + margin` and its lower bound above 1 (`strict`: above `1 + margin`, fewer false alarms and
    less power); `pass` when the upper bound is at most `1 + margin`; else `inconclusive`.
    """
    if margin < 0:
        raise ValueError(f"margin must not be negative, got {margin}")
    surely_above = 1 + margin if strict else 1.0
    if ratio.value is not None and ratio.low is not None and ratio.value > 1 + margin and ratio.low > surely_above:
        return "fail"
    return "pass" if ratio.high is not None and ratio.high <= 1 + margin else "inconclusive"
