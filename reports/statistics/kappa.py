"""Agreement beyond chance between two raters of the same items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from math import sqrt
from statistics import NormalDist

from reports.records import Estimate

_METHOD = "Cohen's kappa, Fleiss-Cohen-Everitt error"


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]], *, planned: int | None = None, confidence: float = 0.95) -> Estimate:
    """Cohen's kappa of `pairs`, one `(first rater, second rater)` per item, with one-sided bounds at `confidence`.

    Value (p_o - p_e) / (1 - p_e), Cohen, Educ. Psychol. Meas. 20 (1960) 37; bounds from the large-sample error that does not assume
    independence, Fleiss, Cohen and Everitt, Psychol. Bull. 72 (1969) 323, eq. 13. `k` counts the items on which the raters agree. Without
    items, or when both raters give every item the same one category, there is no value.
    """
    n = len(pairs)
    agreed = sum(one == other for one, other in pairs)
    value = low = high = None
    if (error := _error(pairs)) is not None:
        value, spread = error
        reach = NormalDist().inv_cdf(confidence) * spread
        low, high = max(-1.0, value - reach), min(1.0, value + reach)
    wanted = n if planned is None else planned
    return Estimate(value=value, low=low, high=high, k=agreed, n=n, planned=wanted, confidence=confidence, method=_METHOD)


def _error(pairs: Sequence[tuple[Hashable, Hashable]]) -> tuple[float, float] | None:
    """Kappa and its standard error; null where chance alone agrees on everything."""
    n = len(pairs)
    cells = Counter(pairs)
    rows, columns = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    by_chance = sum(rows[name] * columns[name] for name in rows) / (n * n) if n else 1.0
    if by_chance == 1.0:
        return None
    observed = sum(count for (one, other), count in cells.items() if one == other) / n
    kappa = (observed - by_chance) / (1 - by_chance)
    total = 0.0
    for (one, other), count in cells.items():
        if one == other:
            total += count / n * (1 - (rows[one] + columns[one]) / n * (1 - kappa)) ** 2
        else:
            total += count / n * (1 - kappa) ** 2 * ((columns[one] + rows[other]) / n) ** 2
    variance = (total - (kappa - by_chance * (1 - kappa)) ** 2) / ((1 - by_chance) ** 2 * n)
    return kappa, sqrt(max(0.0, variance))
