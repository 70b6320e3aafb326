"""Slots, time and power of a plan; the power against the published table and against simulation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from evals.cards import Card
from evals.cli.plan import plan as plan_command
from evals.errors import AssayError
from evals.plan import plan_cards
from evals.planning import (
    Noise,
    card_drops,
    noise_from,
    outlook,
    play_seconds,
    routing_drops,
    smallest_drop,
    smallest_paired_drop,
)
from evals.reliability import CardHistory
from evals.routing.data import Utterance
from evals.targets.scripted import ALL_VISIBLE, scripted_transcript
from evals.transcript import Transcript, Turn, Visible, transcript_to_json

ROOT = Path(__file__).resolve().parents[2]
MakeCard = Callable[..., Card]


@pytest.mark.parametrize(
    ("units", "points"),
    [(50, [15.3, 11.1, 8.2, 6.3, 5.1]), (100, [10.8, 7.9, 5.8, 4.5, 3.6]), (200, [7.7, 5.6, 4.1, 3.2, 2.6])],
)
def test_the_smallest_drop_is_that_of_the_published_table(units: int, points: list[float]) -> None:
    found = [smallest_drop(units, repeats, Noise()) for repeats in (1, 2, 4, 8, 16)]
    assert [drop and round(100 * drop, 1) for drop in found] == points


@pytest.mark.parametrize(("units", "discordance", "points"), [(100, 0.1, 8), (200, 0.2, 8), (400, 0.3, 7), (50, 0.3, 19)])
def test_one_decision_a_unit_needs_its_share_of_changes(units: int, discordance: float, points: int) -> None:
    found = smallest_paired_drop(units, discordance)
    assert found is not None and round(100 * found) == points


def test_a_drop_of_the_promised_size_is_found_four_times_in_five() -> None:
    chance, noise, units, repeats = np.random.default_rng(7), Noise(), 100, 4
    drop = smallest_drop(units, repeats, noise)
    assert drop is not None
    per_unit = chance.normal(-drop, np.sqrt(noise.between + 2 * noise.within / repeats), size=(4000, units))
    standard_error = np.sqrt((noise.between + 2 * noise.within / repeats) / units)
    found = np.mean(per_unit.mean(axis=1) < -1.6449 * standard_error)
    assert found == pytest.approx(0.8, abs=0.02)


def test_too_few_units_find_nothing_and_say_so() -> None:
    assert [smallest_drop(1, 1, Noise()), smallest_drop(0, 1, Noise()), smallest_drop(5, 0, Noise())] == [None] * 3
    assert [smallest_paired_drop(6, 0.1), smallest_paired_drop(0, 0.1)] == [None, None]


def test_a_drop_never_needs_more_changes_than_it_has_breaks() -> None:
    assert smallest_paired_drop(20, 0.1) == pytest.approx(6.18 / 20, abs=1e-3)
    assert smallest_paired_drop(20, 0.1) == smallest_paired_drop(20, 0.2)


def history(passed: int, failed: int) -> CardHistory:
    return CardHistory(card="c", passed=passed, failed=failed, unjudged=0)


def test_noise_is_measured_where_a_former_run_repeats_and_absent_where_a_target_only_repeats() -> None:
    measured = noise_from([history(2, 2), history(4, 0), history(1, 0)], deterministic=False)
    assert measured.within == pytest.approx((2 * 2 / (4 * 3)) / 2) and "measured on 2 cards" in measured.source
    assert noise_from([history(1, 0)], deterministic=False) == Noise()
    assert noise_from([history(2, 2)], deterministic=True).within == 0


def test_time_is_that_of_former_plays_and_unknown_without_one(make_card: MakeCard) -> None:
    cards = [make_card(), make_card(id="other"), make_card(id="new")]
    plan = plan_cards(cards, repeats=2, visible=Visible(), llm=False)
    seconds = {"hold-chicken": 1.0, "other": 3.0, "gone": 99.0}
    found = outlook(plan, noise=Noise(), seconds=seconds, concurrency=4)
    assert found.expected_s == pytest.approx(2 * (1 + 3 + 2) / 4)
    assert (found.unknown_cards, found.cards, found.plays, found.slots) == (1, 3, 6, plan.slot_count)
    assert sum(found.slots_by_check.values()) == found.slots
    assert "agent" in found.not_measurable
    assert outlook(plan, noise=Noise(), seconds={}, concurrency=4).expected_s is None


def test_a_play_counts_its_turns_and_only_when_all_are_timed() -> None:
    def transcript(card: str, *times: float | None) -> Transcript:
        turns = [Turn(user="u", text="t", duration_s=time) for time in times]
        return Transcript(card=card, repeat=0, turns=turns, visible=ALL_VISIBLE)

    plays = [transcript("a", 1, 2), transcript("a", 5), transcript("b", 1, None), transcript("c")]
    assert play_seconds(plays) == {"a": 4}


def test_every_pass_rate_of_a_record_has_its_drop(make_card: MakeCard) -> None:
    cards = [make_card(), make_card(id="other", area="flows")]
    assert [(drop.metric, drop.units) for drop in card_drops(cards, repeats=1, noise=Noise())] == [
        ("cards.pass_rate", 2),
        ("cards.flows.pass_rate", 1),
        ("cards.safety.pass_rate", 1),
        ("cards.agent.equipment.pass_rate", 2),
        ("cards.agent.safety.pass_rate", 2),
    ]


def test_cards_that_only_repeat_are_right_or_wrong_and_repeats_add_nothing(make_card: MakeCard) -> None:
    cards = [make_card(id=f"c{number}") for number in range(80)]
    still = Noise(within=0.0)
    (once, *_), (often, *_) = card_drops(cards, repeats=1, noise=still), card_drops(cards, repeats=9, noise=still)
    assert once.smallest == often.smallest == pytest.approx(0.0879, abs=1e-3)


def test_paraphrases_of_one_family_are_one_unit() -> None:
    rows = [Utterance(id=f"u{n}", text="t", agent="a" if n < 4 else "b", family="f" if n < 4 else "") for n in range(6)]
    assert [(drop.metric, drop.units) for drop in routing_drops(rows)] == [
        ("routing.accuracy", 3),
        ("routing.recall.a", 1),
        ("routing.recall.b", 2),
    ]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(plan_command, arguments, catch_exceptions=False, standalone_mode=False)
    return result.output


@pytest.fixture
def pack(tmp_path: Path, make_card: MakeCard, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one card, a script to play it and a former run."""
    folder = tmp_path / "datasets/qsr/scenarios/safety"
    folder.mkdir(parents=True)
    (folder / "hold-chicken.yaml").write_text(json.dumps(make_card().model_dump(mode="json", by_alias=True)))
    (tmp_path / "script.yaml").write_text("{}")
    former = tmp_path / "former"
    former.mkdir()
    transcript = scripted_transcript(make_card(), make_card().reference)
    (former / "transcripts.jsonl").write_text(json.dumps(transcript_to_json(transcript)) + "\n")
    (former / "slots.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_MODEL", raising=False)
    return tmp_path


