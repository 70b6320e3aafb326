"""Intervals and tests agree with scipy, with published tables, and with their stated coverage."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest
import scipy.stats as st

from reports.records import Estimate
from reports.statistics.differences import difference
from reports.statistics.fisher import fisher_less
from reports.statistics.holm import holm
from reports.statistics.mcnemar import mcnemar_worse
from reports.statistics.means import mean_estimate
from reports.statistics.proportions import clopper_pearson, clustered_rate, wilson, wilson_bounds
from reports.statistics.quantiles import INFINITE, quantile_estimate, smallest_n
from reports.statistics.sample_size import more_needed

COUNTS = [(0, 1), (1, 1), (0, 50), (50, 50), (95, 100), (3, 17), (599, 600), (1115, 1139)]


@pytest.mark.parametrize(("k", "n"), COUNTS)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_rate_bounds_are_scipys(k: int, n: int, confidence: float) -> None:
    two_sided = 1 - 2 * (1 - confidence)
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = st.binomtest(k, n).proportion_ci(two_sided, method=method)
        found = ours(k, n, confidence=confidence)
        assert found.low == pytest.approx(theirs.low, abs=1e-9)
        assert found.high == pytest.approx(theirs.high, abs=1e-9)


def test_a_rate_without_trials_has_no_value_and_keeps_its_plan() -> None:
    for found in (wilson(0, 0, planned=7), clopper_pearson(0, 0, planned=7), clustered_rate([(0, 0)], planned=7)):
        assert (found.value, found.low, found.high, found.n, found.planned) == (None, None, None, 0, 7)


@pytest.mark.parametrize(("k", "n", "confidence"), [(2, 1, 0.95), (-1, 1, 0.95), (0, 1, 0.5), (0, 1, 1.0)])
def test_impossible_counts_are_refused(k: int, n: int, confidence: float) -> None:
    with pytest.raises(ValueError):
        wilson(k, n, confidence=confidence)


def test_related_trials_widen_the_interval() -> None:
    alone = wilson(180, 200)
    families = [(5, 5)] * 36 + [(0, 5)] * 4
    together = clustered_rate(families)
    assert together.value == alone.value
    assert together.low is not None and alone.low is not None and together.low < alone.low - 0.02
    assert "effective n" in together.method


def test_repeats_never_count_as_cards() -> None:
    perfect = clustered_rate([(5, 5)] * 60, most=60)
    one_miss = clustered_rate([(5, 5)] * 59 + [(4, 5)], most=60)
    assert perfect.low == pytest.approx(wilson(60, 60).low)
    assert one_miss.low is not None and perfect.low is not None and one_miss.low < perfect.low


def test_a_single_group_is_one_effective_trial() -> None:
    assert clustered_rate([(9, 10)]).method.endswith("effective n 1")


@pytest.mark.parametrize(
    ("q", "over", "n"), [(0.95, 0, 59), (0.95, 1, 93), (0.95, 2, 124), (0.95, 5, 208), (0.99, 0, 299), (0.9, 0, 29)]
)
def test_smallest_samples_match_the_published_table(q: float, over: int, n: int) -> None:
    assert smallest_n(q, 0.95, over) == n


@pytest.mark.parametrize(("n", "low", "high"), [(200, 185, 196), (100, 91, 99), (60, 54, 60)])
def test_percentile_ranks_match_the_published_ones(n: int, low: int, high: int) -> None:
    found = quantile_estimate([float(i) for i in range(1, n + 1)], 0.95, planned=n)
    assert (found.low, found.high) == (low, high)
    assert found.value == math.ceil(0.95 * n)
    assert found.k == n - math.ceil(0.95 * n)


def test_too_few_samples_have_no_upper_bound() -> None:
    assert quantile_estimate([1.0] * 58, 0.95, planned=58).high is None
    assert quantile_estimate([1.0] * 59, 0.95, planned=59).high == 1.0
    assert quantile_estimate([1.0] * 3, 0.5, planned=3).low is None


def test_failed_turns_make_a_percentile_infinite_and_null() -> None:
    some = quantile_estimate([0.1] * 95 + [math.inf] * 5, 0.95, planned=100)
    assert (some.value, some.high, some.low) == (0.1, None, 0.1)
    most = quantile_estimate([0.1] * 80 + [math.inf] * 20, 0.95, planned=100)
    assert (most.value, most.low, most.high) == (None, None, None)
    assert most.method.endswith(INFINITE)


def test_percentile_bounds_cover_as_stated() -> None:
    random.seed(20261112)
    truth = -math.log(0.05)
    covered = 0
    for _ in range(600):
        found = quantile_estimate([random.expovariate(1) for _ in range(80)], 0.95, planned=80)
        covered += found.high is not None and found.high >= truth
    assert covered / 600 > 0.93


def test_a_percentile_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="NaN"):
        quantile_estimate([math.nan], 0.95, planned=1)
    with pytest.raises(ValueError, match="q must"):
        quantile_estimate([1.0], 1.0, planned=1)
    assert quantile_estimate([], 0.95, planned=4).value is None


def test_mean_bounds_are_scipys() -> None:
    values = [0.2, 0.4, 0.9, 1.3, 0.7]
    theirs = st.t.interval(0.9, 4, loc=sum(values) / 5, scale=st.sem(values))
    found = mean_estimate(values)
    assert (found.low, found.high) == (pytest.approx(theirs[0], abs=1e-9), pytest.approx(theirs[1], abs=1e-9))


def test_clustered_mean_is_wider_than_a_plain_one() -> None:
    values, names = [0.0, 0.0, 1.0, 1.0], ["a", "a", "b", "b"]
    plain, grouped = mean_estimate(values), mean_estimate(values, clusters=names)
    assert plain.low is not None and grouped.low is not None and grouped.low < plain.low
    assert grouped.method == "t, 2 clusters"


def test_a_mean_of_one_has_no_bounds_and_of_none_no_value() -> None:
    assert (mean_estimate([3.0]).value, mean_estimate([3.0]).low) == (3.0, None)
    assert mean_estimate([], planned=2).value is None
    with pytest.raises(ValueError, match="clusters"):
        mean_estimate([1.0], clusters=[])


@pytest.mark.parametrize(("k", "n", "base_k", "base_n"), [(0, 5, 70, 70), (4, 5, 61, 70), (1, 5, 68, 70), (5, 5, 1, 2)])
def test_fisher_is_scipys(k: int, n: int, base_k: int, base_n: int) -> None:
    theirs = st.fisher_exact([[k, n - k], [base_k, base_n - base_k]], alternative="less").pvalue
    assert fisher_less(k, n, base_k, base_n) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("broke", "healed", "p"), [(5, 0, 0.03125), (4, 0, 0.0625), (8, 2, 0.0546875), (0, 0, 1.0)])
def test_mcnemar_matches_the_binomial_tail(broke: int, healed: int, p: float) -> None:
    assert mcnemar_worse(broke, healed) == pytest.approx(p, abs=1e-12)


def test_impossible_tables_are_refused() -> None:
    with pytest.raises(ValueError):
        fisher_less(3, 2, 0, 0)
    with pytest.raises(ValueError):
        mcnemar_worse(-1, 0)


def test_holm_steps_down_and_never_falls() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {
        "a": pytest.approx(0.03),
        "b": pytest.approx(0.06),
        "c": pytest.approx(0.06),
    }


def test_difference_of_rates_is_newcombes() -> None:
    # Newcombe 1998, table II, method 10: 56/70 against 48/80, two-sided 95 %.
    found = difference(wilson(56, 70, confidence=0.975), wilson(48, 80, confidence=0.975))
    assert (found.value, found.low, found.high) == (
        pytest.approx(0.2, abs=5e-5),
        pytest.approx(0.0524, abs=5e-5),
        pytest.approx(0.3339, abs=5e-5),
    )


def test_a_difference_is_bounded_only_where_both_sides_are() -> None:
    few = quantile_estimate([1.0] * 10, 0.95, planned=10)
    many = quantile_estimate([1.0] * 100, 0.95, planned=100)
    assert (difference(few, many).low, difference(few, many).high) == (0.0, None)
    assert (difference(many, few).low, difference(many, few).high) == (None, 0.0)


def test_a_difference_from_nothing_is_nothing() -> None:
    found = difference(wilson(0, 0), wilson(1, 2))
    assert (found.value, found.low, found.high) == (None, None, None)


def test_the_promised_extra_cases_decide() -> None:
    seen = wilson(58, 62)
    more = more_needed(seen, 0.9)
    assert more is not None
    assert seen.value is not None
    at, before = (wilson_bounds(seen.value, seen.n + more - less, NormalDist().inv_cdf(0.95))[0] for less in (0, 1))
    assert before < 0.9 <= at


def test_no_extra_cases_help_on_the_threshold_or_beyond_the_cap() -> None:
    assert more_needed(wilson(9, 10), 0.9) is None
    assert more_needed(wilson(0, 0), 0.9) is None
    assert more_needed(wilson(900_001, 1_000_000), 0.9) is None


def test_a_percentile_without_upper_bound_asks_for_the_smallest_sample() -> None:
    assert more_needed(quantile_estimate([1.0] * 40, 0.95, planned=40), 2.0) == 19


def test_other_widths_shrink_with_the_root_of_n() -> None:
    base = Estimate(value=1.0, low=0.8, high=1.2, k=None, n=10, planned=10, confidence=0.95, method="t")
    assert more_needed(base, 1.1) == 30
    assert more_needed(Estimate(**{**base.__dict__, "high": None}), 1.1) is None
    assert more_needed(base, 1.00001) is None
    assert more_needed(Estimate(**{**base.__dict__, "high": None, "method": "order statistics"}), 1.1) is None
