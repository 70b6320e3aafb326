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


def weighted_mean(values: Sequence[float], weights: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Mean of `values` by positive `weights` with one-sided t bounds, values as units.

    SE^2 = sum w^2 (x - mean)^2 / (sum w)^2 x m / (m - 1), with m = (sum w)^2 / sum w^2 effective values and m - 1 degrees of freedom
    (Kish, Survey Sampling (1965) 11.7; Gatz and Smith, Atmos. Environ. 29 (1995) 1185). Equal weights give `mean_estimate`.
    """
    if len(values) != len(weights) or any(weight <= 0 for weight in weights):
        raise ValueError(f"every value needs a positive weight: {len(weights)} weights for {len(values)} values")
    n, total = len(values), sum(weights)
    if n == 0:
        return Estimate(value=None, low=None, high=None, k=None, n=0, planned=0, confidence=confidence, method="t, weighted")
    mean = sum(w * x for w, x in zip(weights, values, strict=True)) / total
    effective = total**2 / sum(w * w for w in weights)
    low = high = None
    if n > 1:
        squares = sum((w * (x - mean)) ** 2 for w, x in zip(weights, values, strict=True))
        half = float(special.stdtrit(effective - 1, confidence)) * sqrt(squares / total**2 * effective / (effective - 1))
        low, high = mean - half, mean + half
    return Estimate(value=mean, low=low, high=high, k=None, n=n, planned=n, confidence=confidence, method="t, weighted")
