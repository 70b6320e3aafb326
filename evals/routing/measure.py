"""Agent selection measured: decisions on labelled utterances, and the metrics and slots they give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evals.routing.data import LabelledConversation, Utterance
from evals.transcript import Turn
from reports.records import Estimate, Slot
from reports.statistics.proportions import clustered_rate
from reports.statistics.quantiles import quantile_estimate

_BINS = 10


class Decided(Protocol):
    @property
    def agent(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def duration_s(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One utterance and what the router made of it."""

    utterance: Utterance
    agent: str
    confidence: float
    duration_s: float

    @property
    def right(self) -> bool:
        return self.agent == self.utterance.agent


def route_all(utterances: Sequence[Utterance], decide: Callable[[str], Decided]) -> list[Outcome]:
    """Decide each utterance on its own, in order."""
    outcomes: list[Outcome] = []
    for utterance in utterances:
        decision = decide(utterance.text)
        outcomes.append(
            Outcome(utterance=utterance, agent=decision.agent, confidence=decision.confidence, duration_s=decision.duration_s)
        )
    return outcomes


def routing_metrics(outcomes: Sequence[Outcome], *, agents: Sequence[str], planned: int) -> dict[str, Estimate | None]:
    """Accuracy, recall and precision per agent (clustered by family), calibration error, abstention and decision time."""
    metrics: dict[str, Estimate | None] = {
        "routing.accuracy": _rate([(o.utterance.family or o.utterance.id, o.right) for o in outcomes], planned),
        "routing.abstention": _rate([(o.utterance.family or o.utterance.id, o.agent == "none") for o in outcomes], planned),
        "routing.ece": _calibration_error(outcomes),
        "routing.decide.p50_s": quantile_estimate([o.duration_s for o in outcomes], 0.5, planned=planned),
        "routing.decide.p99_s": quantile_estimate([o.duration_s for o in outcomes], 0.99, planned=planned),
    }
    for agent in agents:
        of_agent = [o for o in outcomes if o.utterance.agent == agent]
        to_agent = [o for o in outcomes if o.agent == agent]
        metrics[f"routing.recall.{agent}"] = _rate(
            [(o.utterance.family or o.utterance.id, o.right) for o in of_agent], len(of_agent)
        )
        metrics[f"routing.precision.{agent}"] = _rate(
            [(o.utterance.family or o.utterance.id, o.right) for o in to_agent], len(to_agent)
        )
    return metrics


def routing_slots(outcomes: Sequence[Outcome]) -> list[Slot]:
    return [
        Slot(
            slot_id=f"routing/{o.utterance.id}",
            suite="routing",
            card=o.utterance.id,
            repeat=0,
            evaluator="agent",
            state="pass" if o.right else "fail",
            reason=""
            if o.right
            else f"{o.utterance.text!r} went to {o.agent} ({o.confidence:.2f}), expected {o.utterance.agent}",
            stage=None if o.right else "routing",
            labels={"agent": o.utterance.agent, "family": o.utterance.family, "intent": o.utterance.intent or ""},
        )
        for o in outcomes
    ]


def conversation_slots(conversation: LabelledConversation, turns: Sequence[Turn]) -> list[Slot]:
    """One slot per labelled turn; a turn without an answer has the state `agent_error`."""
    slots: list[Slot] = []
    for number, labelled in enumerate(conversation.turns, start=1):
        turn = turns[number - 1] if number <= len(turns) else None
        right = turn is not None and turn.agent == labelled.agent
        state = "pass" if right else "agent_error" if turn is None or turn.error else "fail"
        slots.append(
            Slot(
                slot_id=f"routing/{conversation.id}/{number}",
                suite="routing",
                card=conversation.id,
                repeat=0,
                evaluator=f"turn {number}",
                state=state,
                reason=""
                if right
                else f"{labelled.text!r} went to {turn.agent if turn else 'nobody'}, expected {labelled.agent}",
                stage=None if right else "routing",
                labels={"agent": labelled.agent, "family": conversation.family or conversation.id},
            )
        )
    return slots


def conversation_metrics(slots: Sequence[Slot]) -> dict[str, Estimate | None]:
    """Accuracy by turn, clustered by conversation, and the share of conversations right throughout."""
    by_item: dict[str, list[bool]] = defaultdict(list)
    for slot in slots:
        by_item[slot.card].append(slot.state == "pass")
    return {
        "routing.conversations.accuracy": _rate([(slot.card, slot.state == "pass") for slot in slots], len(slots)),
        "routing.conversations.whole": _rate([(item, all(turns)) for item, turns in by_item.items()], len(by_item)),
    }


def confusion(outcomes: Sequence[Outcome], labels: Sequence[str]) -> dict[str, Any]:
    """`counts[i][j]`: utterances of `labels[i]` sent to `labels[j]`."""
    place = {label: index for index, label in enumerate(labels)}
    counts = [[0] * len(labels) for _ in labels]
    for outcome in outcomes:
        counts[place[outcome.utterance.agent]][place[outcome.agent]] += 1
    return {"labels": list(labels), "counts": counts}


def reliability(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Equal-width bins of confidence with the accuracy inside each; an empty bin has null figures."""
    bins: list[list[Outcome]] = [[] for _ in range(_BINS)]
    for outcome in outcomes:
        bins[min(_BINS - 1, int(outcome.confidence * _BINS))].append(outcome)
    return [
        {
            "low": index / _BINS,
            "high": (index + 1) / _BINS,
            "n": len(members),
            "accuracy": sum(o.right for o in members) / len(members) if members else None,
            "confidence": sum(o.confidence for o in members) / len(members) if members else None,
        }
        for index, members in enumerate(bins)
    ]


def _calibration_error(outcomes: Sequence[Outcome]) -> Estimate | None:
    """Expected calibration error over equal-width bins (Naeini et al. 2015): a description, so without bounds."""
    if not outcomes:
        return None
    total = sum(row["n"] * abs(row["accuracy"] - row["confidence"]) for row in reliability(outcomes) if row["n"])
    n = len(outcomes)
    return Estimate(
        value=total / n,
        low=None,
        high=None,
        k=None,
        n=n,
        planned=n,
        confidence=0.95,
        method="expected calibration error, 10 bins",
    )


def _rate(trials: Sequence[tuple[str, bool]], planned: int) -> Estimate | None:
    if not trials:
        return None
    groups: Mapping[str, list[bool]] = _grouped(trials)
    return clustered_rate([(sum(members), len(members)) for members in groups.values()], planned=planned)


def _grouped(trials: Sequence[tuple[str, bool]]) -> dict[str, list[bool]]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for family, right in trials:
        groups[family].append(right)
    return groups
