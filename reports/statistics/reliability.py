"""pass@k and pass^k: chances that one, or every one, of k repeats passes, unbiased per card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb

from reports.records import Estimate
from reports.statistics.means import mean_estimate


def pass_at_k(passed: int, repeats: int, k: int) -> float | None:
    """Chance that at least one of `k` repeats passes: 1 - C(repeats - passed, k) / C(repeats, k). Null when repeats < k.

    Chen et al., arXiv 2107.03374.
    """
    _check(passed, repeats, k)
    return None if repeats < k else 1 - comb(repeats - passed, k) / comb(repeats, k)


def pass_hat_k(passed: int, repeats: int, k: int) -> float | None:
    """Chance that all of `k` repeats pass (pass^k): C(passed, k) / C(repeats, k). Null when repeats < k.

    Yao et al., arXiv 2406.12045.
    """
    _check(passed, repeats, k)
    return None if repeats < k else comb(passed, k) / comb(repeats, k)


def over_cards(
    measure: Callable[[int, int, int], float | None], cards: Sequence[tuple[int, int]], k: int, *, confidence: float = 0.95
) -> Estimate:
    """Mean of `measure` over cards, each `(passed, repeats)`, with t bounds; cards with fewer than `k` repeats stay in `planned`."""
    values = [measure(passed, repeats, k) for passed, repeats in cards]
    return mean_estimate([value for value in values if value is not None], planned=len(cards), confidence=confidence)


def _check(passed: int, repeats: int, k: int) -> None:
    if not 0 <= passed <= repeats or k < 1:
        raise ValueError(f"passes must be within 0..repeats and k at least 1, got {passed} of {repeats}, k={k}")
