"""Plays one run in children that are killed with SIGKILL at random moments, ends it, and prints how it compares with an unbroken run.

A script of its own, so that it forks before anything else runs in its process: `python tests/evals/killed_runs.py KILLS SEED`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from benchmark_engine import Answering, card

from evals.cards import Card
from evals.experiment import run_plan
from evals.journal import FILE_NAME, FinishedPlay, Journal
from evals.plan import plan_cards
from evals.transcript import Transcript, transcript_to_json

PLAN = plan_cards([card(number) for number in range(400)], repeats=3, visible=Answering.visible, llm=False)


class Slow(Answering):
    """Takes a moment, and answers wrongly now and then, always at the same cards."""

    async def play(self, card: Card, repeat: int) -> Transcript:
        await asyncio.sleep(0.004)
        transcript = await super().play(card, repeat)
        wrong = int(card.id.removeprefix("trivial-")) % 7 == repeat
        return replace(transcript, turns=[replace(turn, text="No idea.") for turn in transcript.turns]) if wrong else transcript


def play(folder: Path) -> None:
    with Journal.open(folder, digest="killed") as journal:
        asyncio.run(run_plan(PLAN, Slow(), journal))


def finished(folder: Path) -> dict[tuple[str, int], FinishedPlay]:
    with Journal.open(folder, digest="killed") as journal:
        return dict(journal.finished)


def stable(folder: Path) -> str:
    """Everything that was judged, without what depends on the order of arrival."""
    with Journal.open(folder, digest="killed") as journal:
        played = asyncio.run(run_plan(PLAN, Slow(), journal))
    rows = [[transcript_to_json(one.transcript), [asdict(slot) for slot in one.slots]] for one in played.plays]
    return json.dumps([rows, [asdict(slot) for slot in played.slots]], sort_keys=True)


def _wait_for(journal: Path, *, more: int) -> None:
    """Until the journal has grown by `more` bytes, which may be in the middle of a line; at most two seconds."""
    begun, ends = _size(journal), time.monotonic() + 2
    while _size(journal) <= begun + more and time.monotonic() < ends:
        time.sleep(0.0005)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def main() -> None:
    kills, rng = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    torn = lost = 0
    with tempfile.TemporaryDirectory(prefix="assay-killed-") as scratch:
        broken, whole = Path(scratch) / "broken", Path(scratch) / "whole"
        before: set[tuple[str, int]] = set()
        for _ in range(kills):
            child = os.fork()
            if child == 0:
                play(broken)
                os._exit(0)
            _wait_for(broken / FILE_NAME, more=rng.randint(0, 12_000))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            journal = broken / FILE_NAME
            torn += journal.exists() and journal.read_bytes()[-1:] not in (b"", b"\n")
            after = set(finished(broken))
            lost += len(before - after)
            before = after
        left = len(PLAN.plays) - len(before)
        play(broken)
        play(whole)
        same = stable(broken) == stable(whole)
    sys.stdout.write(json.dumps({"kills": kills, "torn": torn, "lost": lost, "left_to_play": left, "same": same}) + "\n")


if __name__ == "__main__":
    main()
