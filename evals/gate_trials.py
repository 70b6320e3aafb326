"""The gate tested by its own verdicts: the same evidence drawn anew must not fail, a planted regression must not pass.

A draw moves every metric by what chance could have moved it: a normal deviate with the standard deviation its interval implies
((high - low) / (2 * 1.645) for two one-sided 95 % bounds), times on a logarithmic scale, shares kept within 0 and 1. Cards are left as
they were played. That is a parametric bootstrap: it asks how the gate treats chance, not whether the intervals are right.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from evals.scoring import card_metrics
from reports.gates.decide import decide
from reports.gates.policy import Policy
from reports.gates.verdict import VerdictWord
from reports.history import History
from reports.records import Estimate, Record, Slot

Z_95 = 1.6449
Evidence = tuple[Record, list[Slot]]
Plant = Callable[[Record, list[Slot]], Evidence]


@dataclass(frozen=True, kw_only=True)
class GateTrial:
    """What the gate said of `name` in `draws` draws. `wanted`: the verdicts that are right."""

    name: str
    wanted: tuple[VerdictWord, ...]
    verdicts: Mapping[str, int]
    draws: int

    @property
    def wrong(self) -> float:
        """Share of draws with another verdict: false alarms of the unchanged build, misses of a planted regression."""
        return 1.0 - sum(self.verdicts.get(word, 0) for word in self.wanted) / self.draws


def gate_trials(evidence: Evidence, policy: Policy, history: History, *, draws: int, seed: int) -> list[GateTrial]:
    """Judge `draws` draws of the unchanged run and of each planted regression. Pure for a seed."""
    trials: list[GateTrial] = []
    for number, (name, wanted, plant) in enumerate(PLANTS):
        random = np.random.default_rng([seed, number])
        counted = Counter(_verdict(_drawn(plant(*evidence), random), policy, history) for _ in range(draws))
        trials.append(GateTrial(name=name, wanted=wanted, verdicts=dict(counted), draws=draws))
    return trials


def _verdict(evidence: Evidence, policy: Policy, history: History) -> VerdictWord:
    record, slots = evidence
    return decide(record, slots, policy, history=history).verdict


def _drawn(evidence: Evidence, random: np.random.Generator) -> Evidence:
    record, slots = evidence
    metrics = {name: _moved(name, estimate, random) for name, estimate in record.metrics.items()}
    return replace(record, metrics=metrics), slots


def _moved(name: str, estimate: Estimate | None, random: np.random.Generator) -> Estimate | None:
    """Metrics of cards stay: their slots, which are judged beside them, are not drawn."""
    if estimate is None or estimate.value is None or name.startswith("cards."):
        return estimate
    low, high = estimate.low, estimate.high
    if low is None or high is None or high <= low:
        return estimate
    deviate = float(random.standard_normal())
    if name.endswith("_s") and low > 0:
        return _scaled(estimate, math.exp(deviate * math.log(high / low) / (2 * Z_95)))
    return _shifted(estimate, deviate * (high - low) / (2 * Z_95))


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    return replace(estimate, **{part: _times(getattr(estimate, part), factor) for part in ("value", "low", "high")})


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _shifted(estimate: Estimate, by: float) -> Estimate:
    """Shares stay within 0 and 1."""
    most = 1.0 if estimate.value is not None and 0.0 <= estimate.value <= 1.0 else math.inf
    parts = {part: getattr(estimate, part) for part in ("value", "low", "high")}
    return replace(
        estimate, **{part: None if value is None else min(most, max(0.0, value + by)) for part, value in parts.items()}
    )


def _unchanged(record: Record, slots: list[Slot]) -> Evidence:
    return record, slots


def _worse_routing(record: Record, slots: list[Slot]) -> Evidence:
    """Six points off every share of agent selection."""
    metrics = {
        name: _shifted(estimate, -0.06) if estimate and name.startswith(("routing.accuracy", "routing.recall")) else estimate
        for name, estimate in record.metrics.items()
    }
    return replace(record, metrics=metrics), slots


def _slower(record: Record, slots: list[Slot]) -> Evidence:
    """A fifth more time in every answer under load and in the assistant's own work."""
    metrics = {
        name: _scaled(estimate, 1.2) if estimate and name.startswith(("load.response", "load.ttft", "turn.")) else estimate
        for name, estimate in record.metrics.items()
    }
    return replace(record, metrics=metrics), slots


def _leaking(record: Record, slots: list[Slot]) -> Evidence:
    name = "load.server.peak_pss_bytes"
    estimate = record.metrics.get(name)
    return replace(record, metrics={**record.metrics, name: _scaled(estimate, 3.0) if estimate else None}), slots


def _wrong_answers(record: Record, slots: list[Slot]) -> Evidence:
    """Every fifth card fails one check."""
    cards = sorted({slot.card for slot in slots if slot.suite == "cards"})
    return _with_cards(record, _failing(slots, set(cards[::5])))


def _one_wrong_critical(record: Record, slots: list[Slot]) -> Evidence:
    critical = sorted({slot.card for slot in slots if slot.suite == "cards" and slot.labels.get("severity") == "critical"})
    return _with_cards(record, _failing(slots, set(critical[:1])))


def _dropped_case(record: Record, slots: list[Slot]) -> Evidence:
    """A card vanishes from the evidence; what was planned stays written in the record."""
    lost = min((slot.card for slot in slots if slot.suite == "cards"), default="")
    return record, [slot for slot in slots if slot.suite != "cards" or slot.card != lost]


def _dead_target(record: Record, slots: list[Slot]) -> Evidence:
    dead = [replace(slot, state="infra_error", stage="network") for slot in slots]
    counts: dict[str, dict[str, int]] = {}
    for slot in dead:
        counts.setdefault(slot.suite, {}).setdefault(slot.state, 0)
        counts[slot.suite][slot.state] += 1
    return replace(_with_cards(record, dead)[0], slot_counts=counts), dead


def _failing(slots: list[Slot], cards: set[str]) -> list[Slot]:
    left = set(cards)
    changed: list[Slot] = []
    for slot in slots:
        hit = slot.suite == "cards" and slot.card in left and not slot.advisory
        left -= {slot.card} if hit else set()
        changed.append(replace(slot, state="fail", stage="model", reason="planted") if hit else slot)
    return changed


def _with_cards(record: Record, slots: list[Slot]) -> Evidence:
    """The record with its card metrics and counts made anew from `slots`."""
    cards = [slot for slot in slots if slot.suite == "cards"]
    counts = dict(Counter(slot.state for slot in cards))
    metrics = {**record.metrics, **card_metrics(cards)} if cards else record.metrics
    return replace(record, metrics=metrics, slot_counts={**record.slot_counts, "cards": counts}), slots


_STOPPED: tuple[VerdictWord, ...] = ("fail", "inconclusive", "invalid")
PLANTS: tuple[tuple[str, tuple[VerdictWord, ...], Plant], ...] = (
    ("unchanged build", ("pass", "inconclusive"), _unchanged),
    ("agent selection 6 points worse", _STOPPED, _worse_routing),
    ("every fifth card wrong", ("fail",), _wrong_answers),
    ("one critical card wrong", ("fail",), _one_wrong_critical),
    ("20 % slower", _STOPPED, _slower),
    ("three times the memory", ("fail",), _leaking),
    ("a card dropped from the evidence", ("invalid",), _dropped_case),
    ("target dead", ("invalid", "fail"), _dead_target),
)
