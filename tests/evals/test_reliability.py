"""pass^k, pass@k and flakiness against enumeration, and what must stay undefined."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from evals.cards import Card
from evals.cli.stats import stats
from evals.errors import UsageError
from evals.reliability import CardHistory, card_histories, pass_at_k, pass_hat_k, read_histories, reliability
from evals.selfcheck import card_faults
from evals.targets.inprocess import PackFacts
from reports.gates.waivers import read_waivers
from reports.records import Provenance, Record, Slot, SlotState, write_record, write_slots


def slots(card: str, states: Sequence[SlotState]) -> list[Slot]:
    return [
        Slot(slot_id=f"{card}/{repeat}", suite="cards", card=card, repeat=repeat, evaluator="say", state=state)
        for repeat, state in enumerate(states)
    ]


def history(passed: int, failed: int, unjudged: int = 0) -> CardHistory:
    return CardHistory(card="c", passed=passed, failed=failed, unjudged=unjudged)


@pytest.mark.parametrize(("passed", "played"), [(0, 5), (3, 5), (4, 5), (5, 5), (1, 1)])
def test_both_are_the_share_of_all_draws_of_k_plays(passed: int, played: int) -> None:
    plays = [True] * passed + [False] * (played - passed)
    for k in range(1, played + 1):
        draws = list(itertools.combinations(plays, k))
        assert pass_hat_k(passed, played, k) == pytest.approx(sum(map(all, draws)) / len(draws))
        assert pass_at_k(passed, played, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_fewer_plays_than_k_leave_both_undefined_and_not_perfect() -> None:
    assert (pass_hat_k(3, 3, 4), pass_at_k(3, 3, 4)) == (None, None)
    found = reliability([history(3, 0), history(3, 0)], ks=(4,))
    assert (found.all_of[4].value, found.all_of[4].n, found.all_of[4].planned) == (None, 0, 2)


@pytest.mark.parametrize(("passed", "played", "k"), [(2, 1, 1), (-1, 3, 1), (1, 3, 0)])
def test_impossible_counts_are_refused(passed: int, played: int, k: int) -> None:
    for measure in (pass_hat_k, pass_at_k):
        with pytest.raises(ValueError, match="passed <= played"):
            measure(passed, played, k)


def test_one_pooled_rate_would_hide_what_pass_hat_k_shows() -> None:
    steady = reliability([history(4, 0), history(0, 4)], ks=(1, 4))
    flaky = reliability([history(2, 2), history(2, 2)], ks=(1, 4))
    assert steady.all_of[1].value == flaky.all_of[1].value == 0.5
    assert (steady.all_of[4].value, flaky.all_of[4].value) == (0.5, 0.0)
    assert (steady.any_of[4].value, flaky.any_of[4].value) == (0.5, 1.0)


def test_a_play_that_could_not_be_judged_never_makes_a_card_look_better() -> None:
    assert pass_hat_k(history(3, 0, 1).passed, history(3, 0, 1).planned, 4) == 0
    assert history(3, 0, 1).stability == "stable-pass"
    assert history(1, 0, 3).stability == "unknown"


@pytest.mark.parametrize(
    ("states", "stability", "flips"),
    [
        (["pass", "pass"], "stable-pass", 0.0),
        (["fail", "timeout", "agent_error"], "stable-fail", 0.0),
        (["pass", "fail", "pass", "pass"], "flaky", 0.5),
        (["pass"], "unknown", None),
        (["infra_error", "judge_error"], "unknown", None),
    ],
)
def test_a_card_is_classed_by_its_judged_plays(states: list[SlotState], stability: str, flips: float | None) -> None:
    (card,) = card_histories([slots("c", states)])
    assert (card.stability, card.flips) == (stability, flips)


def test_repeats_of_several_runs_add_up(tmp_path: Path) -> None:
    for name, states in {"a": ["pass", "pass"], "b": ["fail", "pass"]}.items():
        (tmp_path / name).mkdir()
        write_slots(tmp_path / name / "slots.jsonl", [*slots("x", states), *slots("y", ["pass"])])  # pyright: ignore
    found = read_histories([tmp_path / "a", tmp_path / "b"])
    assert found == [
        CardHistory(card="x", passed=3, failed=1, unjudged=0),
        CardHistory(card="y", passed=2, failed=0, unjudged=0),
    ]
    summary = reliability(found, ks=(2, 4))
    assert summary.noise_floor.value == pytest.approx(0.25)
    assert (summary.all_of[2].value, summary.all_of[2].n) == (pytest.approx(0.75), 2)
    assert (summary.all_of[4].value, summary.all_of[4].n, summary.all_of[4].planned) == (0.0, 1, 2)


def record(target: str) -> Record:
    nothing = Provenance(commit=None, dirty=None, versions={}, seeds={}, digests={}, machine={}, model="m", load={})
    return Record(
        run_id="r",
        created_at="2026-06-15T10:00:00+00:00",
        tier="pr",
        pack="qsr",
        target=target,
        provenance=nothing,
        slot_counts={},
        metrics={},
        not_measurable={},
        broken=[],
        durations_s={},
        tables={},
    )


def test_runs_of_different_targets_are_not_mixed(tmp_path: Path) -> None:
    for name, target in {"a": "inprocess", "b": "openai:http://x#m", "c": "inprocess"}.items():
        (tmp_path / name).mkdir()
        write_record(tmp_path / name, record(target))
        write_slots(tmp_path / name / "slots.jsonl", slots("x", ["pass"]))
    assert read_histories([tmp_path / "a", tmp_path / "c"])[0].passed == 2
    with pytest.raises(UsageError, match="different things"):
        read_histories([tmp_path / "a", tmp_path / "b"])
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(UsageError, match="give a run folder"):
        read_histories([tmp_path / "a"])


def run(*arguments: str) -> str:
    return CliRunner().invoke(stats, arguments, catch_exceptions=False, standalone_mode=False).output


def test_the_command_names_flaky_cards_and_says_what_is_undefined(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    rows = [*slots("steady", ["pass", "pass"]), *slots("shaky", ["pass", "fail"]), *slots("lost", ["pass", "infra_error"])]
    write_slots(tmp_path / "a/slots.jsonl", rows)
    said = run(str(tmp_path / "a"), "--k", "1", "--k", "4").replace("\u202f", " ")
    assert "flaky        shaky" in said and "1 / 2 passed, 1 unjudged" in said and "steady" not in said
    assert "(3 of 3 cards)" in said and "k = 1   pass^k" in said
    assert "pass@k undefined: no card was played often enough" in said
    assert "3 cards: 1 flaky, 1 stable-pass, 1 unknown" in said
    found = json.loads(run(str(tmp_path / "a"), "--k", "2", "--json"))
    assert [(card["card"], card["stability"], card["planned"]) for card in found["cards"]] == [
        ("lost", "unknown", 2),
        ("shaky", "flaky", 2),
        ("steady", "stable-pass", 2),
    ]
    assert found["all_of"]["2"]["value"] == pytest.approx(1 / 3)


def test_a_run_named_twice_is_not_counted_twice(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="named twice"):
        run(str(tmp_path), f"{tmp_path}/../{tmp_path.name}")


def test_flaky_cards_become_waivers_with_owner_and_last_day(tmp_path: Path) -> None:
    write_slots(tmp_path / "slots.jsonl", [*slots("shaky", ["pass", "fail", "pass"]), *slots("broken", ["fail"] * 3)])
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates/waivers.yaml").write_text(run(str(tmp_path), "--quarantine", "ana", "--until", "2026-12-31"))
    (waiver,) = read_waivers(tmp_path / "gates")
    assert (waiver.card, waiver.owner, waiver.expires) == ("shaky", "ana", date(2026, 12, 31))
    assert waiver.reason == "Flaky: 2 of 3 identical plays passed."
    with pytest.raises(UsageError, match="give both"):
        run(str(tmp_path), "--quarantine", "ana")


def test_a_known_issue_that_ended_is_a_fault_of_the_card(make_card: Callable[..., Card]) -> None:
    card = make_card(known_issue={"reason": "search is down", "owner": "ana", "expires": "2026-06-15"})
    facts = PackFacts(
        agents=["safety", "equipment"],
        tools=["search_knowledge"],
        documents=["hot-holding"],
        folder=Path(),
        cache_dir=Path(),
        encoder=None,
        router=None,
    )
    assert card_faults([card], facts, date(2026, 6, 15)) == []
    (fault,) = card_faults([card], facts, date(2026, 6, 16))
    assert fault == f"card {card.id}: field `known_issue.expires`: 2026-06-15 is past; ask ana, then renew or remove it"
