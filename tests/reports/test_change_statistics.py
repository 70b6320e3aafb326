"""Tests and intervals that compare two runs agree with scipy or with direct computation, and hold what they promise."""

from __future__ import annotations

import math
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
import scipy.stats as st
from scipy import integrate, special

from reports.statistics.binomial import percentile_test
from reports.statistics.bonett_price import paired_difference
from reports.statistics.bootstrap import Resampling, bootstrap_mean
from reports.statistics.fisher import fisher_less
from reports.statistics.log_ratio import ratio_of_rounds, slowed
from reports.statistics.means import mean_estimate, weighted_mean
from reports.statistics.non_inferiority import non_inferior
from reports.statistics.permutation import EXACT_UP_TO, sign_flip_worse
from reports.statistics.power import Noise, cards_needed, detectable_drop, detectable_drop_single
from reports.statistics.quantiles import smallest_n
from reports.statistics.reliability import over_cards, pass_at_k, pass_hat_k
from reports.statistics.rogan_gladen import Judge, corrected_rate, corrected_variance
from reports.statistics.sequential import e_value_changed, e_value_worse

SEED = 20261112


def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


# Bonett and Price


@pytest.mark.parametrize(("broke", "healed", "n"), [(7, 1, 21), (16, 6, 161), (0, 0, 50), (5, 0, 5)])
def test_a_paired_difference_is_wald_after_one_pair_of_either_kind(broke: int, healed: int, n: int) -> None:
    found = paired_difference(broke, healed, n, confidence=0.975)
    table = np.array([0] * (n - broke - healed) + [-1] * broke + [1] * healed + [-1, 1])
    half = st.norm.ppf(0.975) * table.std() / math.sqrt(n + 2)
    assert found.value == (healed - broke) / n
    assert found.low == pytest.approx(max(-1, table.mean() - half), abs=1e-9)
    assert found.high == pytest.approx(min(1, table.mean() + half), abs=1e-9)


def test_a_paired_difference_covers_as_stated_on_small_suites() -> None:
    draws = rng().multinomial(30, [0.1, 0.04, 0.86], size=2_000)
    found = [paired_difference(int(broke), int(healed), 30) for broke, healed, _ in draws]
    assert sum(row.low is not None and row.low <= -0.06 for row in found) / 2_000 > 0.94
    assert sum(row.high is not None and row.high >= -0.06 for row in found) / 2_000 > 0.94


def test_a_paired_difference_without_pairs_has_no_value_and_refuses_impossible_counts() -> None:
    assert (paired_difference(0, 0, 0, planned=3).value, paired_difference(0, 0, 0, planned=3).planned) == (None, 3)
    for wrong in ((-1, 0, 5), (3, 3, 5)):
        with pytest.raises(ValueError, match=r"within 0\.\.n"):
            paired_difference(*wrong)


# Percentiles


@pytest.mark.parametrize(("over", "n", "q"), [(0, 59, 0.95), (5, 208, 0.95), (30, 300, 0.9), (300, 300, 0.99), (4, 600, 0.99)])
def test_a_percentile_test_is_scipys_binomial_test(over: int, n: int, q: float) -> None:
    found = percentile_test(over, n, q)
    assert found.p_within == pytest.approx(st.binomtest(over, n, 1 - q, alternative="less").pvalue, abs=1e-9)
    assert found.p_beyond == pytest.approx(st.binomtest(over, n, 1 - q, alternative="greater").pvalue, abs=1e-9)


def test_the_smallest_sample_is_the_first_that_certifies() -> None:
    for over in range(4):
        n = smallest_n(0.95, 0.95, over)
        assert percentile_test(over, n, 0.95).p_within <= 0.05 < percentile_test(over, n - 1, 0.95).p_within


def test_no_sample_decides_no_percentile() -> None:
    nothing = percentile_test(0, 0, 0.95)
    assert (nothing.p_within, nothing.p_beyond) == (1.0, 1.0)
    for over, n, q in ((3, 2, 0.95), (0, 2, 1.0)):
        with pytest.raises(ValueError, match="over must"):
            percentile_test(over, n, q)


# Bootstrap


