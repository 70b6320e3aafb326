"""Bootstrap bounds of a mean over cards, seeded: bias-corrected and accelerated, or expanded percentile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.records import Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How to resample: the same `seed` gives the same bounds."""

    seed: int
    resamples: int = 9_999
    method: Literal["bca", "expanded"] = "bca"


def bootstrap_mean(values: Sequence[float], how: Resampling, *, planned: int | None = None, confidence: float = 0.95) -> Estimate:
    """Mean of `values`, one a card (of paired differences: one a card), with one-sided bootstrap bounds.

    `bca`: Efron, J. Am. Stat. Assoc. 82 (1987) 171. `expanded`: percentiles at the level that a t interval with n - 1 degrees
    of freedom would need, so that few cards are not too narrow (Hesterberg, Am. Stat. 69 (2015) 371). Values that are all alike
    have bounds on the value; fewer than two have none.
    """
    data = np.asarray(values, dtype=np.float64)
    n, wanted = len(data), len(data) if planned is None else planned
    method = f"bootstrap over cards, {'BCa' if how.method == 'bca' else 'expanded percentile'}"
    value = float(data.mean()) if n else None
    low = high = None
    if n >= 2 and np.ptp(data) == 0:
        low = high = value
    elif n >= 2:
        means = data[np.random.default_rng(how.seed).integers(0, n, (how.resamples, n))].mean(axis=1)
        levels = _bca_levels(data, means, confidence) if how.method == "bca" else _expanded_levels(n, confidence)
        low, high = (float(bound) for bound in np.quantile(means, levels))
    return Estimate(value=value, low=low, high=high, k=None, n=n, planned=wanted, confidence=confidence, method=method)


def _bca_levels(data: Floats, means: Floats, confidence: float) -> list[float]:
    centre = data.mean()
    bias = float(special.ndtri(((means < centre).mean() + (means <= centre).mean()) / 2))
    deviations = data - centre
    skew = float((deviations**3).sum() / (deviations**2).sum() ** 1.5) / 6
    z = float(special.ndtri(confidence))
    return [float(special.ndtr(bias + (bias + side) / (1 - skew * (bias + side)))) for side in (-z, z)]


def _expanded_levels(n: int, confidence: float) -> list[float]:
    tail = float(special.ndtr(-sqrt(n / (n - 1)) * special.stdtrit(n - 1, confidence)))
    return [tail, 1 - tail]
