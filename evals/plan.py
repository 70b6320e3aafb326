"""Slots before anything is played: the denominator of a run, fixed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.cards import Card
from evals.evaluators.table import Check, checks_for, measurable
from evals.transcript import Visible
from reports.records import Slot, SlotState, Stage

FAULTS = "faults"


@dataclass(frozen=True, kw_only=True)
class PlannedPlay:
    """One card, one repeat, and the checks this target can show."""

    card: Card
    repeat: int
    checks: Sequence[Check]

    @property
    def key(self) -> tuple[str, int]:
        return self.card.id, self.repeat


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`not_measurable`: check name -> why this target cannot show it, with the cards concerned. Such checks are no slots."""

    plays: Sequence[PlannedPlay]
    not_measurable: Mapping[str, str]

    @property
    def slot_count(self) -> int:
        return sum(len(play.checks) for play in self.plays)


def plan_cards(cards: Sequence[Card], *, repeats: int, visible: Visible, llm: bool) -> Plan:
    """Plan every card `repeats` times. Left out, and listed, are cards that require an LLM when `llm` is false, and cards with faults on a
    target without sandboxes: it cannot be given any.
    """
    hidden: dict[str, list[str]] = {}
    plays: list[PlannedPlay] = []
    for card in cards:
        if card.requires == "llm" and not llm:
            hidden.setdefault("requires: llm", []).append(card.id)
            continue
        if card.faults and not visible.state:
            hidden.setdefault(FAULTS, []).append(card.id)
            continue
        checks = checks_for(card)
        shown = [check for check in checks if measurable(check, visible)]
        for check in checks:
            if check not in shown:
                hidden.setdefault(check.name, []).append(card.id)
        plays += [PlannedPlay(card=card, repeat=repeat, checks=shown) for repeat in range(repeats)]
    return Plan(plays=plays, not_measurable={name: _why(name, ids) for name, ids in hidden.items()})


def slot_for(play: PlannedPlay, check: Check, state: SlotState, reason: str = "", *, stage: Stage | None = None) -> Slot:
    card = play.card
    agents = sorted({agent for turn in card.turns for agent in _agents(turn.expect.agent)})
    return Slot(
        slot_id=f"cards/{card.id}/{play.repeat}/{check.name}",
        suite="cards",
        card=card.id,
        repeat=play.repeat,
        evaluator=check.name,
        state=state,
        advisory=check.advisory,
        reason=reason,
        stage=stage,
        labels={
            "area": card.area,
            "severity": card.severity,
            "agent": "+".join(agents),
            "title": card.title,
            **_weight(card),
            **check.labels,
        },
    )


def _weight(card: Card) -> dict[str, str]:
    return {} if card.weight == 1 else {"weight": f"{card.weight:g}"}


def _agents(expected: str | list[str] | None) -> list[str]:
    return [] if expected is None else [expected] if isinstance(expected, str) else expected


def _why(name: str, ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
    if name == "requires: llm":
        return f"{len(ids)} cards need a language model: {shown}"
    if name == FAULTS:
        return f"this target has no sandbox to plant faults in ({len(ids)} cards: {shown})"
    if name.startswith("judge:"):
        return f"no judge is named; give --judge MODEL ({len(ids)} cards: {shown})"
    return f"this target does not show what `{name}` needs ({len(ids)} cards: {shown})"
