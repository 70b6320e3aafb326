"""The gate on critical cards: one failed repeat of one of them stops a release."""

from __future__ import annotations

from reports.format import count, listing, plural
from reports.gates.counting import CardCount, Counts
from reports.gates.verdict import GateResult, GateState
from reports.gates.waivers import Waived
from reports.records import Record

CRITICAL_GATE = "critical_cards"


def critical_gate(record: Record, counts: Counts, waived: Waived) -> GateResult:
    """Every repeat of every critical card passes; failed cards under a waiver count as waived, never as passed."""
    cards = [card for card in counts.cards if card.labels.get("severity") == "critical"]
    failed = [card for card in cards if card.failed and card.card not in waived.cards]
    spared = [card for card in cards if card.failed and card.card in waived.cards]
    unjudged = [card for card in cards if card.unjudged and not card.failed]
    state, sentence = _critical_state(record, cards, failed, unjudged)
    if spared and state == "pass":
        state = "waived"
        sentence = " ".join(f"{card.card} fails. {waived.cards[card.card].sentence}" for card in spared)
    elif spared:
        sentence += f" Waived: {listing([card.card for card in spared])}."
    return GateResult(
        id=CRITICAL_GATE,
        metric=CRITICAL_GATE,
        title="Critical cards pass every repeat",
        area="Answers",
        state=state,
        sentence=sentence,
        limit="all_repeats",
        threshold=float(len(cards)),
        bound="point",
        tiers=[record.tier],
        critical=True,
        why="One failure of a critical card stops a release, whatever the rates say.",
        cards=[card.card for card in failed or unjudged or spared],
    )


def _critical_state(
    record: Record, cards: list[CardCount], failed: list[CardCount], unjudged: list[CardCount]
) -> tuple[GateState, str]:
    if not cards:
        reason = record.not_measurable.get("cards")
        return "not_measured", f"No critical card was played{f': {reason}' if reason else ''}."
    if failed:
        first = failed[0]
        reason = next((check.reason for check in first.checks if not check.advisory and check.reason), "").rstrip(".")
        lead = f"Critical card {first.card} fails {count(first.failed)} of {plural(first.repeats, 'repeats')}"
        others = listing([card.card for card in failed[1:]])
        return "fail", f"{lead}{f': {reason}' if reason else ''}.{f' So do {others}.' if others else ''}"
    if unjudged:
        names = listing([card.card for card in unjudged])
        return "invalid", f"{count(len(unjudged))} of {plural(len(cards), 'critical cards')} could not be judged: {names}."
    return "pass", f"All {plural(len(cards), 'critical cards')} passed every repeat."
