"""A finished run played again is exact; what it does not hold is said and never made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evals.cards import Card
from evals.errors import EvidenceError, UsageError
from evals.experiment import judge, run_plan
from evals.journal import FinishedPlay, Journal
from evals.plan import plan_cards
from evals.runfiles import read_card_slots, read_transcripts
from evals.suites import CardRun, run_cards
from evals.targets.opening import open_target, parse_target
from evals.targets.replay import ReplayTarget, open_replay
from evals.targets.scripted import ALL_VISIBLE, ScriptedTarget, reference_of, sabotage_of, scripted_transcript
from evals.transcript import Transcript, Visible, transcript_to_json
from reports.records import write_slots

MakeCard = Callable[..., Card]


def write(folder: Path, transcripts: Sequence[Transcript]) -> Path:
    folder.mkdir(exist_ok=True)
    rows = [json.dumps(transcript_to_json(transcript)) + "\n" for transcript in transcripts]
    (folder / "transcripts.jsonl").write_text("".join(rows))
    return folder


async def test_a_replayed_run_is_judged_exactly_as_it_was(make_card: MakeCard, tmp_path: Path) -> None:
    good, bad = make_card(), make_card(id="other")
    recorded = [scripted_transcript(good, good.reference), scripted_transcript(bad, sabotage_of(bad))]
    run = write(tmp_path / "run", recorded)
    plan = plan_cards([good, bad], repeats=1, visible=ALL_VISIBLE, llm=False)
    before = [slot for play, transcript in zip(plan.plays, recorded, strict=True) for slot in judge(play, transcript)]
    async with open_target(parse_target(f"replay:{run}"), pack="qsr", environ={}, store=tmp_path) as target:
        assert (target.visible, target.deterministic) == (replace(ALL_VISIBLE, timings=False), True)
        with Journal.open(tmp_path / "again", digest="d") as journal:
            played = await run_plan(plan, target, journal)
    assert list(played.slots) == before
    assert {slot.state for slot in before} == {"pass", "fail"}


async def test_an_interrupted_run_is_replayed_from_its_journal(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card()
    plan = plan_cards([card], repeats=2, visible=ALL_VISIBLE, llm=False)
    with Journal.open(tmp_path, digest="d") as journal:
        await run_plan(plan, ScriptedTarget(reference_of), journal)
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"kind": "play", "torn')
    target = open_replay(str(tmp_path))
    assert not target.deterministic
    assert await target.play(card, 1) == scripted_transcript(card, card.reference, 1)
    assert len(list(read_card_slots(tmp_path))) == plan.slot_count


@pytest.mark.parametrize(
    ("change", "repeat", "words"),
    [
        (lambda card: card.model_copy(update={"id": "unheard"}), 0, "holds no play of card unheard repeat 0"),
        (lambda card: card, 7, "holds no play of card hold-chicken repeat 7"),
        (
            lambda card: card.model_copy(update={"turns": [card.turns[0], card.turns[1].model_copy(update={"user": "x" * 99})]}),
            0,
            "card hold-chicken turn 2: the user now says 'xxx",
        ),
        (lambda card: card.model_copy(update={"turns": card.turns[:1]}), 0, "turn 2: recorded, but no longer in the card"),
        (
            lambda card: card.model_copy(update={"turns": [*card.turns, card.turns[0]]}),
            0,
            "card hold-chicken turn 3: not recorded",
        ),
    ],
)
async def test_what_the_run_does_not_hold_fails_loudly_and_is_ours(
    change: Callable[[Card], Card], repeat: int, words: str, make_card: MakeCard
) -> None:
    card = make_card()
    target = ReplayTarget("run-1", [scripted_transcript(card, card.reference)])
    transcript = await target.play(change(card), repeat)
    assert transcript.fault == "infra_error" and words in transcript.fault_reason and "run-1" in transcript.fault_reason
    assert list(transcript.turns) == []


async def test_a_recorded_failure_is_replayed_as_it_was(make_card: MakeCard) -> None:
    card = make_card()
    whole = scripted_transcript(card, card.reference)
    broken = replace(whole, turns=whole.turns[:1], fault="timeout", fault_reason="no answer within 60 s")
    assert await ReplayTarget("run", [broken]).play(card, 0) == broken


def test_only_what_every_play_shows_can_be_judged(make_card: MakeCard) -> None:
    card = make_card()
    whole = scripted_transcript(card, card.reference)
    less = replace(whole, card="other", visible=Visible(route=True, tools=True))
    assert ReplayTarget("run", [whole, less]).visible == Visible(route=True, tools=True)


def test_two_plays_of_one_card_cannot_be_told_apart(make_card: MakeCard) -> None:
    play = scripted_transcript(make_card(), make_card().reference)
    with pytest.raises(EvidenceError, match="two plays of hold-chicken repeat 0"):
        ReplayTarget("run", [play, replace(play)])


def test_an_empty_run_has_nothing_to_replay(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="nothing to replay"):
        open_replay(str(write(tmp_path, [])))


def test_a_folder_without_a_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give a run folder"):
        list(read_transcripts(tmp_path))


@pytest.mark.parametrize(
    ("line", "words"), [("{", "line 1: not JSON"), ("[]", "line 1: a JSON object"), ('{"card": "x"}', "line 1: not a transcript")]
)
def test_damage_is_named_by_file_and_line(line: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "transcripts.jsonl").write_text(line + "\n")
    with pytest.raises(EvidenceError, match=words):
        list(read_transcripts(tmp_path))


def test_slots_are_read_from_a_finished_run_and_damage_is_named(make_card: MakeCard, tmp_path: Path) -> None:
    plan = plan_cards([make_card()], repeats=1, visible=ALL_VISIBLE, llm=False)
    transcript = scripted_transcript(make_card(), make_card().reference)
    slots = judge(plan.plays[0], transcript)
    write_slots(tmp_path / "slots.jsonl", [*slots, replace(slots[0], suite="routing")])
    assert list(read_card_slots(tmp_path)) == slots
    (tmp_path / "slots.jsonl").write_text('{"slot": 1}\n')
    with pytest.raises(EvidenceError, match="line 1: not a slot"):
        list(read_card_slots(tmp_path))
    assert FinishedPlay(transcript=transcript, slots=slots).key == ("hold-chicken", 0)


async def test_times_of_a_recording_are_not_measured_again(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card(budgets={"turn_s": 5})
    timed = [replace(turn, timings={"overhead_s": 0.001}) for turn in scripted_transcript(card, card.reference).turns]
    run = write(tmp_path / "run", [replace(scripted_transcript(card, card.reference), turns=timed)])
    spec = CardRun(pack="qsr", target=parse_target(f"replay:{run}"), folder=tmp_path / "again", environ={})
    result = await run_cards([card], spec, lambda *_: None)
    assert result.tables["evidence"] == "replay" and result.tables["stages"] == {}
    assert not [name for name in result.metrics if name.startswith(("turn.", "store.", "machine."))]
    assert {"turn", "store"} < set(result.not_measurable) and any("budget" in name for name in result.not_measurable)
