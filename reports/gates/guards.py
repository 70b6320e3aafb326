"""Cards against the accepted runs: guard A on the mean of their pass rates, guard B on each card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from scipy import special

from reports.format import change, count, listing, plural, share
from reports.gates.counting import CardCount
from reports.gates.metrics import describe_metric
from reports.gates.policy import Policy
from reports.gates.reference import Pool, Tally
from reports.gates.verdict import GateResult, GateState, LimitKind
from reports.gates.waivers import Waived
from reports.records import Estimate, Record
from reports.statistics.fisher import fisher_less
from reports.statistics.holm import holm
from reports.statistics.means import mean_estimate
from reports.statistics.non_inferiority import non_inferior

MEAN, CARDS = "guards.mean_drop", "guards.cards"
MOST_REPEATS = 1_000
"""Beyond this many repeats a card, more repeats are no advice."""
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A card with judged repeats both here and in the accepted runs."""

    card: str
    passed: int
    judged: int
    base: Tally

    @property
    def rate(self) -> float:
        return self.passed / self.judged

    @property
    def base_counts(self) -> tuple[int, int]:
        """Passed and judged repeats of the accepted runs, whole numbers."""
        judged = max(1, round(self.base.judged))
        return min(judged, round(self.base.rate * judged)), judged


def judge_guards(record: Record, cards: list[CardCount], policy: Policy, pool: Pool, waived: Waived) -> list[GateResult]:
    """Guards A and B as the policy sets them; none when it sets none. Pure."""
    guards, found = policy.guards, list[GateResult]()
    if guards is None:
        return found
    matched = [
        Compared(card=card.card, passed=card.passed, judged=card.passed + card.failed, base=pool.cards[card.card])
        for card in cards
        if card.card in pool.cards and card.passed + card.failed
    ]
    if guards.mean_drop_margin is not None:
        blank = blank_gate(MEAN, "max_drop", guards.mean_drop_margin, policy)
        blank = replace(blank, why="Many cards a little worse are a regression that no single card shows.")
        found.append(_absent(blank, record, cards, policy, pool) or _mean_guard(blank, matched, pool, policy))
    if guards.per_card_alpha is not None:
        blank = blank_gate(CARDS, "no_card_worse", guards.per_card_alpha, policy)
        blank = replace(blank, why="One card that broke is lost in any mean.")
        found.append(_absent(blank, record, cards, policy, pool) or _card_guard(blank, matched, pool, waived))
    return found


def blank_gate(name: str, limit: LimitKind, threshold: float, policy: Policy) -> GateResult:
    """A guard that has concluded nothing yet."""
    metric = describe_metric(name)
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
        tiers=list(policy.guards.tiers) if policy.guards else [],
    )


def out_of_tier(blank: GateResult, tier: str) -> GateResult | None:
    if tier in blank.tiers:
        return None
    return replace(blank, state="not_in_tier", sentence=f"Judged in {' and '.join(blank.tiers)}, not in {tier}.")


def without_baseline(blank: GateResult, reason: str, policy: Policy) -> GateResult:
    """Says why there is nothing to compare with; blocks only where the policy requires a baseline."""
    needed = policy.baseline.required
    return replace(
        blank,
        state="invalid" if needed else "no_baseline",
        sentence=f"{reason}{'; a baseline is required' if needed else ''}.",
    )


def _absent(blank: GateResult, record: Record, cards: list[CardCount], policy: Policy, pool: Pool) -> GateResult | None:
    """The result where there is nothing to compare, else null. A card of the accepted runs that is gone is no pass."""
    if elsewhere := out_of_tier(blank, record.tier):
        return elsewhere
    if not cards:
        reason = record.not_measurable.get("cards", "").rstrip(".")
        return replace(blank, state="not_measured", sentence=f"No card was played{f': {reason}' if reason else ''}.")
    if not pool.runs:
        return without_baseline(blank, pool.reason, policy)
    gone = sorted(set(pool.cards) - {card.card for card in cards})
    unjudged = [card.card for card in cards if card.card in pool.cards and not card.passed + card.failed]
    if gone or len(unjudged) > policy.max_unjudged * len(pool.cards):
        names = [*gone, *unjudged]
        sentence = f"{plural(len(names), 'cards')} of the accepted runs were not judged here: {listing(names)}."
        return replace(blank, state="invalid", sentence=sentence, cards=names)
    return None


