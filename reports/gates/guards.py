"""Cards against the accepted runs: guard A on their mean, guard B on each card, and a look at results too good to believe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil

from scipy import special

from reports.format import change, count, listing, plural, quantity, share
from reports.gates.counting import CardCount
from reports.gates.metrics import describe_metric
from reports.gates.policy import Guards, Policy
from reports.gates.reference import Pool, Reference, Tally
from reports.gates.verdict import GateResult, GateState, LimitKind
from reports.gates.waivers import Waived
from reports.records import Estimate, Record
from reports.statistics.fisher import fisher_less
from reports.statistics.holm import holm
from reports.statistics.means import mean_estimate
from reports.statistics.non_inferiority import non_inferior

MEAN, CARDS, TOO_GOOD = "guards.mean_drop", "guards.cards", "guards.too_good"
_MOST_REPEATS = 1_000


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A card with judged repeats in the candidate and in the accepted runs."""

    card: str
    passed: int
    judged: int
    base: Tally

    @property
    def rate(self) -> float:
        return self.passed / self.judged


def judge_guards(record: Record, cards: list[CardCount], policy: Policy, pool: Pool, waived: Waived) -> list[GateResult]:
    """Guards A and B as the policy sets them; none when it sets none. Pure."""
    guards = policy.guards
    if guards is None:
        return []
    found: list[GateResult] = []
    absent = _absent(record, cards, policy, pool)
    compared = _matched(cards, pool)
    if guards.mean_drop_margin is not None:
        blank = _gate(MEAN, "max_drop", guards.mean_drop_margin, guards)
        found.append(absent(blank) or _mean_guard(blank, compared, pool, policy))
    if guards.per_card_alpha is not None:
        blank = _gate(CARDS, "no_card_worse", guards.per_card_alpha, guards)
        found.append(absent(blank) or _card_guard(blank, compared, pool, waived))
    return found


def judge_too_good(gates: Iterable[GateResult], policy: Policy, reference: Reference | None, tier: str) -> GateResult | None:
    """Whether a passing metric is better than before by more than the policy's factor; null when the policy does not ask."""
    guards = policy.guards
    if guards is None or guards.too_good_factor is None:
        return None
    blank = _gate(TOO_GOOD, "not_too_good", guards.too_good_factor, guards)
    if tier not in guards.tiers:
        return _out_of_tier(blank, tier)
    compared, suspicious, reason = 0, dict[str, str](), "No baseline"
    for gate in gates:
        if gate.state != "pass" or gate.measured is None or gate.metric in suspicious:
            continue
        base, why = reference.estimate(gate.metric) if reference else (None, reason)
        if base is None or base.value is None:
            reason = why or reason
            continue
        compared += 1
        if _too_good(gate, gate.measured, base.value, guards.too_good_factor):
            suspicious[gate.metric] = _how_good(gate, gate.measured, base.value)
    if suspicious:
        told = "; ".join(suspicious.values())
        sentence = f"{told}: better by more than a factor of {guards.too_good_factor:g}. A person must look before it counts."
        return replace(blank, state="inconclusive", sentence=sentence)
    if not compared:
        return _no_baseline(blank, reason, policy)
    return replace(blank, state="pass", sentence=f"{plural(compared, 'metrics')} compared, none better by that much.")


def _gate(name: str, limit: LimitKind, threshold: float, guards: Guards) -> GateResult:
    metric = describe_metric(name)
    whys = {
        MEAN: "Many cards a little worse are a regression that no single card shows.",
        CARDS: "One card that broke is lost in any mean.",
        TOO_GOOD: "A sudden gain is more often a broken test than a better assistant.",
    }
    return GateResult(
        id=name,
        metric=name,
        title=metric.title,
        area=metric.area,
        state="no_baseline",
        sentence="",
        limit=limit,
        threshold=threshold,
        bound="ci",
        tiers=list(guards.tiers),
        why=whys[name],
    )


class _absent:
    """Gives a guard's result where there is nothing to compare, else null."""

    def __init__(self, record: Record, cards: list[CardCount], policy: Policy, pool: Pool) -> None:
        self._record, self._cards, self._policy, self._pool = record, cards, policy, pool

    def __call__(self, blank: GateResult) -> GateResult | None:
        if self._record.tier not in blank.tiers:
            return _out_of_tier(blank, self._record.tier)
        if not self._cards:
            reason = self._record.not_measurable.get("cards")
            return replace(blank, state="not_measured", sentence=f"No card was played{f': {reason}' if reason else ''}.")
        if not self._pool.runs:
            return _no_baseline(blank, self._pool.reason, self._policy)
        judged = {card.card for card in self._cards if card.passed + card.failed}
        missing = sorted(set(self._pool.cards) - judged)
        if len(missing) > self._policy.max_unjudged * len(self._pool.cards):
            sentence = f"{plural(len(missing), 'cards')} of the accepted runs were not judged here: {listing(missing)}."
            return replace(blank, state="invalid", sentence=sentence, cards=missing)
        return None
