"""Against the accepted runs an unchanged build passes, a broken one fails, and one broken card is named."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from reports.baseline import history_of
from reports.gates.counting import CardCount
from reports.gates.decide import decide
from reports.gates.guards import judge_guards
from reports.gates.policy import BaselineOptions, Guards, Line, Policy
from reports.gates.reference import Pool, Tally
from reports.gates.verdict import GateResult, Verdict, write_verdict
from reports.gates.waivers import in_force
from reports.history import History, Promotion, fingerprint
from reports.records import Estimate, Record, Slot
from reports.statistics.proportions import wilson
from reports.terminal import print_verdict

Cells = Mapping[str, tuple[int, int]]
LINE = Line(metric="cards.pass_rate", at_least=0.2)
NONE_WAIVED = in_force([], "2026-11-12")


def policy_of(**settings: Any) -> Policy:
    guards = Guards(mean_drop_margin=0.05, per_card_alpha=0.05)
    return Policy(**{"name": "test", "critical_cards": "ignore", "guards": guards, "lines": [LINE], **settings})


def counts(cells: Cells) -> list[CardCount]:
    return [
        CardCount(card=card, labels={}, repeats=n, passed=k, failed=n - k, unjudged=0, stages={}, checks=[])
        for card, (k, n) in cells.items()
    ]


def pool_of(cells: Cells, runs: int = 10, deterministic: bool = False) -> Pool:
    tallies = {card: Tally(passed=k, judged=n) for card, (k, n) in cells.items()}
    return Pool(runs=runs, cards=tallies, deterministic=deterministic, reason="")


def judged(record: Record, here: Cells, pool: Pool, **settings: Any) -> dict[str, GateResult]:
    found = judge_guards(record, counts(here), policy_of(**settings), pool, NONE_WAIVED)
    return {gate.id.removeprefix("guards."): gate for gate in found}


@pytest.fixture
def record(sample: ModuleType) -> Record:
    found = sample.make_record()
    return replace(found, provenance=replace(found.provenance, digests={"policy": "p", "cards": "c", "routing": "r"}))


# What the guards promise, by simulation


def suite(random: np.random.Generator, cards: int = 50) -> np.ndarray:
    """Half of the cards near-sure, an eighth near-sure failures, the rest anywhere between."""
    kind = random.random(cards)
    sure, lost = random.uniform(0.97, 1.0, cards), random.uniform(0.0, 0.03, cards)
    return np.where(kind < 0.5, sure, np.where(kind < 0.62, lost, random.uniform(0.3, 0.9, cards)))


def simulate(
    record: Record, change: Callable[[np.ndarray], np.ndarray], trials: int, repeats: int
) -> list[dict[str, GateResult]]:
    random = np.random.default_rng(20261112)
    names = [f"card-{number:02d}" for number in range(50)]
    found: list[dict[str, GateResult]] = []
    for _ in range(trials):
        rates = suite(random)
        before, after = random.binomial(40, rates), random.binomial(repeats, change(rates))
        here = {name: (int(k), repeats) for name, k in zip(names, after, strict=True)}
        base = {name: (int(k), 40) for name, k in zip(names, before, strict=True)}
        found.append(judged(record, here, pool_of(base)))
    return found


def worst(gates: dict[str, GateResult]) -> str:
    states = {gate.state for gate in gates.values()}
    return "fail" if "fail" in states else "inconclusive" if "inconclusive" in states else "pass"


def test_an_unchanged_build_passes_at_least_95_percent_of_the_time(record: Record) -> None:
    words = [worst(gates) for gates in simulate(record, lambda rates: rates, 300, 16)]
    assert words.count("pass") / 300 >= 0.95
    assert words.count("fail") / 300 <= 0.02


def test_an_unchanged_build_with_half_the_repeats_asks_for_more_and_hardly_ever_fails(record: Record) -> None:
    found = simulate(record, lambda rates: rates, 300, 8)
    words = [worst(gates) for gates in found]
    assert words.count("fail") / 300 <= 0.02
    assert words.count("pass") / 300 >= 0.8
    asked = [gates["mean_drop"].more_needed for gates in found if gates["mean_drop"].state == "inconclusive"]
    assert sum(more is not None for more in asked) > 0.5 * len(asked) > 0


def test_a_fifth_of_the_cards_broken_fails_at_least_95_percent_of_the_time(record: Record) -> None:
    def broken(rates: np.ndarray) -> np.ndarray:
        return np.where(np.arange(50) < 10, 0.1 * rates, rates)

    found = simulate(record, broken, 150, 8)
    assert sum(worst(gates) == "fail" for gates in found) / 150 >= 0.95


def test_one_broken_card_is_named_and_no_other(record: Record) -> None:
    def broken(rates: np.ndarray) -> np.ndarray:
        return np.where(np.arange(50) == 7, 0.0, rates)

    random = np.random.default_rng(5)
    names = [f"card-{number:02d}" for number in range(50)]
    named: list[list[str]] = []
    for _ in range(150):
        rates = suite(random)
        rates[7] = 0.97
        base = {name: (int(k), 40) for name, k in zip(names, random.binomial(40, rates), strict=True)}
        here = {name: (int(k), 8) for name, k in zip(names, random.binomial(8, broken(rates)), strict=True)}
        named.append(judged(record, here, pool_of(base))["cards"].cards)
    assert sum("card-07" in cards for cards in named) / 150 >= 0.95
    assert sum(cards != ["card-07"] for cards in named) / 150 <= 0.05


# What they say


def cells(passed: int, n: int, cards: int = 20) -> dict[str, tuple[int, int]]:
    return {f"card-{number:02d}": (passed, n) for number in range(cards)}


def test_guard_a_says_difference_bound_and_margin(record: Record) -> None:
    same = judged(record, cells(8, 8), pool_of(cells(40, 40)))["mean_drop"]
    assert (same.state, same.limit, same.threshold) == ("pass", "max_drop", 0.05)
    assert same.sentence == (
        "±0.0\u202fpt against 10 accepted runs over 20 cards, at worst ±0.0\u202fpt; a drop of 5.0\u202fpt is allowed."
    )
    worse = judged(record, cells(6, 8), pool_of(cells(40, 40)))["mean_drop"]
    assert worse.state == "fail" and "at best −25.0\u202fpt" in worse.sentence
    assert worse.measured is not None and worse.measured.value == 0.75


def test_guard_a_says_how_many_repeats_would_decide_or_that_none_would(record: Record) -> None:
    names = cells(1, 1)
    few = judged(record, {card: (1 + 2 * (int(card[-1]) % 2), 4) for card in names}, pool_of(cells(20, 40)))["mean_drop"]
    assert (few.state, few.more_needed) == ("inconclusive", 15)
    assert few.sentence.endswith("About 15 more repeats of each card would decide.")
    split = judged(record, {card: (10 * (int(card[-1]) % 2), 10) for card in names}, pool_of(cells(20, 40)))["mean_drop"]
    assert (split.state, split.more_needed) == ("inconclusive", None)
    assert split.sentence.endswith("It takes more cards to decide.")
    single = judged(record, {card: (int(card[-1]) % 2, 1) for card in names}, pool_of(cells(10, 20)))["mean_drop"]
    assert (single.state, single.more_needed) == ("inconclusive", None)


def test_guard_b_names_cards_with_their_counts_worst_first(record: Record) -> None:
    here = {**cells(8, 8), "card-03": (0, 8), "card-05": (1, 8), "card-07": (2, 8), "card-09": (0, 8)}
    gate = judged(record, here, pool_of(cells(40, 40)))["cards"]
    assert (gate.state, gate.cards) == ("fail", ["card-03", "card-09", "card-05", "card-07"])
    assert gate.sentence == (
        "Worse than in 10 accepted runs: card-03 passed 0 of 8, before 40 of 40; card-09 passed 0 of 8, before 40 of 40; "
        "card-05 passed 1 of 8, before 40 of 40 and 1 more."
    )


def test_guard_b_says_how_many_cards_it_could_have_named(record: Record) -> None:
    base = {**cells(40, 40), "card-00": (0, 40)}
    gate = judged(record, {**cells(8, 8), "card-00": (0, 8)}, pool_of(base))["cards"]
    assert (gate.state, gate.cards) == ("pass", [])
    assert "None of 20 cards is worse" in gate.sentence and "19 could have been named" in gate.sentence


def test_guard_b_claims_nothing_when_it_could_name_no_card(record: Record) -> None:
    small = judged(record, {**cells(1, 1), "card-01": (0, 1)}, pool_of(cells(10, 10)))["cards"]
    assert small.state == "no_baseline"
    assert small.sentence == (
        "Too few repeats to name a card that broke: 389 more accepted runs, or more repeats of each card, would do."
    )
    lost = judged(record, cells(0, 4), pool_of(cells(0, 4000), runs=1000))["cards"]
    assert lost.sentence == "Too few repeats to name a card that broke; play each card more often than 4 times."
    none = judged(record, {"new": (1, 1)}, Pool(runs=1, cards={}, deterministic=False, reason=""))["cards"]
    assert none.sentence.endswith("no card is known to the accepted runs.")


def test_a_deterministic_target_that_always_passed_and_fails_now_is_named_at_once(record: Record) -> None:
    here, base = {**cells(1, 1), "card-01": (0, 1), "card-02": (0, 1)}, {**cells(3, 3), "card-02": (2, 3)}
    gate = judged(record, here, pool_of(base, runs=3, deterministic=True))["cards"]
    assert (gate.state, gate.cards) == ("fail", ["card-01"])


def test_a_card_of_the_accepted_runs_that_is_gone_or_unjudged_is_no_pass(record: Record) -> None:
    gone = judged(record, cells(8, 8, cards=18), pool_of(cells(40, 40)))
    assert {gate.state for gate in gone.values()} == {"invalid"}
    assert gone["cards"].sentence == "2 cards of the accepted runs were not judged here: card-18 and card-19."
    blank = [replace(card, passed=0, failed=0, unjudged=8) if card.card == "card-00" else card for card in counts(cells(8, 8))]
    strict, lenient = (
        judge_guards(record, blank, policy_of(max_unjudged=limit), pool_of(cells(40, 40)), NONE_WAIVED) for limit in (0.01, 0.1)
    )
    assert [gate.state for gate in strict] == ["invalid", "invalid"]
    assert [gate.state for gate in lenient] == ["pass", "pass"]
    assert lenient[0].estimate is not None and (lenient[0].estimate.n, lenient[0].estimate.planned) == (19, 20)


def test_new_cards_are_left_out_of_the_comparison(record: Record) -> None:
    gates = judged(record, {**cells(8, 8), "new": (0, 8)}, pool_of(cells(40, 40)))
    assert {gate.state for gate in gates.values()} == {"pass"}


def test_guards_are_left_out_or_not_judged_where_the_policy_or_the_run_says_so(record: Record) -> None:
    assert judge_guards(record, [], policy_of(guards=None), pool_of({}), NONE_WAIVED) == []
    assert judge_guards(record, [], policy_of(guards=Guards()), pool_of({}), NONE_WAIVED) == []
    late = judged(record, cells(8, 8), pool_of(cells(40, 40)), guards=Guards(per_card_alpha=0.05, tiers=["nightly"]))
    assert (late["cards"].state, late["cards"].sentence) == ("not_in_tier", "Judged in nightly, not in pr.")
    hidden = judged(replace(record, not_measurable={"cards": "no cards here."}), {}, pool_of(cells(40, 40)))
    assert (hidden["cards"].state, hidden["cards"].sentence) == ("not_measured", "No card was played: no cards here.")


# Inside a verdict


def slots_of(cells: Cells) -> list[Slot]:
    return [
        Slot(slot_id=f"{card}/{r}", suite="cards", card=card, repeat=r, evaluator="say", state="pass" if r < k else "fail")
        for card, (k, n) in cells.items()
        for r in range(n)
    ]


def accepted(record: Record, cards: Cells, runs: int = 10, **changes: Any) -> History:
    values: dict[str, Any] = {
        "at": datetime(2026, 11, 1, tzinfo=UTC),
        "who": "kim",
        "why": "night",
        "created_at": "2026-11-01",
        "tier": "nightly",
        "commit": None,
        "dirty": None,
        "deterministic": False,
        "fingerprint": fingerprint(record),
        "cards": dict(cards),
        "metrics": {name: value for name, value in record.metrics.items() if value is not None},
        "digests": {},
        **changes,
    }
    return History(events=tuple(Promotion.model_validate({**values, "run_id": f"n{number}"}) for number in range(runs)))


def verdict_of(record: Record, here: Cells, history: History | None, **settings: Any) -> Verdict:
    slots = slots_of(here)
    states: dict[str, int] = {}
    for slot in slots:
        states[slot.state] = states.get(slot.state, 0) + 1
    return decide(replace(record, slot_counts={"cards": states}), slots, policy_of(**settings), history=history)


def gate_of(verdict: Verdict, name: str) -> GateResult:
    return next(gate for gate in verdict.gates if gate.id == name)


def test_a_broken_card_fails_the_verdict_and_is_named(record: Record) -> None:
    verdict = verdict_of(record, {**cells(8, 8), "card-04": (0, 8)}, accepted(record, cells(4, 4)))
    assert (verdict.verdict, verdict.exit_code) == ("fail", 1)
    assert verdict.sentence.startswith(
        "No card worse than in the accepted runs: Worse than in 10 accepted runs: card-04 passed 0 of 8"
    )
    assert gate_of(verdict, "guards.mean_drop").state == "inconclusive"


def test_without_a_baseline_it_says_so_and_blocks_nothing(record: Record) -> None:
    for history in (None, History()):
        verdict = verdict_of(record, cells(8, 8), history)
        gate = gate_of(verdict, "guards.cards")
        assert (verdict.verdict, gate.state, gate.sentence) == ("pass", "no_baseline", "No baseline: no run is accepted yet.")
    required = verdict_of(record, cells(8, 8), None, baseline=BaselineOptions(required=True))
    assert (required.verdict, gate_of(required, "guards.cards").state) == ("invalid", "invalid")
    assert required.sentence.endswith("No baseline: no run is accepted yet; a baseline is required.")


def test_a_provable_mismatch_is_never_compared_and_names_the_field(record: Record) -> None:
    other = accepted(record, cells(4, 4), fingerprint={**fingerprint(record), "cards": "sha256:feedfeedfeed"})
    verdict = verdict_of(record, {**cells(8, 8), "card-04": (0, 8)}, other)
    gate = gate_of(verdict, "guards.cards")
    assert (verdict.verdict, gate.state) == ("pass", "no_baseline")
    assert gate.sentence == "No baseline: cards differs: c here, sha256:feedfeed… in the baseline."


def test_lines_against_a_baseline_use_the_accepted_runs(record: Record) -> None:
    drop = Line(id="drop", metric="routing.accuracy", max_drop=0.01)
    bad = replace(record, metrics={**record.metrics, "routing.accuracy": wilson(1040, 1139)})
    history = accepted(record, cells(4, 4))
    found = verdict_of(bad, cells(8, 8), history, lines=[LINE, drop])
    assert gate_of(found, "drop").state == "fail"
    named = decide(bad, [], policy_of(lines=[drop], guards=None), baseline=bad, history=history)
    assert gate_of(named, "drop").state == "inconclusive"


def test_the_run_named_as_baseline_serves_the_guards_too(sample: ModuleType, tmp_path: Path) -> None:
    sample.build(tmp_path, "pass")
    slots = sample.failing_slots()
    here = sample.make_record(slots, run_id="candidate")
    policy = policy_of(baseline=BaselineOptions(same=["cards", "pack"]))
    verdict = decide(here, slots, policy, history=history_of(tmp_path))
    assert gate_of(verdict, "guards.mean_drop").state == "inconclusive"
    assert gate_of(verdict, "guards.cards").sentence.startswith("Too few repeats to name a card")


# Too good to believe

FACTOR = Guards(too_good_factor=1.5)
P95 = Line(metric="load.response.p95_s", at_most=2.0)


def test_a_result_much_better_than_before_needs_a_person(record: Record, sample: ModuleType) -> None:
    fast = replace(record, metrics={**record.metrics, "load.response.p95_s": sample.times(0.2)})
    verdict = verdict_of(fast, cells(8, 8), accepted(record, cells(4, 4)), guards=FACTOR, lines=[LINE, P95])
    assert (verdict.verdict, verdict.exit_code) == ("inconclusive", 2)
    assert gate_of(verdict, "guards.too_good").sentence == (
        "Answer time, p95 200\u202fms, before 1.42\u202fs: better by more than a factor of 1.5. A person must look before it counts."
    )


def test_a_share_can_be_too_good_and_chance_is_not(record: Record) -> None:
    def history(before: Estimate) -> History:
        return accepted(record, cells(4, 4), metrics={"cards.pass_rate": before})

    gained = verdict_of(record, cells(8, 8), history(wilson(30, 60)), guards=FACTOR)
    assert gate_of(gained, "guards.too_good").state == "inconclusive"
    few = replace(record, metrics={**record.metrics, "cards.pass_rate": wilson(4, 5)})
    lucky = verdict_of(few, cells(8, 8), history(wilson(30, 60)), guards=FACTOR, lines=[LINE])
    assert gate_of(lucky, "guards.too_good").sentence == "1 metric compared, none better by that much."
    zero = verdict_of(record, cells(8, 8), history(wilson(0, 60)), guards=FACTOR)
    assert gate_of(zero, "guards.too_good").state == "pass"


def test_the_look_is_skipped_outside_its_tier_and_without_a_baseline(record: Record) -> None:
    late = verdict_of(record, cells(8, 8), None, guards=Guards(too_good_factor=2, tiers=["release"]))
    assert gate_of(late, "guards.too_good").state == "not_in_tier"
    none = verdict_of(record, cells(8, 8), None, guards=FACTOR, lines=[LINE, LINE.model_copy(update={"id": "again"})])
    assert gate_of(none, "guards.too_good").sentence == "No baseline: no run is accepted yet."
    assert "guards.too_good" not in {gate.id for gate in verdict_of(record, cells(8, 8), None).gates}


def test_guards_are_printed_with_their_words(record: Record, tmp_path: Path) -> None:
    verdict = verdict_of(
        record,
        {**cells(8, 8), "card-04": (0, 8)},
        accepted(record, cells(4, 4)),
        guards=Guards(mean_drop_margin=0.05, per_card_alpha=0.05, too_good_factor=2),
    )
    write_verdict(tmp_path, verdict)
    stream = io.StringIO()
    print_verdict(tmp_path, stream, width=160)
    text = stream.getvalue()
    for part in ("1 worse", "none, α 5\u202f%", "every card", "drop ≤ 5.0\u202fpt", "≤ 2 times"):
        assert part in text


def test_an_unchanged_build_passes_the_whole_gate_and_a_broken_fifth_fails_it(record: Record) -> None:
    random, words = np.random.default_rng(7), {"same": list[str](), "broken": list[str]()}
    names = [f"card-{number:02d}" for number in range(50)]
    for _ in range(40):
        rates = suite(random)
        nights = [dict(zip(names, ((int(k), 4) for k in random.binomial(4, rates)), strict=True)) for _ in range(10)]
        events = tuple(accepted(record, night, runs=1).events[0] for night in nights)
        history = History(events=tuple(event.model_copy(update={"run_id": f"n{i}"}) for i, event in enumerate(events)))
        for kind, factor in (("same", 1.0), ("broken", 0.1)):
            after = random.binomial(16, np.where(np.arange(50) < 10, factor * rates, rates))
            here = dict(zip(names, ((int(k), 16) for k in after), strict=True))
            words[kind].append(verdict_of(record, here, history).verdict)
    assert words["same"].count("pass") / 40 >= 0.95
    assert words["broken"].count("fail") / 40 >= 0.95