def test_bca_bounds_are_scipys_for_the_same_resamples() -> None:
    values = rng().exponential(size=25) - 0.4
    found = bootstrap_mean(values.tolist(), Resampling(seed=7, resamples=4_999))
    theirs = st.bootstrap(
        (values,), np.mean, confidence_level=0.9, n_resamples=4_999, method="BCa", rng=np.random.default_rng(7)
    ).confidence_interval
    assert found.low == pytest.approx(theirs.low, abs=1e-9)
    assert found.high == pytest.approx(theirs.high, abs=1e-9)


def test_expanded_percentiles_widen_few_cards_to_what_a_t_interval_needs() -> None:
    values = [0.0, -0.5, 0.25, 0.0, 0.125, -0.25]
    found = bootstrap_mean(values, Resampling(seed=3, method="expanded"))
    means = np.asarray(values)[np.random.default_rng(3).integers(0, 6, (9_999, 6))].mean(axis=1)
    level = NormalDist().cdf(-math.sqrt(6 / 5) * st.t.ppf(0.95, 5))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [level, 1 - level])), abs=1e-9)
    assert level < 0.05


def test_bca_bounds_cover_about_as_stated_on_skewed_cards() -> None:
    draws = rng().exponential(size=(400, 40))
    found = [bootstrap_mean(row.tolist(), Resampling(seed=1, resamples=499)) for row in draws]
    assert sum(row.high is not None and row.high >= 1 for row in found) / 400 > 0.90
    assert sum(row.low is not None and row.low <= 1 for row in found) / 400 > 0.90


def test_expanded_percentiles_cover_twelve_cards_where_plain_ones_are_too_narrow() -> None:
    draws = rng().normal(size=(800, 12))
    index = np.random.default_rng(1).integers(0, 12, (499, 12))
    expanded = [bootstrap_mean(row.tolist(), Resampling(seed=1, resamples=499, method="expanded")) for row in draws]
    covered = sum(row.low is not None and row.low <= 0 for row in expanded) / 800
    plain = sum(np.quantile(row[index].mean(axis=1), 0.05) <= 0 for row in draws) / 800
    assert covered > 0.935 > plain


def test_a_bootstrap_is_seeded_and_says_when_it_has_no_bounds() -> None:
    values = rng().normal(size=20).tolist()
    once, again, other = (bootstrap_mean(values, Resampling(seed=seed)) for seed in (5, 5, 6))
    assert once == again != other
    assert bootstrap_mean([0.5], Resampling(seed=1)).low is None
    assert bootstrap_mean([], Resampling(seed=1), planned=4).planned == 4
    assert (bootstrap_mean([0.5] * 4, Resampling(seed=1)).low, bootstrap_mean([0.5] * 4, Resampling(seed=1)).high) == (0.5, 0.5)


# Sign flips


def test_few_sign_flips_are_counted_exactly_as_scipy_does() -> None:
    values = rng().normal(-0.3, 1, size=10)
    theirs = st.permutation_test((values,), np.mean, permutation_type="samples", alternative="less", n_resamples=10**6).pvalue
    assert sign_flip_worse(values.tolist(), seed=0) == pytest.approx(theirs, abs=1e-9)


def test_ties_count_against_significance() -> None:
    values = [-0.1] * 5 + [0.1]
    every = [sum(s * v for s, v in zip(signs, values, strict=True)) for signs in product((1, -1), repeat=6)]
    assert sign_flip_worse(values, seed=0) == sum(total <= sum(values) + 1e-9 for total in every) / 64


def test_many_sign_flips_are_seeded_and_hold_their_level() -> None:
    draws = rng().normal(size=(300, EXACT_UP_TO + 6))
    p = [sign_flip_worse(row.tolist(), seed=2, flips=499) for row in draws]
    assert sum(value <= 0.05 for value in p) / 300 < 0.08
    assert p[0] == sign_flip_worse(draws[0].tolist(), seed=2, flips=499)
    assert sign_flip_worse((draws[0] - 3).tolist(), seed=2, flips=499) == 1 / 500
    assert sign_flip_worse([0.0, 0.0], seed=1) == 1.0


# Fisher, with its short cut


