"""Times of the harness itself: `make bench` measures them, the suite runs each once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from evals.experiment import judge, run_plan
from evals.journal import Journal
from evals.plan import plan_cards
from evals.spans import span_tree
from evals.targets.scripted import ALL_VISIBLE, scripted_transcript
from evals.transcript import Transcript, Turn, Visible


class Answering:
    """Answers at once, so that all time is the harness's."""

    visible = Visible()
    deterministic = True

    async def play(self, card, repeat: int) -> Transcript:
        return Transcript(card=card.id, repeat=repeat, turns=[Turn(user="x", text="57 C", duration_s=0.0)], visible=self.visible)


def test_fifty_plays_go_through_the_journal(benchmark, make_card, tmp_path: Path):
    simple: dict[str, Any] = {"turns": [{"user": "How hot?", "expect": {"say": ["135 F"]}}], "expect_state": {}}
    simple |= {"reference": {"turns": [{"text": "135 F"}]}, "sabotage": {"fails": "say", "turns": {1: {"text": "warm"}}}}
    plan = plan_cards([make_card(id=f"c-{n}", **simple) for n in range(50)], repeats=1, visible=Visible(), llm=False)
    folders = (tmp_path / str(number) for number in range(10**9))

    def played():
        with Journal.open(next(folders), digest="times") as journal:
            return asyncio.run(run_plan(plan, Answering(), journal))

    assert {slot.state for slot in benchmark(played).slots} == {"pass"}


def test_a_transcript_is_judged_by_its_card(benchmark, make_card):
    card = make_card()
    (play,) = plan_cards([card], repeats=1, visible=ALL_VISIBLE, llm=False).plays
    transcript = scripted_transcript(card, card.reference)
    assert {slot.state for slot in benchmark(judge, play, transcript)} == {"pass"}


def test_a_transcript_becomes_a_span_tree(benchmark, make_card):
    card = make_card()
    transcript = scripted_transcript(card, card.reference)
    assert benchmark(span_tree, transcript).any({"name_contains": "search_knowledge"})
