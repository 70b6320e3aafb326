"""The harness's own cost: `python tests/evals/benchmark_engine.py [CARDS] [SLOTS]`.

Trivial cards on a callable that answers at once, with the full journal, beside pydantic-evals' `Dataset.evaluate` on the same cards in the same
process, rounds in turn; DeepEval and Inspect after each round where ASSAY_PEERS_PYTHON names an interpreter that has them. Then a run of many slots: its memory, and how long it takes to resume when all is done.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Evaluator, EvaluatorContext

from evals.cards import Card
from evals.experiment import run_plan
from evals.journal import Journal
from evals.plan import Plan, plan_cards
from evals.transcript import Transcript, Turn, Visible

ROUNDS = 3


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def card(number: int) -> Card:
    return Card.model_validate(
        {
            "id": f"trivial-{number}",
            "title": "One answer",
            "area": "trivial",
            "turns": [{"user": f"question {number}", "expect": {"say": ["42"]}}],
            "reference": {"turns": [{"text": "It is 42."}]},
            "sabotage": {"fails": "say", "turns": {1: {"text": "It is not."}}},
        }
    )


class Answering:
    """Answers at once, so that all time is the harness's."""

    visible = Visible()
    deterministic = True

    async def play(self, card: Card, repeat: int) -> Transcript:
        turn = Turn(user=card.turns[0].user, text="It is 42.", duration_s=0.0)
        return Transcript(card=card.id, repeat=repeat, turns=[turn], visible=self.visible)


@dataclass
class Says42(Evaluator[str, str, None]):
    def evaluate(self, ctx: EvaluatorContext[str, str, None]) -> bool:
        return "42" in ctx.output


@dataclass
class NotEmpty(Evaluator[str, str, None]):
    def evaluate(self, ctx: EvaluatorContext[str, str, None]) -> bool:
        return bool(ctx.output.strip())


async def ours(plan: Plan, folder: Path) -> float:
    started = time.perf_counter()
    with Journal.open(folder, digest="benchmark") as journal:
        played = await run_plan(plan, Answering(), journal)
    assert all(slot.state == "pass" for slot in played.slots) and len(played.slots) == plan.slot_count
    return time.perf_counter() - started


async def theirs(cards: list[Card]) -> float:
    cases = [Case(name=card.id, inputs=card.turns[0].user) for card in cards]
    dataset = Dataset[str, str, None](name="trivial", cases=cases, evaluators=[Says42(), NotEmpty()])

    async def answer(_question: str) -> str:
        return "It is 42."

    started = time.perf_counter()
    report = await dataset.evaluate(answer, max_concurrency=4, progress=False)
    assert len(report.cases) == len(cards)
    return time.perf_counter() - started


def many(slots: int) -> None:
    """In a process of its own: 500 cards of two checks repeated until there are `slots` slots, then opened again."""
    cards = [card(number) for number in range(500)]
    plan = plan_cards(cards, repeats=slots // 1_000, visible=Answering.visible, llm=False)
    with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as scratch:
        played_s = asyncio.run(ours(plan, Path(scratch)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        started = time.perf_counter()
        with Journal.open(Path(scratch), digest="benchmark") as journal:
            assert len(asyncio.run(run_plan(plan, Answering(), journal)).slots) == slots
        resumed_s = time.perf_counter() - started
    say(f"{slots:,} slots: played {played_s:.1f} s, peak {peak:.0f} MB, resumed {resumed_s:.1f} s")


def other_peers(count: int) -> list[dict[str, Any]]:
    """What `peers_engine.py` prints under the interpreter in ASSAY_PEERS_PYTHON; nothing without one."""
    interpreter = os.environ.get("ASSAY_PEERS_PYTHON")
    if not interpreter:
        return []
    script = Path(__file__).with_name("peers_engine.py")
    run = subprocess.run(
        [interpreter, str(script), str(count)], check=True, capture_output=True, text=True, cwd=tempfile.gettempdir()
    )
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    cards = [card(number) for number in range(count)]
    plan = plan_cards(cards, repeats=1, visible=Answering.visible, llm=False)
    rounds: list[tuple[float, float]] = []
    peers: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as scratch:
            rounds.append((asyncio.run(ours(plan, Path(scratch) / str(number))), asyncio.run(theirs(cards))))
        peers += other_peers(count)
    ratio = median(a / b for a, b in rounds)
    for a, b in rounds:
        say(
            f"{count:,} cards: assay with journal {a:.3f} s, pydantic-evals {version('pydantic-evals')} {b:.3f} s, ratio {a / b:.2f}"
        )
    say(f"median ratio {ratio:.2f}")
    ours_s = median(a for a, _ in rounds)
    for name in sorted({row["peer"] for row in peers}):
        seconds = [row["seconds"] for row in peers if row["peer"] == name]
        found = next(row["version"] for row in peers if row["peer"] == name)
        say(f"{name} {found}: {', '.join(f'{one:.2f}' for one in seconds)} s, median ratio {ours_s / median(seconds):.3f}")
    slots = sys.argv[2] if len(sys.argv) > 2 else "100000"
    subprocess.run([sys.executable, __file__, "many", slots], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["many"]:
        many(int(sys.argv[2]))
    else:
        main()
