"""A median against those of earlier runs, as a ratio with bounds from rounds and from the spread between runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log, sqrt

from scipy import special

from reports.records import Estimate
from reports.statistics.differences import difference
from reports.statistics.means import mean_estimate
from reports.statistics.quantiles import quantile_estimate

LEAST_RUNS = 5
"""Earlier runs from which their spread is used: below, its Student t bound is wider than any margin worth having."""


def median_of_rounds(rounds: Sequence[float]) -> Estimate:
    """Median of positive values with order-statistic bounds; null bounds below five rounds. Unit: that of the values."""
    return quantile_estimate(rounds, 0.5, planned=len(rounds))


def median_of_summary(median: float, spread: float, n: int, *, confidence: float = 0.95) -> Estimate:
    """A median of which only the interquartile range `spread` of `n` rounds is known.

    Standard error 1.25 R / (1.35 sqrt(n)) (McGill, Tukey and Larsen, Am. Stat. 32 (1978) 12). Null bounds below five rounds; a lower
    bound that is not positive is null.
    """
    half = float(special.ndtri(confidence)) * 1.25 * spread / (1.35 * sqrt(n)) if n >= 5 else None
    return Estimate(
        value=median,
        low=median - half if half is not None and half < median else None,
        high=None if half is None else median + half,
        k=None,
        n=n,
        planned=n,
        confidence=confidence,
        method="normal, from the interquartile range",
    )


def ratio_of_medians(candidate: Estimate, earlier: Sequence[Estimate], *, confidence: float = 0.95) -> Estimate:
    """`candidate` / geometric mean of `earlier`, each a positive median with its own bounds; 1 is no change.

    Rounds bound the ratio by the method of variance estimates recovery on logarithms (Zou and Donner, Stat. Med. 27 (2008) 1693);
    what differs between runs is not in them. From `LEAST_RUNS` earlier runs on, the bounds are at least as wide as the prediction
    interval for one more run, t s sqrt(1 + 1/k) on logarithms with k - 1 degrees of freedom (Hahn and Meeker, Statistical Intervals
    (1991) 4.7). `n` is the number of earlier runs. Raises `ValueError` without earlier runs.
    """
    if not earlier:
        raise ValueError("a ratio needs at least one earlier run")
    rounds = difference(_logs(candidate), _pooled([_logs(row) for row in earlier]))
    k, method = len(earlier), "medians, bounds from rounds"
    low, high = rounds.low, rounds.high
    if k >= LEAST_RUNS:
        spread = mean_estimate([_logs(row).value or 0.0 for row in earlier], confidence=confidence)
        reach = ((spread.value or 0.0) - (spread.low or 0.0)) * sqrt(k + 1)
        value = rounds.value or 0.0
        low = min(value - reach, value if low is None else low)
        high = max(value + reach, value if high is None else high)
        method = "medians, prediction interval of runs"
    value, low, high = (None if x is None else exp(x) for x in (rounds.value, low, high))
    return Estimate(value=value, low=low, high=high, k=None, n=k, planned=k, confidence=confidence, method=method)


def _logs(median: Estimate) -> Estimate:
    value, low, high = (None if x is None else log(x) for x in (median.value, median.low, median.high))
    return replace(median, value=value, low=low, high=high)


def _pooled(rows: Sequence[Estimate]) -> Estimate:
    """Mean of independent estimates, their distances to their bounds added in quadrature; a missing bound leaves none."""
    mean = sum(row.value or 0.0 for row in rows) / len(rows)
    low = [((row.value or 0.0) - row.low) ** 2 for row in rows if row.low is not None]
    high = [(row.high - (row.value or 0.0)) ** 2 for row in rows if row.high is not None]
    return replace(
        rows[0],
        value=mean,
        low=mean - sqrt(sum(low)) / len(rows) if len(low) == len(rows) else None,
        high=mean + sqrt(sum(high)) / len(rows) if len(high) == len(rows) else None,
    )