def test_the_command_shows_slots_time_and_drops(pack: Path) -> None:
    said = run("--target", "scripted:script.yaml", "--from", "former")
    assert "1 card x 1 repeat = 1 play, 9 slots" in said
    assert "expected time: 0" in said and "cards.pass_rate" in said
    assert "expected time: unknown" in run("--target", "scripted:script.yaml")


def test_the_command_gives_the_same_as_json(pack: Path) -> None:
    found = json.loads(run("--target", "scripted:script.yaml", "--json"))
    assert (found["plays"], found["slots"], found["expected_s"]) == (1, 9, None)
    assert found["drops"][0] == {
        "metric": "cards.pass_rate",
        "units": 1,
        "unit": "cards",
        "smallest": None,
    }


def test_a_target_that_varies_is_planned_with_its_repeats_and_what_it_hides(pack: Path) -> None:
    (pack / "stranger.py").write_text("def answer(message, history):\n    return message\n")
    said = run("--target", "python:stranger:answer", "--repeats", "4")
    assert "1 card x 4 repeats = 4 plays" in said and "not measurable: agent" in said
    assert "variance of the change of a card: 0.01 (assumed)" in said and "decisions that change" not in said


def test_an_unknown_area_is_said_with_the_nearest(pack: Path) -> None:
    with pytest.raises(AssayError, match="did you mean `safety`"):
        run("--target", "scripted:script.yaml", "--area", "safty")


def test_the_shipped_pack_can_be_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("ASSAY_MODEL", raising=False)
    said = run("--repeats", "2")
    assert "routing.accuracy" in said and "same answers every time" in said


def test_cards_with_faults_are_listed_where_none_can_be_planted(make_card: MakeCard) -> None:
    card = make_card(faults=[{"kind": "model_error"}])
    hidden = plan_cards([card], repeats=1, visible=Visible(route=True, tools=True), llm=True)
    assert not hidden.plays and "no sandbox" in hidden.not_measurable["faults"]
    assert plan_cards([card], repeats=1, visible=Visible(state=True), llm=True).plays
