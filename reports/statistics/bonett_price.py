"""Difference of two paired rates, for small numbers of pairs."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from reports.records import Estimate


def paired_difference(broke: int, healed: int, n: int, *, planned: int | None = None, confidence: float = 0.95) -> Estimate:
    """Candidate's rate minus base's over `n` pairs, of which `broke` turned from pass to fail and `healed` the other way.

    The value is `(healed - broke) / n`; each one-sided bound is Wald's after adding one pair of either kind (Bonett and Price,
    J. Educ. Behav. Stat. 37 (2012) 479). No pair gives an estimate without a value.
    """
    if min(broke, healed) < 0 or broke + healed > n:
        raise ValueError(f"changed pairs must be within 0..n, got {broke} and {healed} of {n}")
    wanted = n if planned is None else planned
    value = low = high = None
    if n:
        value = (healed - broke) / n
        worse, better = (broke + 1) / (n + 2), (healed + 1) / (n + 2)
        half = NormalDist().inv_cdf(confidence) * sqrt((worse + better - (better - worse) ** 2) / (n + 2))
        low, high = max(-1.0, better - worse - half), min(1.0, better - worse + half)
    return Estimate(
        value=value, low=low, high=high, k=None, n=n, planned=wanted, confidence=confidence, method="Bonett-Price, paired"
    )
