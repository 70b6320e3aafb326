"""Everything that is said about a router's choices on a labelled set, as one JSON object."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evals.routing.classes import class_scores, confusion_table, macro_f1
from evals.routing.judged import Judged
from evals.routing.outofscope import REJECTED, auroc, recall_at, risk_coverage, threshold_at
from reports.records import Estimate
from reports.statistics.proportions import clustered_rate, wilson
from reports.statistics.quantiles import quantile_estimate

BINS = 10
WORST = 20
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Trial = tuple[Judged, str, float | None]
"""A text, the label chosen for it and the probability of that."""


def describe(judged: Sequence[Judged], outside: Sequence[Judged], labels: Sequence[str]) -> dict[str, Any]:
    """The fields of `assay routing --json` that come from choices. `outside` are further texts that nobody should answer.

    `accuracy` lets the router abstain and counts `none` as a class where `judged` holds `none`; else it is the forced choice.
    """
    abstaining = any(item.outside for item in judged)
    trials = [_settled(item) if abstaining else _forced(item) for item in judged]
    pairs = [(item.expected, chosen) for item, chosen, _ in trials]
    intents = [(item, item.row.intent == item.choice.intent) for item in judged if item.choice.intent and not item.outside]
    return {
        "accuracy": _plain(_rate([(item, item.expected == chosen) for item, chosen, _ in trials])),
        "variant": "abstaining" if abstaining else "forced",
        "accuracy_forced": _plain(_rate([(item, item.expected == item.choice.forced) for item in judged if not item.outside])),
        "accuracy_abstaining": _plain(_rate([(item, item.expected == item.choice.settled) for item in judged])),
        "abstention": _plain(_rate([(item, item.choice.settled == "none") for item in judged if not item.outside])),
        "intent_accuracy": _plain(_rate(intents)) if intents else None,
        "n": len(judged),
        "macro_f1": asdict(macro_f1(pairs, labels)),
        "classes": {
            label: {name: asdict(value) for name, value in row.items()} for label, row in class_scores(pairs, labels).items()
        },
        "confusion": confusion_table(pairs, labels),
        **_calibration(trials),
        "risk_coverage": risk_coverage([(p, item.expected == chosen) for item, chosen, p in trials if p is not None]),
        "oos": _out_of_scope(judged, outside),
        "latency": _latency([*judged, *outside]),
        "faults": sum(bool(item.choice.fault) for item in judged),
        "worst": _worst(trials),
        "items": [_item(*trial) for trial in trials],
    }


def _forced(item: Judged) -> Trial:
    return item, item.choice.forced, item.choice.confidence


def _settled(item: Judged) -> Trial:
    return item, item.choice.settled, item.choice.settled_confidence


def _rate(trials: Sequence[tuple[Judged, bool]]) -> Estimate:
    """Clustered by family where the test names families."""
    if not any(item.row.family for item, _ in trials):
        return wilson(sum(right for _, right in trials), len(trials))
    groups: dict[str, list[bool]] = defaultdict(list)
    for number, (item, right) in enumerate(trials):
        groups[item.row.family or f"\0{number}"].append(right)
    return clustered_rate([(sum(members), len(members)) for members in groups.values()])


def _plain(estimate: Estimate) -> dict[str, Any]:
    return asdict(estimate)


def _calibration(trials: Sequence[Trial]) -> dict[str, Any]:
    """Equal-width bins of the probability of the choice, and the expected calibration error over them (Naeini et al., AAAI 2015)."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for item, chosen, share in trials:
        if share is not None:
            bins[min(BINS - 1, int(share * BINS))].append((share, item.expected == chosen))
    told = sum(map(len, bins))
    if not told:
        return {"ece": None, "reliability": []}
    rows = [_bin(number, members) for number, members in enumerate(bins)]
    error = sum(row["n"] * abs(row["accuracy"] - row["confidence"]) for row in rows if row["n"]) / told
    method = f"expected calibration error, {BINS} bins"
    ece = Estimate(value=error, low=None, high=None, k=None, n=told, planned=len(trials), confidence=0.95, method=method)
    return {"ece": asdict(ece), "reliability": rows}


def _bin(number: int, members: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    n = len(members)
    return {
        "low": number / BINS,
        "high": (number + 1) / BINS,
        "n": n,
        "accuracy": sum(right for _, right in members) / n if n else None,
        "confidence": sum(share for share, _ in members) / n if n else None,
    }


def _out_of_scope(judged: Sequence[Judged], outside: Sequence[Judged]) -> dict[str, Any] | None:
    """Null without a text out of scope. Scores decide where the router tells them; abstentions always."""
    away = [*(item for item in judged if item.outside), *outside]
    within = [item for item in judged if not item.outside]
    if not away:
        return None
    inside_scores = [item.choice.scope for item in within if item.choice.scope is not None]
    outside_scores = [item.choice.scope for item in away if item.choice.scope is not None]
    scored = len(inside_scores) == len(within) > 0 and len(outside_scores) == len(away)
    return {
        "n": len(away),
        "auroc": asdict(auroc(inside_scores, outside_scores)) if scored else None,
        "recall_at_5_false_rejection": asdict(recall_at(inside_scores, outside_scores)) if scored else None,
        "threshold": threshold_at(inside_scores, REJECTED) if scored else None,
        "recall": asdict(wilson(sum(item.choice.settled == "none" for item in away), len(away))),
        "false_rejection": asdict(wilson(sum(item.choice.settled == "none" for item in within), len(within))),
    }


def _latency(items: Sequence[Judged]) -> dict[str, Any]:
    """Seconds by part, in the order in which the parts happen. A part that the router does not show is null."""
    parts = {
        "encode_s": [item.choice.encode_s for item in items],
        "head_s": [item.choice.head_s for item in items],
        "decide_s": [item.choice.total_s for item in items],
    }
    return {name: _quantiles([value for value in values if value is not None]) for name, values in parts.items()}


def _quantiles(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    return {name: asdict(quantile_estimate(values, q, planned=len(values))) for name, q in QUANTILES.items()}


def _worst(trials: Sequence[Trial]) -> list[Mapping[str, Any]]:
    """The wrong choices that the router was surest of."""
    wrong = [trial for trial in trials if trial[0].expected != trial[1]]
    wrong.sort(key=lambda trial: (-(trial[2] or 0.0), trial[0].row.text))
    return [_item(*trial) | {"text": trial[0].row.text[:400]} for trial in wrong[:WORST]]


def _item(item: Judged, chosen: str, share: float | None) -> dict[str, Any]:
    return {
        "id": item_id(item),
        "expected": item.expected,
        "got": chosen,
        "confidence": share,
        "right": item.expected == chosen,
    }


def item_id(item: Judged) -> str:
    """Names a text by its content, so that results on the same texts can be paired."""
    return hashlib.sha256(item.row.text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
