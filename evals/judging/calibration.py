"""How good a judge is against human labels: error rates, agreement beyond chance, order bias, and whether it agrees with itself.

The positive label is `pass`, or `1` for pairs. A missing verdict and one outside the closed set are errors: they are counted, and enter no
rate. Items are the unit of every interval: verdicts on one item, repeated or in both orders, are one cluster.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

from reports.records import Estimate
from reports.statistics.kappa import cohen_kappa
from reports.statistics.proportions import clustered_rate, wilson
from reports.statistics.rogan_gladen import Judge as ErrorCounts

LEAST_RATE = 0.8
"""What the lower bounds of both rates must reach before a judge may gate: below, a corrected pass rate is mostly noise."""
MOST_ERRORS = 0.05
POSITIVES = {"pass": "fail", "1": "2"}
Standing = Literal["met", "missed", "open"]


@dataclass(frozen=True, kw_only=True)
class Labelled:
    item: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One verdict, in the words of the labels: for a pair shown the other way round (`swap`) it is already turned back. Null: none."""

    item: str
    said: str | None
    repeat: int = 0
    swap: bool = False


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Every interval is one-sided 95 % on each side. `self_consistency` is null without repeats; the last five are null but for pairs.

    `tpr` is the share of positive items judged positive, `tnr` that of negative items judged negative. `first_share` is how often the answer
    shown first wins: 0.5 without order bias. `same_both_orders` and `right_both_orders` need both verdicts, and one that is missing is
    neither. `kappa_orders` is the agreement of the two orders. `kappa` and `counts` are of one verdict per item, its first.
    """

    items: int
    errors: Estimate
    tpr: Estimate
    tnr: Estimate
    accuracy: Estimate
    kappa: Estimate
    self_consistency: Estimate | None
    first_share: Estimate | None
    right_first_order: Estimate | None
    right_swapped: Estimate | None
    same_both_orders: Estimate | None
    right_both_orders: Estimate | None
    kappa_orders: Estimate | None
    counts: ErrorCounts

    @property
    def standing(self) -> Standing:
        return standing_of(self.counts, missing=self.errors.k or 0, asked=self.errors.n)


def standing_of(counts: ErrorCounts, *, missing: int, asked: int) -> Standing:
    """`met`: both rates surely reach the bound and few verdicts are missing. `missed`: one surely does not. `open`: too few labels to tell."""
    errors, rates = wilson(missing, asked), [wilson(counts.true_passes, counts.passes), wilson(counts.true_fails, counts.fails)]
    if any(rate.high is not None and rate.high < LEAST_RATE for rate in rates) or (errors.low or 0.0) > MOST_ERRORS:
        return "missed"
    enough = all(rate.low is not None and rate.low >= LEAST_RATE for rate in rates)
    return "met" if enough and errors.value is not None and errors.value <= MOST_ERRORS else "open"


def calibrate(labels: Sequence[Labelled], judgements: Sequence[Judgement], *, positive: str, asked: int) -> Calibration:
    """Measure a judge. `asked` is how many verdicts were asked for: what is missing of them counts as an error.

    Raises `ValueError` for a judgement of an item that has no label.
    """
    truth = {labelled.item: labelled.label for labelled in labels}
    if stray := next((one.item for one in judgements if one.item not in truth), None):
        raise ValueError(f"verdict on {stray!r}, which has no label")
    words = {positive, POSITIVES[positive]}
    given = [one for one in judgements if one.said in words]
    orders = _Orders(given, truth) if positive == "1" else None
    good, bad = (_rate_of(given, truth, label, asked) for label in (positive, POSITIVES[positive]))
    first = [(truth[one.item], one.said) for one in given if one.repeat == 0 and not one.swap]
    return Calibration(
        items=len(truth),
        errors=wilson(asked - len(given), asked),
        tpr=good,
        tnr=bad,
        accuracy=_by_item([(one.item, one.said == truth[one.item]) for one in given], planned=asked),
        kappa=cohen_kappa(first, planned=len(truth)),
        self_consistency=_self_consistency(given),
        first_share=orders.first_share(asked) if orders else None,
        right_first_order=orders.right(swap=False) if orders else None,
        right_swapped=orders.right(swap=True) if orders else None,
        same_both_orders=orders.both(right=False) if orders else None,
        right_both_orders=orders.both(right=True) if orders else None,
        kappa_orders=orders.kappa() if orders else None,
        counts=_counts(first, positive),
    )


def _counts(rows: Sequence[tuple[str, str | None]], positive: str) -> ErrorCounts:
    good = [said == positive for label, said in rows if label == positive]
    bad = [said != positive for label, said in rows if label != positive]
    return ErrorCounts(true_passes=sum(good), passes=len(good), true_fails=sum(bad), fails=len(bad))


class _Orders:
    """What pairs add: each item is shown in both orders. All but the order bias is of the first repeat."""

    def __init__(self, given: Sequence[Judgement], truth: Mapping[str, str]) -> None:
        self._given = given
        self._truth = truth
        self._said = {(one.item, one.swap): one.said for one in given if one.repeat == 0}

    def first_share(self, asked: int) -> Estimate:
        shown_first = {False: "1", True: "2"}
        groups: dict[str, list[bool]] = defaultdict(list)
        for one in self._given:
            groups[one.item].append(one.said == shown_first[one.swap])
        # A judge that keeps to its answer names the first once in two orders: the two verdicts tell more than two of different items.
        return clustered_rate([(sum(members), len(members)) for members in groups.values()], planned=asked)

    def right(self, *, swap: bool) -> Estimate:
        return wilson(sum(self._said.get((item, swap)) == label for item, label in self._truth.items()), len(self._truth))

    def both(self, *, right: bool) -> Estimate:
        """Items with the same verdict in both orders, or the right one."""
        pairs = [(self._said.get((item, False)), self._said.get((item, True)), label) for item, label in self._truth.items()]
        good = [one is not None and one == other and (not right or one == label) for one, other, label in pairs]
        return wilson(sum(good), len(good))

    def kappa(self) -> Estimate:
        both = [item for item in self._truth if {(item, False), (item, True)} <= self._said.keys()]
        return cohen_kappa([(self._said[item, False], self._said[item, True]) for item in both], planned=len(self._truth))


def _rate_of(given: Sequence[Judgement], truth: Mapping[str, str], label: str, asked: int) -> Estimate:
    """How often items of one label are judged so; `planned` shares what was asked evenly among the items."""
    items = sum(wanted == label for wanted in truth.values())
    rows = [(one.item, one.said == label) for one in given if truth[one.item] == label]
    return _by_item(rows, planned=asked * items // max(1, len(truth)))


def _self_consistency(given: Sequence[Judgement]) -> Estimate | None:
    """The chance that two repeats of one question get the same verdict: the share of agreeing pairs, items as clusters."""
    counts: dict[str, Counter[tuple[bool, str | None]]] = defaultdict(Counter)
    for one in given:
        counts[one.item][one.swap, one.said] += 1
    groups: list[tuple[int, int]] = []
    for counter in counts.values():
        per_order = [sum(n for (swap, _), n in counter.items() if swap is order) for order in (False, True)]
        groups.append((sum(comb(n, 2) for n in counter.values()), sum(comb(n, 2) for n in per_order)))
    return clustered_rate(groups, most=len(groups)) if any(pairs for _, pairs in groups) else None


def _by_item(rows: Sequence[tuple[str, bool]], *, planned: int) -> Estimate:
    groups: dict[str, list[bool]] = defaultdict(list)
    for item, good in rows:
        groups[item].append(good)
    clusters = [(sum(members), len(members)) for members in groups.values()]
    if all(n == 1 for _, n in clusters):
        return wilson(sum(k for k, _ in clusters), len(clusters), planned=planned)
    return clustered_rate(clusters, planned=planned, most=len(clusters))