@pytest.mark.parametrize(
    ("k", "n", "base_k", "base_n"), [(0, 8, 38, 40), (7, 8, 38, 40), (8, 8, 20, 40), (3, 4, 0, 9), (2, 3, 2, 2)]
)
def test_fishers_tail_is_scipys(k: int, n: int, base_k: int, base_n: int) -> None:
    theirs = st.fisher_exact([[k, n - k], [base_k, base_n - base_k]], alternative="less").pvalue
    assert fisher_less(k, n, base_k, base_n) == pytest.approx(theirs, abs=1e-9)


# Interleaved rounds


def test_a_ratio_of_rounds_is_the_exponent_of_scipys_t_interval() -> None:
    base, candidate = [1.0, 1.1, 0.9, 1.2, 1.0], [1.1, 1.15, 1.0, 1.3, 1.02]
    logs = np.log(np.divide(candidate, base))
    low, high = st.t.interval(0.9, 4, loc=logs.mean(), scale=st.sem(logs))
    found = ratio_of_rounds(base, candidate)
    assert (found.value, found.low, found.high) == pytest.approx((math.exp(logs.mean()), math.exp(low), math.exp(high)), abs=1e-9)


@pytest.mark.parametrize(("slower", "least", "most"), [(1.0, 0.0, 0.06), (1.2, 0.97, 1.0)])
def test_interleaved_rounds_find_a_slowdown_through_drift_and_host_noise(slower: float, least: float, most: float) -> None:
    random = rng()
    failed = 0
    for _ in range(300):
        host = np.exp(random.normal(0, 0.06, 7) + np.linspace(0, 0.15, 7))
        pair = host * np.exp(random.normal(0, 0.03, (2, 7)))
        failed += slowed(ratio_of_rounds(pair[0].tolist(), (slower * pair[1]).tolist()), 0.05) == "fail"
    assert least <= failed / 300 <= most


def test_a_slowdown_is_judged_against_its_margin() -> None:
    flat, slow = [1.0] * 8, [1.3, 1.31, 1.29, 1.3, 1.32, 1.3, 1.28, 1.3]
    assert slowed(ratio_of_rounds(flat, slow), 0.05) == "fail"
    assert slowed(ratio_of_rounds(slow, flat), 0.05) == "pass"
    wide = ratio_of_rounds(flat, [1.0, 1.2, 1.1, 1.15, 1.05, 1.02, 1.2, 1.1])
    assert (slowed(wide, 0.05), slowed(wide, 0.05, strict=True)) == ("fail", "inconclusive")
    assert slowed(ratio_of_rounds([1.0], [9.0]), 0.05) == "inconclusive"
    assert slowed(ratio_of_rounds([], []), 0.05) == "inconclusive"
    with pytest.raises(ValueError, match="margin"):
        slowed(wide, -0.1)


def test_rounds_must_pair_up_and_be_measured() -> None:
    for base, candidate in (([1.0], [1.0, 2.0]), ([0.0], [1.0]), ([1.0], [math.inf])):
        with pytest.raises(ValueError, match="round"):
            ratio_of_rounds(base, candidate)


# Non-inferiority


def test_non_inferiority_needs_a_bound_on_the_allowed_side() -> None:
    same = mean_estimate([0.0, 0.01, -0.01, 0.0])
    worse = mean_estimate([-0.2, -0.25, -0.3, -0.25])
    unsure = mean_estimate([0.5, -0.6, 0.3, -0.5])
    assert [non_inferior(row, 0.05) for row in (same, worse, unsure, mean_estimate([0.0]))] == [
        "pass",
        "fail",
        "inconclusive",
        "inconclusive",
    ]
    assert non_inferior(mean_estimate([-0.05, -0.05]), 0.05) == "inconclusive"
    with pytest.raises(ValueError, match="margin"):
        non_inferior(same, -1)


# Reliability


def test_pass_k_is_the_share_of_draws_without_replacement() -> None:
    for passed, repeats, k in ((3, 5, 2), (5, 5, 5), (0, 4, 1), (1, 8, 4)):
        law = st.hypergeom(repeats, passed, k)
        assert pass_at_k(passed, repeats, k) == pytest.approx(1 - law.pmf(0), abs=1e-9)
        assert pass_hat_k(passed, repeats, k) == pytest.approx(law.pmf(k), abs=1e-9)


