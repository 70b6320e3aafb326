"""Cohen's kappa and its error, against published tables."""

from __future__ import annotations

import pytest

from reports.statistics.kappa import cohen_kappa


def pairs(table: list[list[int]]) -> list[tuple[int, int]]:
    return [(row, column) for row, counts in enumerate(table) for column, n in enumerate(counts) for _ in range(n)]


@pytest.mark.parametrize(
    ("table", "kappa", "error"),
    [
        # Fleiss, Cohen and Everitt (1969), table 1, 200 cases; error as statsmodels 0.14 gives it.
        ([[106, 10, 4], [22, 28, 10], [2, 12, 6]], 0.4285714285714285, 0.05371100486916735),
        ([[20, 5], [10, 15]], 0.4, 0.126996062931),
        ([[45, 6], [13, 36]], 0.6187800963081863, 0.07791212724449682),
    ],
)
def test_kappa_and_its_error_are_the_published_ones(table: list[list[int]], kappa: float, error: float) -> None:
    estimate = cohen_kappa(pairs(table), confidence=0.975)
    assert estimate.value == pytest.approx(kappa, abs=1e-12)
    assert estimate.low == pytest.approx(kappa - 1.959963984540054 * error, abs=1e-9)
    assert estimate.high == pytest.approx(kappa + 1.959963984540054 * error, abs=1e-9)


def test_agreeing_on_everything_is_one_and_chance_alone_has_no_value() -> None:
    perfect = cohen_kappa([(1, 1), (2, 2), (2, 2)], planned=5)
    assert (perfect.value, perfect.low, perfect.high, perfect.k, perfect.n, perfect.planned) == (1.0, 1.0, 1.0, 3, 3, 5)
    constant, nothing = cohen_kappa([(1, 1), (1, 1)]), cohen_kappa([])
    assert (constant.value, constant.low, constant.k) == (None, None, 2)
    assert (nothing.value, nothing.n) == (None, 0)


def test_a_constant_judge_has_no_agreement_beyond_chance_however_often_it_is_right() -> None:
    flattering = cohen_kappa([("pass", "pass")] * 90 + [("fail", "pass")] * 10)
    assert (flattering.value, flattering.k) == (pytest.approx(0.0), 90)


def test_bounds_stay_within_what_kappa_can_be() -> None:
    worst = cohen_kappa([(1, 2), (2, 1), (1, 2), (2, 1), (1, 1)], confidence=0.999)
    assert worst.low is not None and worst.low >= -1.0
