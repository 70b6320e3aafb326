"""Intervals for rates: `k` of `n`, both bounds one-sided at the stated confidence."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

from scipy import special

from reports.records import Estimate


def _check(k: int, n: int, confidence: float) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"k must be within 0..n, got k={k} n={n}")
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence must be above 0.5 and below 1, got {confidence}")


def wilson_bounds(p: float, n: float, z: float) -> tuple[float, float]:
    """Score bounds for rate `p` of `n` trials (`n` may be an effective, fractional count).

    Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    centre = p + z * z / (2 * n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if p == 0 else (centre - half) / scale
    high = 1.0 if p == 1 else (centre + half) / scale
    return max(0.0, low), min(1.0, high)


def wilson(k: int, n: int, *, planned: int | None = None, confidence: float = 0.95) -> Estimate:
    """Rate `k / n` with Wilson score bounds. `n == 0` gives an estimate without a value."""
    _check(k, n, confidence)
    if n == 0:
        return _nothing(planned, confidence, "Wilson")
    low, high = wilson_bounds(k / n, n, NormalDist().inv_cdf(confidence))
    return Estimate(
        value=k / n, low=low, high=high, k=k, n=n, planned=_at_least(planned, n), confidence=confidence, method="Wilson"
    )


def clopper_pearson(k: int, n: int, *, planned: int | None = None, confidence: float = 0.95) -> Estimate:
    """Rate `k / n` with exact bounds: each covers at least `confidence`, whatever the true rate.

    Clopper and Pearson, Biometrika 26 (1934) 404.
    """
    _check(k, n, confidence)
    if n == 0:
        return _nothing(planned, confidence, "Clopper-Pearson")
    alpha = 1 - confidence
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, alpha))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, confidence))
    return Estimate(
        value=k / n, low=low, high=high, k=k, n=n, planned=_at_least(planned, n), confidence=confidence, method="Clopper-Pearson"
    )


def clustered_rate(
    groups: Sequence[tuple[int, int]], *, planned: int | None = None, confidence: float = 0.95, most: int | None = None
) -> Estimate:
    """Pooled rate over `groups` of related trials, each `(k, n)`, with Wilson bounds at the effective number of trials.

    The effective number is the one whose binomial variance equals the between-group variance, corrected for few groups
    (Korn and Graubard, Survey Methodology 24 (1998) 193; Dean and Pagano, J. Surv. Stat. Methodol. 3 (2015) 484). It never
    exceeds `most` (default: all trials) and is the number of groups when no variance shows. For cards with repeats pass the
    number of cards as `most`: repeats add precision to a card, never cards.
    """
    kept = [(k, n) for k, n in groups if n > 0]
    for k, n in groups:
        _check(k, n, confidence)
    total_k, total_n = sum(k for k, _ in kept), sum(n for _, n in kept)
    if total_n == 0:
        return _nothing(planned, confidence, "Wilson, clustered")
    p, z = total_k / total_n, NormalDist().inv_cdf(confidence)
    effective = min(_effective_n(kept, z, confidence), float(most if most is not None else total_n))
    low, high = wilson_bounds(p, effective, z)
    return Estimate(
        value=p,
        low=low,
        high=high,
        k=total_k,
        n=total_n,
        planned=_at_least(planned, total_n),
        confidence=confidence,
        method=f"Wilson, clustered, effective n {effective:.0f}",
    )


def _effective_n(groups: Sequence[tuple[int, int]], z: float, confidence: float) -> float:
    count = len(groups)
    total = sum(n for _, n in groups)
    p = sum(k for k, _ in groups) / total
    squares = sum((k - p * n) ** 2 for k, n in groups)
    if count < 2 or squares == 0:
        return float(count)
    variance = squares / total**2 * count / (count - 1)
    few = z / float(special.stdtrit(count - 1, confidence))
    return max(1.0, min(float(total), p * (1 - p) / variance) * few**2)


def _at_least(planned: int | None, n: int) -> int:
    return n if planned is None else planned


def _nothing(planned: int | None, confidence: float, method: str) -> Estimate:
    return Estimate(value=None, low=None, high=None, k=0, n=0, planned=planned or 0, confidence=confidence, method=method)