def _mean_guard(blank: GateResult, cards: Sequence[Compared], pool: Pool, policy: Policy) -> GateResult:
    """Guard A: non-inferiority on the mean over cards of the difference of pass rates, cards as units."""
    margin = blank.threshold
    delta = mean_estimate([card.rate - card.base.rate for card in cards], planned=len(pool.cards), confidence=policy.confidence)
    here = mean_estimate([card.rate for card in cards], planned=len(pool.cards), confidence=policy.confidence)
    state: GateState = non_inferior(delta, margin)
    facing = delta.high if state == "fail" else delta.low
    bound = f"{'at best' if state == 'fail' else 'at worst'} {change(facing, 'share')}"
    sentence = (
        f"{change(delta.value, 'share')} against {plural(pool.runs, 'accepted runs')} over {plural(len(cards), 'cards')}, {bound}; "
        f"a drop of {change(margin, 'share').lstrip('+')} is allowed."
    )
    more = _more_repeats(cards, delta, margin) if state == "inconclusive" else None
    if state == "inconclusive":
        sentence += (
            f" About {plural(more, 'more repeats')} of each card would decide." if more else " It takes more cards to decide."
        )
    return replace(blank, state=state, sentence=sentence, estimate=delta, measured=here, more_needed=more)


def _more_repeats(cards: Sequence[Compared], delta: Estimate, margin: float) -> int | None:
    """Repeats to add to each card so that the bound clears the margin at the difference seen so far; null when none would.

    The variance of the differences is split into what repeats reduce, the mean of p (1 - p) / (K - 1), and the rest.
    """
    if delta.value is None or delta.low is None or any(card.judged < 2 for card in cards):
        return None
    n, repeats = len(cards), sum(card.judged for card in cards) / len(cards)
    t = float(special.stdtrit(n - 1, delta.confidence))
    seen = ((delta.value - delta.low) / t) ** 2 * n
    within = sum(card.rate * (1 - card.rate) / (card.judged - 1) for card in cards) / n
    spare = ((delta.value + margin) / t) ** 2 * n - max(0.0, seen - within)
    if spare <= 0 or within / spare * repeats > MOST_REPEATS:
        return None
    return max(1, ceil(repeats * within / spare - repeats))


def _card_guard(blank: GateResult, cards: Sequence[Compared], pool: Pool, waived: Waived) -> GateResult:
    """Guard B: each card's passes against the pooled ones, Fisher's exact test one-sided, Holm over cards."""
    alpha, by_name = blank.threshold, {card.card: card for card in cards}
    adjusted = holm({card.card: _p_value(card, card.passed, pool) for card in cards})
    worse = sorted((name for name, p in adjusted.items() if p <= alpha), key=lambda name: (adjusted[name], name))
    told = "; ".join(_told(by_name[name]) for name in worse[:_NAMED])
    if worse:
        more = f" and {count(len(worse) - _NAMED)} more" if len(worse) > _NAMED else ""
        open_ones = [name for name in worse if name not in waived.cards]
        if not open_ones:
            reasons = " ".join(waived.cards[name].sentence for name in worse)
            return replace(blank, state="waived", sentence=f"{reasons} Found: {told}{more}.", cards=worse)
        spared = len(worse) - len(open_ones)
        return replace(
            blank,
            state="fail",
            sentence=f"Worse than in {plural(pool.runs, 'accepted runs')}: {told}{more}.{f' Waived: {count(spared)}.' if spared else ''}",
            cards=open_ones,
        )
    nameable = sum(_p_value(card, 0, pool) * len(cards) <= alpha for card in cards)
    if not nameable:
        return replace(blank, state="no_baseline", sentence=_too_little(cards, pool, alpha))
    sentence = (
        f"None of {plural(len(cards), 'cards')} is worse than in {plural(pool.runs, 'accepted runs')} beyond chance ({share(alpha)} "
        f"over all); {count(nameable)} could have been named had they broken."
    )
    return replace(blank, state="pass", sentence=sentence)


def _p_value(card: Compared, passed: int, pool: Pool) -> float:
    """Chance of so few passes if the card were as good as before. A deterministic target that always passed leaves none."""
    base_k, base_n = card.base_counts
    if pool.deterministic:
        return 0.0 if base_k == base_n and passed < card.judged else 1.0
    return fisher_less(passed, card.judged, base_k, base_n)


def _told(card: Compared) -> str:
    base_k, base_n = card.base_counts
    return f"{card.card} passed {count(card.passed)} of {count(card.judged)}, before {count(base_k)} of {count(base_n)}"


def _too_little(cards: Sequence[Compared], pool: Pool, alpha: float) -> str:
    """How many accepted runs it takes until a card that always passed could be named."""
    lead = "Too few repeats to name a card that broke"
    if not cards:
        return f"{lead}: no card is known to the accepted runs."
    judged = min(card.judged for card in cards)
    wanted = next((n for n in range(1, MOST_REPEATS) if fisher_less(0, judged, n, n) * len(cards) <= alpha), None)
    runs = ceil(wanted / max(1.0, min(card.base.judged for card in cards) / pool.runs)) if wanted else 0
    if runs <= pool.runs:
        return f"{lead}; play each card more often than {plural(judged, 'times').replace('1 time', 'once')}."
    return f"{lead}: {plural(runs - pool.runs, 'more accepted runs')}, or more repeats of each card, would do."
