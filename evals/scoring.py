"""From slots and transcripts of cards to the metrics of a record. Cards are the unit: repeats of a card are one cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from evals.transcript import Transcript, Turn
from reports.records import FAILED_STATES, UNJUDGED_STATES, Estimate, Slot
from reports.statistics.means import mean_estimate, weighted_mean
from reports.statistics.proportions import clopper_pearson, clustered_rate
from reports.statistics.quantiles import quantile_estimate

Metrics = dict[str, Estimate | None]
Play = tuple[str, int]


def play_states(slots: Sequence[Slot]) -> dict[Play, str]:
    """`pass`, `fail` or `unjudged` per card and repeat: it passes when all its slots pass that are not advisory."""
    grouped: dict[Play, list[Slot]] = defaultdict(list)
    for slot in slots:
        if not slot.advisory:
            grouped[slot.card, slot.repeat].append(slot)
    return {play: _play_state(members) for play, members in grouped.items()}


def card_metrics(slots: Sequence[Slot]) -> Metrics:
    """Pass rates and scores in all, per area and per agent, and the share of plays left unjudged."""
    states = play_states(slots)
    labels = {(slot.card, slot.repeat): slot.labels for slot in slots}
    scores = card_scores(slots)
    by_card = {slot.card: slot.labels for slot in slots}
    metrics: Metrics = {"cards.pass_rate": _pass_rate(states), "cards.score": _score(scores, by_card, list(scores))}
    metrics["cards.unjudged_share"] = _share(sum(state == "unjudged" for state in states.values()), len(states))
    for area in sorted({row["area"] for row in labels.values()}):
        metrics[f"cards.{area}.pass_rate"] = _pass_rate({p: s for p, s in states.items() if labels[p]["area"] == area})
        metrics[f"cards.{area}.score"] = _score(scores, by_card, [card for card in scores if by_card[card]["area"] == area])
    agents = sorted({agent for row in labels.values() for agent in row["agent"].split("+") if agent})
    for agent in agents:
        metrics[f"cards.agent.{agent}.pass_rate"] = _pass_rate(
            {p: s for p, s in states.items() if agent in labels[p]["agent"].split("+")}
        )
        of_agent = [card for card in scores if agent in by_card[card]["agent"].split("+")]
        metrics[f"cards.agent.{agent}.score"] = _score(scores, by_card, of_agent)
    return metrics


def card_scores(slots: Sequence[Slot]) -> dict[str, float]:
    """Per card the share of its checks that pass, over all repeats. Advisory checks do not count; one that was not judged does not pass."""
    grouped: dict[str, list[bool]] = defaultdict(list)
    for slot in slots:
        if not slot.advisory:
            grouped[slot.card].append(slot.state == "pass")
    return {card: _mean(passed) for card, passed in grouped.items()}


def _score(scores: Mapping[str, float], labels: Mapping[str, Mapping[str, str]], cards: Sequence[str]) -> Estimate | None:
    """Mean of card scores by the cards' weights, cards as units."""
    if not cards:
        return None
    mean = weighted_mean([scores[card] for card in cards], [float(labels[card].get("weight", "1")) for card in cards])
    # The t interval knows nothing of the range of a score.
    return replace(mean, low=_within(mean.low), high=_within(mean.high))


def _within(bound: float | None) -> float | None:
    return None if bound is None else min(1.0, max(0.0, bound))


def turn_metrics(transcripts: Sequence[Transcript], *, faulted: frozenset[str]) -> Metrics:
    """Tool success and the assistant's own time, from what the target shows. Cards that inject faults do not count as tool failures."""
    turns = [turn for transcript in transcripts for turn in transcript.turns]
    calls = [call for t in transcripts if t.card not in faulted for turn in t.turns for call in turn.tool_calls]
    overhead = _timings(turns, "overhead_s")
    return {
        "cards.tool_success": _share(sum(call.ok is True for call in calls), len(calls)) if calls else None,
        "turn.overhead.p95_s": _quantile(overhead, 0.95),
        "turn.overhead.mean_s": mean_estimate(overhead) if overhead else None,
        "turn.route.p95_s": _quantile(_timings(turns, "route_s"), 0.95),
        "store.load.p95_s": _quantile(_timings(turns, "load_s"), 0.95),
        "store.query.p95_s": _quantile(_timings(turns, "store_s"), 0.95),
    }


def card_rows(slots: Sequence[Slot]) -> list[dict[str, Any]]:
    """One row per card for the report: plays passed of planned."""
    rows: dict[str, dict[str, Any]] = {}
    labels = {slot.card: slot.labels for slot in slots}
    for (card, _), state in play_states(slots).items():
        row = rows.setdefault(card, {"card": card, **labels[card], "passed": 0, "unjudged": 0, "planned": 0})
        row["planned"] += 1
        row["passed"] += state == "pass"
        row["unjudged"] += state == "unjudged"
    return sorted(rows.values(), key=lambda row: row["card"])


def stage_seconds(turns: Sequence[Turn]) -> dict[str, float]:
    """Mean seconds a turn spends per stage, of the turns that show it."""
    names = sorted({name for turn in turns for name in turn.timings})
    return {name: _mean([turn.timings[name] for turn in turns if name in turn.timings]) for name in names}


def _play_state(slots: Sequence[Slot]) -> str:
    if any(slot.state in FAILED_STATES for slot in slots):
        return "fail"
    return "unjudged" if any(slot.state in UNJUDGED_STATES for slot in slots) else "pass"


def _pass_rate(states: dict[Play, str]) -> Estimate | None:
    """Passed of planned: an unjudged play stays in the denominator and never counts as passed."""
    by_card: dict[str, list[str]] = defaultdict(list)
    for (card, _), state in states.items():
        by_card[card].append(state)
    groups = [(sum(state == "pass" for state in members), len(members)) for members in by_card.values()]
    return clustered_rate(groups, planned=len(states), most=len(groups)) if groups else None


def _share(k: int, n: int) -> Estimate | None:
    return clopper_pearson(k, n, planned=n) if n else None


def _quantile(values: Sequence[float], q: float) -> Estimate | None:
    return quantile_estimate(values, q, planned=len(values)) if values else None


def _timings(turns: Sequence[Turn], name: str) -> list[float]:
    read: Callable[[Turn], float] = lambda turn: turn.timings[name]  # noqa: E731
    return [read(turn) for turn in turns if name in turn.timings]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
