"""A card may gate only when its reference passes every check and its sabotage fails the one it names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from evals.cards import Card
from evals.catalog import nearest, unknown_names
from evals.evaluators.table import CHECK_NAMES, checks_for, measurable
from evals.experiment import judge
from evals.plan import PlannedPlay
from evals.simulation.faults import tree_faults
from evals.targets.inprocess import PackFacts
from evals.targets.scripted import ALL_VISIBLE, sabotage_of, scripted_transcript


def card_faults(cards: Sequence[Card], facts: PackFacts, today: date) -> list[str]:
    """Everything that is wrong with the cards of a pack, one line each. A known issue holds to the end of its last day."""
    faults = unknown_names(cards, agents=facts.agents, tools=facts.tools, documents=facts.documents)
    faults += [
        f"card {card.id}: field `known_issue.expires`: {issue.expires} is past; ask {issue.owner}, then renew or remove it"
        for card in cards
        if (issue := card.known_issue) is not None and issue.expires < today
    ]
    for card in cards:
        faults += solution_faults(card)
    return faults


def solution_faults(card: Card) -> list[str]:
    """Lines that say where the reference fails or the sabotage goes unnoticed."""
    play = PlannedPlay(card=card, repeat=0, checks=[check for check in checks_for(card) if measurable(check, ALL_VISIBLE)])
    failed = [slot for slot in judge(play, scripted_transcript(card, card.reference)) if slot.state != "pass"]
    faults = [f"card {card.id}: reference fails `{slot.evaluator}`: {slot.reason}" for slot in failed]
    faults += _unspoken(card)
    faults += [f"card {card.id}: field `goal.tree`: {fault}" for fault in tree_faults(card)]
    names = [*CHECK_NAMES, *(check.name for check in play.checks if check.name not in CHECK_NAMES)]
    if card.sabotage.fails not in names:
        return [
            *faults,
            f"card {card.id}: field `sabotage.fails`: unknown {card.sabotage.fails!r}{nearest(card.sabotage.fails, names)}",
        ]
    caught = {slot.evaluator for slot in judge(play, scripted_transcript(card, sabotage_of(card))) if slot.state != "pass"}
    if card.sabotage.fails not in caught:
        faults.append(
            f"card {card.id}: sabotage is not caught by `{card.sabotage.fails}` (caught by: {', '.join(sorted(caught)) or 'nothing'})"
        )
    return faults


def _unspoken(card: Card) -> list[str]:
    """Reference turns that the simulated user never comes to: they prove nothing."""
    played = len(scripted_transcript(card, card.reference).turns)
    if card.goal is None or played == len(card.reference.turns):
        return []
    return [f"card {card.id}: reference has {len(card.reference.turns)} turns, the simulated user stops after {played}"]