def test_pass_k_is_undefined_below_k_repeats_never_one() -> None:
    assert pass_hat_k(2, 2, 3) is None and pass_at_k(2, 2, 3) is None
    found = over_cards(pass_hat_k, [(4, 4), (2, 4), (1, 1)], 2)
    assert (found.value, found.n, found.planned) == (pytest.approx((1 + 1 / 6) / 2), 2, 3)
    assert over_cards(pass_at_k, [(1, 1)], 2).value is None
    for wrong in ((3, 2, 1), (1, 2, 0)):
        with pytest.raises(ValueError, match="passes must"):
            pass_at_k(*wrong)


def test_pass_hat_k_is_unbiased_where_the_power_of_the_pooled_rate_is_not() -> None:
    rates = np.array([1.0] * 30 + [0.5] * 30)
    drawn = rng().binomial(8, rates, size=(400, 60))
    truth = (rates**4).mean()
    ours = np.mean([over_cards(pass_hat_k, [(int(k), 8) for k in row], 4).value or 0.0 for row in drawn])
    assert ours == pytest.approx(truth, abs=0.01)
    assert np.mean((drawn.mean(axis=1) / 8) ** 4) < truth - 0.1


# Judges


def test_a_corrected_rate_is_rogan_and_gladens() -> None:
    found = corrected_rate(70, 100, Judge(true_passes=90, passes=100, true_fails=80, fails=100))
    assert found.value == pytest.approx((0.7 + 0.8 - 1) / 0.7, abs=1e-9)
    assert found.low is not None and found.high is not None and found.low < 5 / 7 < found.high


def test_the_corrected_variance_is_the_delta_methods() -> None:
    judge, q = Judge(true_passes=90, passes=100, true_fails=80, fails=100), 0.7

    def rate(at: tuple[float, float, float]) -> float:
        return (at[0] + at[2] - 1) / (at[1] + at[2] - 1)

    point, step, total = (q, 0.9, 0.8), 1e-5, 0.0
    for index, n in enumerate((200, 100, 100)):
        up, down = list(point), list(point)
        up[index] += step
        down[index] -= step
        slope = (rate(tuple(up)) - rate(tuple(down))) / (2 * step)  # type: ignore[arg-type]
        total += slope**2 * point[index] * (1 - point[index]) / n
    assert corrected_variance(rate(point), 200, judge) == pytest.approx(total, abs=1e-9)


def test_corrected_bounds_cover_where_the_observed_rate_is_far_off() -> None:
    random, truth, se, sp = rng(), 0.9, 0.92, 0.8
    seen = random.binomial(150, truth * se + (1 - truth) * (1 - sp), 1_000)
    good, bad = random.binomial(60, se, 1_000), random.binomial(60, sp, 1_000)
    low = high = 0
    for k, tp, tn in zip(seen.tolist(), good.tolist(), bad.tolist(), strict=True):
        found = corrected_rate(k, 150, Judge(true_passes=tp, passes=60, true_fails=tn, fails=60))
        low += found.low is not None and found.low <= truth
        high += found.high is not None and found.high >= truth
    assert low / 1_000 > 0.94 and high / 1_000 > 0.94


@pytest.mark.parametrize("judge", [(5, 10, 5, 10), (1, 10, 2, 10), (0, 0, 9, 10), (9, 10, 0, 0)])
def test_a_judge_no_better_than_chance_or_unlabelled_corrects_nothing(judge: tuple[int, int, int, int]) -> None:
    tp, p, tn, n = judge
    found = corrected_rate(8, 10, Judge(true_passes=tp, passes=p, true_fails=tn, fails=n), planned=12)
    assert (found.value, found.low, found.high, found.planned) == (None, None, None, 12)


def test_impossible_judge_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="counts"):
        corrected_rate(8, 10, Judge(true_passes=3, passes=2, true_fails=1, fails=1))


# Sequential


