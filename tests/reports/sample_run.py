"""Builds a run folder with invented evidence: `python tests/reports/sample_run.py OUT [pass|fail|inconclusive|invalid]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reports.gates.decide import decide
from reports.gates.policy import read_policy
from reports.gates.verdict import Verdict, write_verdict
from reports.records import Estimate, Provenance, Record, Slot, read_slots, write_record, write_slots
from reports.statistics.proportions import clopper_pearson, wilson
from reports.statistics.quantiles import quantile_estimate

ROOT = Path(__file__).resolve().parents[2]
AGENTS = ["equipment", "safety", "operations", "training", "general"]
CARDS = 60


def exact(value: float, n: int = 1) -> Estimate:
    return Estimate(value=value, low=None, high=None, k=None, n=n, planned=n, confidence=0.95, method="count")


def times(p95_s: float, n: int = 600) -> Estimate:
    return quantile_estimate([p95_s * (0.4 + 0.6 * i / (0.95 * n)) for i in range(1, n + 1)], 0.95, planned=n)


def good_metrics() -> dict[str, Estimate | None]:
    return {
        "cards.pass_rate": wilson(CARDS, CARDS),
        "cards.safety.pass_rate": wilson(12, 12),
        "cards.tool_success": wilson(180, 180),
        "cards.unjudged_share": wilson(0, CARDS),
        "routing.accuracy": wilson(1115, 1139),
        **{f"routing.recall.{agent}": wilson(220, 228) for agent in AGENTS},
        "routing.conversations.accuracy": wilson(236, 240),
        "routing.ece": exact(0.012, 1139),
        "load.response.p95_s": times(1.42),
        "load.ttft.p95_s": times(0.51),
        "load.error_rate": clopper_pearson(1, 600),
        "load.correct_rate": wilson(590, 600),
        "load.correct_goodput_per_s": exact(5.79, 600),
        "load.throughput_per_s": exact(5.9, 600),
        "load.lost_turns": exact(0, 600),
        "load.server.peak_pss_bytes": exact(418e6, 120),
        "target.survived": exact(1),
        "turn.overhead.p95_s": times(0.0131),
        "turn.overhead.mean_s": replace(times(0.0091), method="t"),
        "turn.switch.p95_s": times(0.0082),
        "store.query.p95_s": times(0.0021),
        "store.load.p95_s": times(0.0034),
    }


def card_slots(cards: int = CARDS) -> list[Slot]:
    slots: list[Slot] = []
    for number in range(cards):
        severity = "critical" if number % 6 == 0 else "major" if number % 2 else "minor"
        agent = AGENTS[number % len(AGENTS)]
        labels = {"area": agent, "agent": agent, "severity": severity}
        for evaluator in ("agent", "tools", "must_say"):
            card = f"{agent}/card-{number:02d}"
            slots.append(
                Slot(
                    slot_id=f"{card}:0:{evaluator}",
                    suite="cards",
                    card=card,
                    repeat=0,
                    evaluator=evaluator,
                    state="pass",
                    labels=labels,
                )
            )
    return slots


def change_card(slots: Iterable[Slot], card: str, evaluator: str, **changes: Any) -> list[Slot]:
    """The slots with one evaluator of one card changed."""
    return [replace(s, **changes) if (s.card, s.evaluator) == (card, evaluator) else s for s in slots]


def counted(slots: Iterable[Slot]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for slot in slots:
        row = counts.setdefault(slot.suite, {})
        row[slot.state] = row.get(slot.state, 0) + 1
    return counts


def make_record(slots: Iterable[Slot] = (), metrics: Mapping[str, Estimate | None] | None = None, **changes: Any) -> Record:
    record = Record(
        run_id="5d1e07b2",
        created_at="2026-11-12T02:41:00+00:00",
        tier="pr",
        pack="qsr",
        target="inprocess:qsr",
        provenance=Provenance(
            commit="7f3c9d1e5a20b4c6d8e0f1a2b3c4d5e6f7a8b9c0",
            dirty=False,
            versions={"python": "3.11.9", "assay": "0.1.0", "pydantic-ai": "2.62.0"},
            seeds={"plan": 20261112},
            digests={"policy": "sha256:1c0f", "cards": "sha256:9ab4"},
            machine={"system": "Linux", "cpu": "16 × x86_64", "memory_gb": "64"},
            model="embedded",
            load={"profile": "pr", "users": "20", "model": "paced:300ms+20ms"},
        ),
        slot_counts=counted(slots),
        metrics=dict(good_metrics() if metrics is None else metrics),
        not_measurable={"citations": "an OpenAI endpoint shows no citations"},
        broken=[],
        durations_s={"cards": 14.2, "routing": 9.1, "load": 124.0},
        tables=sample_tables(),
    )
    return replace(record, **changes)


def sample_tables() -> dict[str, Any]:
    diagonal = [[220 if r == c else 2 for c in range(5)] for r in range(5)]
    return {
        "confusion": {"labels": AGENTS, "counts": diagonal},
        "mistakes": [{"text": "the fryer smells of gas", "expected": "safety", "got": "equipment", "confidence": 0.91}],
        "reliability": [
            {"low": c, "high": c + 0.1, "confidence": c + 0.05, "accuracy": c + 0.04, "n": round(900 * c**3)}
            for c in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
        ],
        "load_series": [
            {
                "t_s": t,
                "due": 6,
                "answered": 5 + t % 3,
                "correct": 5 + t % 3 - (t % 17 == 0),
                "errors": int(t == 61),
                "in_flight": 8.0,
                "response_p50_s": 0.8,
                "response_p95_s": None if t == 40 else 1.2 + 0.01 * (t % 30),
            }
            for t in range(120)
        ],
        "latency": {
            "response_s": {
                "rows": [[0.1 * i, 0.1 * (i + 1), 40 - abs(8 - i) * 4] for i in range(2, 16)],
                "infinite": 1,
                "count": 369,
            },
            "ttft_s": {"rows": [[0.05 * i, 0.05 * (i + 1), 60] for i in range(2, 8)], "infinite": 0, "count": 360},
        },
        "load": {"turns": {"planned": 600, "played": 600, "answered": 599}, "errors": {"timeout": 1}},
        "stages": {"model_s": 0.74, "tools_s": 0.03, "overhead_s": 0.0091},
        "cards": [
            {
                "card": "equipment/card-00",
                "title": "Ice machine makes no ice",
                "area": "equipment",
                "severity": "critical",
                "agent": "equipment",
                "requires": "",
                "known_issue": None,
            },
            {
                "card": "training/card-03",
                "title": "Explain a long recipe",
                "area": "training",
                "severity": "major",
                "agent": "training",
                "requires": "llm",
                "known_issue": None,
            },
        ],
    }


def sample_transcript(card: str, repeat: int = 0) -> dict[str, Any]:
    return {
        "card": card,
        "repeat": repeat,
        "thread_id": "t-1",
        "sandbox": None,
        "turns": [
            {
                "user": "grilled chicken goes in the hot holding cabinet, what temp must it reach first?",
                "text": "Bring it to at least 145 °F for 15 seconds. [reheating#2]",
                "agent": "safety",
                "outcome": "answered",
                "route": {
                    "agent": "safety",
                    "confidence": 0.97,
                    "stage": "head",
                    "intent": "reheat",
                    "duration_s": 0.0017,
                    "alternatives": [{"agent": "operations", "probability": 0.02}],
                },
                "tool_calls": [
                    {
                        "tool": "holding_limits",
                        "arguments": {"food": "grilled chicken"},
                        "ok": True,
                        "result": {"group": "whole-cut meat", "min_f": 145},
                        "duration_s": 0.0031,
                    }
                ],
                "citations": [{"document": "reheating", "passage": "2", "title": "Reheating", "quote": "165 °F", "exists": True}],
                "usage": {"model": "embedded", "input_tokens": 212, "output_tokens": 31, "model_calls": 2, "cost_usd": None},
                "timings": {"route_s": 0.0017, "model_s": 0.4, "tools_s": 0.0031, "overhead_s": 0.009, "total_s": 0.42},
                "duration_s": 0.42,
                "error": None,
            }
        ],
        "state": None,
        "visible": {"route": True, "tools": True, "citations": True, "state": True},
    }


def failing_slots() -> list[Slot]:
    slots = change_card(
        card_slots(),
        "equipment/card-00",
        "must_say",
        state="fail",
        stage="tool",
        reason="the answer says 145 °F where 165 °F is required",
        expected="165 °F",
        got="145 °F",
    )
    slots = change_card(
        slots,
        "training/card-03",
        "agent",
        state="fail",
        stage="routing",
        reason="routed to safety, wanted training",
        expected="training",
        got="safety",
    )
    return change_card(slots, "training/card-03", "must_say", state="fail", stage="routing", reason="asks about gloves")


def build(folder: Path, kind: str = "fail", policy: str = "pr") -> Verdict:
    """Write a whole run folder (without the rendered files) and return its verdict."""
    folder.mkdir(parents=True, exist_ok=True)
    metrics = good_metrics()
    slots = card_slots()
    broken: list[str] = []
    if kind == "fail":
        slots = failing_slots()
        metrics |= {
            "cards.pass_rate": wilson(CARDS - 2, CARDS),
            "turn.switch.p95_s": times(0.0238),
            "load.response.p95_s": times(1.97, 100),
        }
    elif kind == "inconclusive":
        metrics["routing.accuracy"] = wilson(1090, 1139)
    elif kind == "invalid":
        broken = ["The load generator fell behind: 31 % of turns were sent late"]
    record = make_record(slots, metrics, broken=broken)
    write_record(folder, record)
    write_slots(folder / "slots.jsonl", slots)
    with (folder / "transcripts.jsonl").open("w", encoding="utf-8") as file:
        for card in sorted({slot.card for slot in slots}):
            file.write(json.dumps(sample_transcript(card)) + "\n")
    verdict = decide(record, read_slots(folder / "slots.jsonl"), read_policy(ROOT / f"datasets/gates/{policy}.yaml"))
    write_verdict(folder, verdict)
    return verdict


def main() -> None:
    from reports.render import render_run

    folder = Path(sys.argv[1])
    build(folder, *sys.argv[2:4])
    render_run(folder)


if __name__ == "__main__":
    main()
