"""How well a score tells texts in scope from those out of it, and what abstaining at a threshold gives and costs."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.records import Estimate
from reports.statistics.proportions import wilson

REJECTED = 0.05
POINTS = 20

Floats = NDArray[np.float64]


def auroc(inside: Sequence[float], outside: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Probability that a text in scope has the higher score, ties counting half, with one-sided bounds on the logit scale.

    Variance: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837. `n` counts both kinds. Perfect separation has a lower bound
    by the rule of three on the smaller kind.
    """
    good, bad = np.asarray(inside, dtype=np.float64), np.asarray(outside, dtype=np.float64)
    n, method = len(good) + len(bad), "DeLong, logit"
    if not len(good) or not len(bad):
        return Estimate(value=None, low=None, high=None, k=None, n=n, planned=n, confidence=confidence, method=method)
    above, below = _placements(good, bad), 1 - _placements(bad, good)
    value = float(above.mean())
    low, high = _logit_bounds(value, _variance(above) + _variance(below), NormalDist().inv_cdf(confidence))
    if value == 1.0:
        low, high = max(0.0, 1 + log(1 - confidence) / min(len(good), len(bad))), 1.0
    return Estimate(value=value, low=low, high=high, k=None, n=n, planned=n, confidence=confidence, method=method)


def _placements(these: Floats, those: Floats) -> Floats:
    """For each of `these` the share of `those` below it, ties counting half."""
    ranked = np.sort(those)
    return (np.searchsorted(ranked, these, side="left") + np.searchsorted(ranked, these, side="right")) / (2 * len(those))


def _variance(shares: Floats) -> float:
    return float(shares.var(ddof=1)) / len(shares) if len(shares) > 1 else 0.0


def _logit_bounds(value: float, variance: float, z: float) -> tuple[float | None, float | None]:
    if not 0 < value < 1 or variance == 0:
        return None, None
    centre, half = log(value / (1 - value)), z * sqrt(variance) / (value * (1 - value))
    return 1 / (1 + exp(half - centre)), 1 / (1 + exp(-half - centre))


def threshold_at(inside: Sequence[float], rejected: float = REJECTED) -> float:
    """The highest score such that at most the share `rejected` of `inside` lies below it."""
    ranked = sorted(inside)
    return ranked[min(len(ranked) - 1, int(rejected * len(ranked)))]


def recall_at(inside: Sequence[float], outside: Sequence[float], rejected: float = REJECTED) -> Estimate:
    """Share of `outside` below the threshold that rejects the share `rejected` of `inside`, with Wilson bounds."""
    if not inside:
        return wilson(0, 0)
    limit = threshold_at(inside, rejected)
    return wilson(sum(score < limit for score in outside), len(outside))


def risk_coverage(trials: Sequence[tuple[float, bool]]) -> list[dict[str, Any]]:
    """Accuracy among the surest 5 %, 10 %, … 100 % of `(confidence, right)`: what abstaining from the rest would give."""
    ranked = [right for _, right in sorted(trials, key=lambda trial: -trial[0])]
    rows: list[dict[str, Any]] = []
    for step in range(1, POINTS + 1):
        count = round(len(ranked) * step / POINTS)
        if count:
            rows.append({"coverage": count / len(ranked), "n": count, "accuracy": sum(ranked[:count]) / count})
    return rows
