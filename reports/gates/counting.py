"""Slots counted into repeats, cards and suites, in one pass over the stream."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from reports.gates.verdict import FailedCheck
from reports.records import FAILED_STATES, UNJUDGED_STATES, Slot, Stage

ANSWERED_STATES = frozenset({"pass", "fail"})
PLAYED_SUITES = frozenset({"cards", "load"})


@dataclass(frozen=True, kw_only=True)
class CardCount:
    """Repeats of one card: `passed + failed + unjudged == repeats`. `checks` are its slots that did not pass."""

    card: str
    labels: Mapping[str, str]
    repeats: int
    passed: int
    failed: int
    unjudged: int
    stages: Mapping[Stage, int]
    checks: list[FailedCheck]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """`suites` maps suite to planned, passed, failed and unjudged repeats; `states` to slots by state. `answered` is false when
    the played suites hold slots and not one of them judged an answer; null when nothing was played. `duplicates` is how many slots
    have the id of another."""

    suites: Mapping[str, Mapping[str, int]]
    states: Mapping[str, Mapping[str, int]]
    cards: list[CardCount]
    stages: Mapping[Stage, int]
    answered: bool | None
    duplicates: int = 0


class _Card:
    def __init__(self, slot: Slot) -> None:
        self.labels = slot.labels
        self.repeats: dict[int, str] = {}
        self.stages: Counter[Stage] = Counter()
        self.checks: list[FailedCheck] = []

    def add(self, slot: Slot) -> None:
        before = self.repeats.setdefault(slot.repeat, "passed")
        if not slot.advisory:
            self.repeats[slot.repeat] = _worse(before, slot)
            if slot.state in FAILED_STATES and slot.stage:
                self.stages[slot.stage] += 1
        if slot.suite == "cards" and slot.state != "pass":
            self.checks.append(_check(slot))

    def count(self, card: str) -> CardCount:
        totals = Counter(self.repeats.values())
        return CardCount(
            card=card,
            labels=self.labels,
            repeats=len(self.repeats),
            passed=totals["passed"],
            failed=totals["failed"],
            unjudged=totals["unjudged"],
            stages=dict(self.stages),
            checks=sorted(self.checks, key=lambda check: (check.repeat, check.advisory, check.evaluator)),
        )


def _worse(before: str, slot: Slot) -> str:
    """One failed slot fails the repeat even where another could not be judged."""
    if before == "failed" or slot.state in FAILED_STATES:
        return "failed"
    return "unjudged" if slot.state in UNJUDGED_STATES else before


def _check(slot: Slot) -> FailedCheck:
    return FailedCheck(
        evaluator=slot.evaluator,
        repeat=slot.repeat,
        state=slot.state,
        reason=slot.reason,
        stage=slot.stage,
        advisory=slot.advisory,
        expected=slot.expected,
        got=slot.got,
    )


def count_slots(slots: Iterable[Slot]) -> Counts:
    """Count a stream of slots; only the cards suite keeps its failed checks."""
    units: dict[tuple[str, str], _Card] = {}
    states: dict[str, Counter[str]] = {}
    ids = array("q")
    for slot in slots:
        ids.append(hash(slot.slot_id))
        units.setdefault((slot.suite, slot.card), _Card(slot)).add(slot)
        states.setdefault(slot.suite, Counter())[slot.state] += 1
    suites: dict[str, Counter[str]] = {}
    stages: Counter[Stage] = Counter()
    cards: list[CardCount] = []
    for (suite, card), unit in units.items():
        counted = unit.count(card)
        total = suites.setdefault(suite, Counter(planned=0, passed=0, failed=0, unjudged=0))
        total.update(planned=counted.repeats, passed=counted.passed, failed=counted.failed, unjudged=counted.unjudged)
        stages.update(counted.stages)
        if suite == "cards":
            cards.append(counted)
    played = [states[suite] for suite in PLAYED_SUITES if suite in states]
    answered = any(state in ANSWERED_STATES for counter in played for state in counter) if played else None
    return Counts(
        suites={suite: dict(total) for suite, total in suites.items()},
        states={suite: dict(total) for suite, total in states.items()},
        cards=sorted(cards, key=lambda count: count.card),
        stages=dict(stages),
        answered=answered,
        duplicates=len(ids) - len(np.unique(np.frombuffer(ids, dtype=np.int64))) if ids else 0,
    )
