"""Means with Student t bounds, by unit or by cluster of related units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from math import sqrt

from scipy import special

from reports.records import Estimate


def mean_estimate(
    values: Sequence[float], *, planned: int | None = None, clusters: Sequence[Hashable] | None = None, confidence: float = 0.95
) -> Estimate:
    """Mean of `values` with one-sided t bounds; `clusters` names each value's group where values are related.

    Without clusters: s / sqrt(n), n - 1 degrees of freedom. With C clusters: SE^2 = sum over clusters of the squared sum of
    deviations, / n^2, x C / (C - 1), with C - 1 degrees of freedom (Cameron and Miller, J. Hum. Resour. 50 (2015) 317;
    Miller, arXiv 2411.00640). Bounds are null below two units (or clusters).
    """
    n = len(values)
    wanted = n if planned is None else planned
    if clusters is not None and len(clusters) != n:
        raise ValueError(f"clusters must name every value: {len(clusters)} names for {n} values")
    if n == 0:
        return Estimate(value=None, low=None, high=None, k=None, n=0, planned=wanted, confidence=confidence, method="t")
    mean = sum(values) / n
    sums: dict[Hashable, float] = defaultdict(float)
    for index, value in enumerate(values):
        sums[index if clusters is None else clusters[index]] += value - mean
    count = len(sums)
    method = "t" if clusters is None else f"t, {count} clusters"
    if count < 2:
        return Estimate(value=mean, low=None, high=None, k=None, n=n, planned=wanted, confidence=confidence, method=method)
    error = sqrt(sum(total * total for total in sums.values()) / n**2 * count / (count - 1))
    half = float(special.stdtrit(count - 1, confidence)) * error
    return Estimate(
        value=mean, low=mean - half, high=mean + half, k=None, n=n, planned=wanted, confidence=confidence, method=method
    )
