from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evals.cards import Card
from evals.errors import EvidenceError, TargetError, UsageError
from evals.experiment import collect, run_plan
from evals.journal import FILE_NAME, Journal
from evals.plan import plan_cards
from evals.targets.callable import CallableTarget
from evals.targets.scripted import ALL_VISIBLE, ScriptedTarget, reference_of
from evals.transcript import Transcript, Visible

MakeCard = Callable[..., Card]


class Counting(ScriptedTarget):
    def __init__(self) -> None:
        super().__init__(reference_of)
        self.played = 0

    async def play(self, card: Card, repeat: int) -> Transcript:
        self.played += 1
        return await super().play(card, repeat)


def plan_of(make_card: MakeCard, n: int = 3):
    cards = [make_card(id=f"card-{number}") for number in range(n)]
    return plan_cards(cards, repeats=2, visible=ALL_VISIBLE, llm=False)


async def test_a_resumed_run_plays_only_what_is_missing_and_ends_the_same(make_card: MakeCard, tmp_path: Path) -> None:
    plan, whole = plan_of(make_card), Counting()
    with Journal.open(tmp_path / "whole", digest="d") as journal:
        unbroken = await run_plan(plan, whole, journal)
    lines = (tmp_path / "whole" / FILE_NAME).read_bytes().splitlines(keepends=True)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / FILE_NAME).write_bytes(b"".join(lines[:4]) + lines[4][:37])
    again = Counting()
    with Journal.open(tmp_path / "torn", digest="d") as journal:
        assert len(journal.finished) == 3
        resumed = await run_plan(plan, again, journal)
    assert (whole.played, again.played) == (6, 3)
    assert resumed == unbroken


async def test_what_was_not_played_is_counted(make_card: MakeCard, tmp_path: Path) -> None:
    plan = plan_of(make_card)
    with Journal.open(tmp_path, digest="d") as journal:
        played = collect(plan, journal)
    assert len(played.slots) == plan.slot_count
    assert {slot.state for slot in played.slots} == {"not_run"}


def test_another_plan_is_refused(tmp_path: Path) -> None:
    with Journal.open(tmp_path, digest="one"):
        pass
    with pytest.raises(UsageError, match="another plan"):
        Journal.open(tmp_path, digest="two")


@pytest.mark.parametrize("content", [b'{"kind": "play"}\n', b"not json\n"])
def test_a_damaged_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(EvidenceError):
        Journal.open(tmp_path, digest="d")


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(EvidenceError, match="cannot be written"):
        Journal.open(tmp_path / "file" / "below", digest="d")


def test_a_full_disk_is_said(tmp_path: Path, make_card: MakeCard, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(make_card, 1)
    from evals.experiment import judge
    from evals.journal import FinishedPlay
    from evals.targets.scripted import scripted_transcript

    def full(row: object) -> None:
        raise OSError(28, "No space left on device")

    card = plan.plays[0].card
    transcript = scripted_transcript(card, card.reference)
    with Journal.open(tmp_path, digest="d") as journal, pytest.raises(EvidenceError, match="No space left"):
        monkeypatch.setattr(journal, "write", full)
        journal.add(FinishedPlay(transcript=transcript, slots=judge(plan.plays[0], transcript)))


async def test_a_driver_that_raises_is_our_fault_not_the_assistants(make_card: MakeCard, tmp_path: Path) -> None:
    class Raising(ScriptedTarget):
        async def play(self, card: Card, repeat: int) -> Transcript:
            raise RuntimeError("driver bug")

    with Journal.open(tmp_path, digest="d") as journal:
        played = await run_plan(plan_of(make_card), Raising(reference_of), journal)
    assert {slot.state for slot in played.slots} == {"infra_error"}


async def test_an_unreachable_target_ends_the_run_with_its_sentence(make_card: MakeCard, tmp_path: Path) -> None:
    class Gone(ScriptedTarget):
        async def play(self, card: Card, repeat: int) -> Transcript:
            raise TargetError("nobody there")

    with Journal.open(tmp_path, digest="d") as journal, pytest.raises(TargetError, match="nobody there"):
        await run_plan(plan_of(make_card), Gone(reference_of), journal)


def test_cards_that_need_a_language_model_are_listed_not_dropped(make_card: MakeCard) -> None:
    plan = plan_cards([make_card(), make_card(id="deep", requires="llm")], repeats=1, visible=Visible(), llm=False)
    assert [play.card.id for play in plan.plays] == ["hold-chicken"]
    assert "deep" in plan.not_measurable["requires: llm"]
    assert "agent" in plan.not_measurable


async def test_a_callable_is_played_with_its_history(make_card: MakeCard) -> None:
    seen: list[list[tuple[str, str]]] = []

    def answer(message: str, history: list[tuple[str, str]]) -> str:
        seen.append(history)
        return message.upper()

    transcript = await CallableTarget(answer).play(make_card(), 0)
    assert [turn.text for turn in transcript.turns] == ["HOW HOT MUST CHICKEN BE HELD?", "AND WHO FIXES THE CABINET?"]
    assert seen == [[], [("How hot must chicken be held?", "HOW HOT MUST CHICKEN BE HELD?")]]


async def test_a_callable_that_raises_or_hangs_is_the_assistants_fault(make_card: MakeCard) -> None:
    import asyncio

    async def hang(message: str, history: list[tuple[str, str]]) -> str:
        await asyncio.sleep(60)
        return ""

    def boom(message: str, history: list[tuple[str, str]]) -> str:
        raise ValueError("bad")

    assert (await CallableTarget(boom).play(make_card(), 0)).fault == "agent_error"
    assert (await CallableTarget(hang, timeout_s=0.05).play(make_card(), 0)).fault == "timeout"