@pytest.mark.parametrize(("broke", "healed"), [(0, 0), (1, 0), (8, 2), (3, 9), (40, 22)])
def test_e_values_are_the_integrals_they_stand_for(broke: int, healed: int) -> None:
    def likelihood(theta: float) -> float:
        prior = 1 / (math.pi * math.sqrt(theta * (1 - theta)))
        return prior * (2 * theta) ** broke * (2 * (1 - theta)) ** healed

    below = integrate.quad(likelihood, 0, 0.5, epsabs=1e-12, limit=400)[0]
    above = integrate.quad(likelihood, 0.5, 1, epsabs=1e-12, limit=400)[0]
    assert e_value_changed(broke, healed) == pytest.approx(below + above, rel=1e-9)
    assert e_value_worse(broke, healed) == pytest.approx(2 * above, rel=1e-9)


def test_looking_after_every_pair_keeps_false_alarms_below_alpha() -> None:
    broke = rng().integers(0, 2, size=(400, 120)).cumsum(axis=1)
    looks = np.arange(1, 121)
    alarms = [any(e_value_worse(int(b), int(n - b)) >= 20 for b, n in zip(row, looks, strict=True)) for row in broke]
    assert sum(alarms) / 400 <= 0.05


def test_harm_is_found_and_healing_never_is() -> None:
    assert e_value_worse(12, 0) > 20 > e_value_worse(3, 0)
    assert e_value_worse(0, 12) < 1 < e_value_changed(0, 12)
    assert e_value_worse(0, 2_000) == 0.0
    assert e_value_worse(2_000, 0) == math.inf
    with pytest.raises(ValueError, match="negative"):
        e_value_changed(-1, 0)


# Power


@pytest.mark.parametrize(
    ("cards", "points"),
    [(50, [15.3, 11.1, 8.2, 6.3, 5.1]), (100, [10.8, 7.9, 5.8, 4.5, 3.6]), (200, [7.7, 5.6, 4.1, 3.2, 2.6])],
)
def test_detectable_drops_match_the_published_table(cards: int, points: list[float]) -> None:
    noise = Noise(between=0.01, within=0.09)
    assert [round(100 * detectable_drop(cards, repeats, noise), 1) for repeats in (1, 2, 4, 8, 16)] == points


def test_single_repeats_match_the_published_table_and_millers_example() -> None:
    assert [round(100 * detectable_drop_single(50, share)) for share in (0.1, 0.2, 0.3)] == [11, 16, 19]
    miller = Noise(between=1 / 9, within=0.0)
    assert 960 <= cards_needed(0.03, 1, miller, alpha=0.025) <= 980


def test_the_cards_needed_are_the_first_that_suffice() -> None:
    noise = Noise(between=0.01, within=0.09)
    n = cards_needed(0.05, 4, noise)
    assert detectable_drop(n, 4, noise) <= 0.05 < detectable_drop(n - 1, 4, noise)


def test_a_detectable_drop_is_found_with_its_power() -> None:
    noise, n = Noise(between=0.01, within=0.0), 100
    drop = detectable_drop(n, 1, noise)
    draws = rng().normal(-drop, 0.1, size=(1_000, n))
    found = sum((mean_estimate(row.tolist()).high or 0) < 0 for row in draws) / 1_000
    assert found == pytest.approx(0.8, abs=0.04)


# Weighted means


def test_equal_weights_are_a_plain_mean_and_unequal_ones_follow_the_formula() -> None:
    values = [0.2, 0.5, 0.9, 0.4]
    plain, equal = mean_estimate(values), weighted_mean(values, [3.0] * 4)
    assert (equal.value, equal.low, equal.high) == pytest.approx((plain.value, plain.low, plain.high), abs=1e-9)
    weights = np.array([1.0, 0.5, 0.25, 0.125])
    found = weighted_mean(values, weights.tolist())
    mean = np.average(values, weights=weights)
    effective = weights.sum() ** 2 / (weights**2).sum()
    error = math.sqrt(((weights * (values - mean)) ** 2).sum() / weights.sum() ** 2 * effective / (effective - 1))
    assert found.low == pytest.approx(mean - special.stdtrit(effective - 1, 0.95) * error, abs=1e-9)


def test_weights_must_be_positive_and_one_value_has_no_bounds() -> None:
    assert (weighted_mean([], []).value, weighted_mean([0.4], [2.0]).low) == (None, None)
    for values, weights in (([1.0], []), ([1.0], [0.0])):
        with pytest.raises(ValueError, match="positive weight"):
            weighted_mean(values, weights)
