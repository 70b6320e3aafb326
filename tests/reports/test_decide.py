"""Every gate catches its planted failure; our own failures never count against the assistant."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reports.gates.decide import CRITICAL_GATE, decide
from reports.gates.policy import Line, Policy
from reports.gates.verdict import VerdictError, read_verdict, write_verdict
from reports.records import Estimate, Provenance, Slot
from reports.statistics.proportions import clopper_pearson, wilson
from reports.statistics.quantiles import quantile_estimate


def policy_of(*lines: dict[str, Any], **settings: Any) -> Policy:
    return Policy(name="test", lines=[Line(**line) for line in lines], **settings)


def states(verdict: Any) -> dict[str, str]:
    return {gate.id: gate.state for gate in verdict.gates}


def test_a_good_run_passes_every_gate(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    verdict = decide(sample.make_record(slots), slots, pr_policy)
    assert (verdict.verdict, verdict.exit_code, verdict.reasons, verdict.failures) == ("pass", 0, [], [])
    assert verdict.sentence == "All 22 gates hold."


PLANTED: dict[str, Callable[[ModuleType], Estimate]] = {
    "cards.pass_rate": lambda s: wilson(45, 60),
    "cards.tool_success": lambda s: wilson(170, 180),
    "routing.accuracy": lambda s: wilson(1040, 1139),
    "routing.recall.safety": lambda s: wilson(190, 228),
    "routing.conversations.accuracy": lambda s: wilson(170, 240),
    "load.response.p95_s": lambda s: s.times(2.4),
    "load.ttft.p95_s": lambda s: s.times(1.3),
    "load.error_rate": lambda s: clopper_pearson(15, 600),
    "load.correct_rate": lambda s: wilson(530, 600),
    "load.lost_turns": lambda s: s.exact(1, 600),
    "target.survived": lambda s: s.exact(0),
    "load.server.peak_pss_bytes": lambda s: s.exact(700e6, 120),
    "turn.overhead.p95_s": lambda s: s.times(0.03),
    "turn.overhead.mean_s": lambda s: s.times(0.7),
    "turn.switch.p95_s": lambda s: s.times(0.03),
    "store.query.p95_s": lambda s: s.times(0.2),
    "store.load.p95_s": lambda s: s.times(0.2),
}


@pytest.mark.parametrize("metric", PLANTED)
def test_each_gate_fails_on_its_planted_failure_and_no_other(metric: str, sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    record = sample.make_record(slots, {**sample.good_metrics(), metric: PLANTED[metric](sample)})
    verdict = decide(record, slots, pr_policy)
    assert (verdict.verdict, verdict.exit_code) == ("fail", 1)
    assert [gate.metric for gate in verdict.gates if gate.state == "fail"] == [metric]
    assert verdict.sentence.startswith(next(gate.title for gate in verdict.gates if gate.metric == metric))


def test_every_line_that_can_be_judged_has_a_planted_failure(pr_policy: Policy) -> None:
    judged = {line.metric.replace("*", "safety") for line in pr_policy.lines if "pr" in line.tiers and line.threshold != 0.05}
    assert judged == set(PLANTED)


@pytest.mark.parametrize("metric", PLANTED)
def test_a_planned_metric_that_is_null_is_invalid_never_a_pass(metric: str, sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    verdict = decide(sample.make_record(slots, {**sample.good_metrics(), metric: None}), slots, pr_policy)
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)


def test_a_metric_nobody_recorded_is_invalid(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    metrics = {name: value for name, value in sample.good_metrics().items() if not name.startswith("routing.recall")}
    verdict = decide(sample.make_record(slots, metrics), slots, pr_policy)
    assert (verdict.verdict, states(verdict)["routing.recall.*"]) == ("invalid", "invalid")


def test_what_the_target_cannot_show_is_listed_and_blocks_nothing(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    metrics = {name: value for name, value in sample.good_metrics().items() if not name.startswith("load.")}
    hidden = {"load": "load was not part of this run.", "routing.ece": "no confidence"}
    verdict = decide(sample.make_record(slots, metrics, not_measurable=hidden), slots, pr_policy)
    assert verdict.verdict == "pass"
    assert states(verdict)["load.error_rate"] == "not_measured"
    assert "not measured" in verdict.sentence


def test_promises_nobody_measures_yet_show_and_never_block(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    late = decide(sample.make_record(slots, tier="nightly"), slots, pr_policy)
    assert (late.verdict, states(late)["voice.ttft.p95_s"]) == ("pass", "not_measured")
    planned = {**sample.good_metrics(), "voice.ttft.p95_s": None}
    tried = decide(sample.make_record(slots, planned, tier="nightly"), slots, pr_policy)
    assert (tried.verdict, states(tried)["voice.ttft.p95_s"]) == ("invalid", "invalid")
    assert states(decide(sample.make_record(slots), slots, pr_policy))["voice.ttft.p95_s"] == "not_in_tier"


def test_an_interval_across_the_threshold_is_inconclusive_and_says_how_many_more(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    verdict = decide(
        sample.make_record(slots, {**sample.good_metrics(), "routing.accuracy": wilson(1090, 1139)}), slots, pr_policy
    )
    assert (verdict.verdict, verdict.exit_code) == ("inconclusive", 2)
    assert verdict.sentence == (
        "Right agent chosen: 95.7\u202f%, could be as low as 94.6\u202f%; required: at least 95\u202f%. "
        "About 1,499 more cases would decide."
    )
    exactly = decide(sample.make_record(slots, {**sample.good_metrics(), "routing.accuracy": wilson(190, 200)}), slots, pr_policy)
    assert "More of the same would not decide." in exactly.sentence


def test_eighteen_of_twenty_never_pass_a_ninety_percent_gate() -> None:
    gate = policy_of({"metric": "cards.pass_rate", "at_least": 0.9})
    from_sample = Estimate(**wilson(18, 20).__dict__)
    record = _record({"cards.pass_rate": from_sample})
    assert decide(record, [], gate).verdict == "inconclusive"


def _record(metrics: dict[str, Estimate | None], **changes: Any) -> Any:
    from reports.records import Record

    base = Record(
        run_id="r",
        created_at="2026-01-01",
        tier="pr",
        pack="p",
        target="t",
        provenance=Provenance(
            commit=None,
            dirty=None,
            versions={},
            seeds={},
            digests={"policy": "1", "cards": "2", "routing": "3"},
            machine={"cpu": "one"},
            model="m",
            load={"users": "5"},
        ),
        slot_counts={},
        metrics=metrics,
        not_measurable={},
        broken=[],
        durations_s={},
        tables={},
    )
    return replace(base, **changes)


def test_errors_that_reach_the_percentile_fail_it() -> None:
    gate = policy_of({"metric": "load.response.p95_s", "at_most": 2.0})
    broken = quantile_estimate([0.1] * 80 + [float("inf")] * 20, 0.95, planned=100)
    verdict = decide(_record({"load.response.p95_s": broken}), [], gate)
    assert verdict.verdict == "fail"
    assert "infinite" in verdict.sentence
    point = policy_of({"metric": "load.response.p95_s", "at_most": 2.0, "bound": "point"})
    assert decide(_record({"load.response.p95_s": broken}), [], point).verdict == "fail"


def test_too_few_turns_cannot_certify_a_percentile() -> None:
    gate = policy_of({"metric": "load.response.p95_s", "at_most": 2.0})
    verdict = decide(_record({"load.response.p95_s": quantile_estimate([0.1] * 40, 0.95, planned=40)}), [], gate)
    assert verdict.verdict == "inconclusive"
    assert "not enough samples" in verdict.sentence and "About 19 more turns" in verdict.sentence


def test_a_shrinking_denominator_turns_nothing_green() -> None:
    gate = policy_of({"metric": "cards.pass_rate", "at_least": 0.5})
    verdict = decide(_record({"cards.pass_rate": wilson(50, 50, planned=100)}), [], gate)
    assert verdict.verdict == "invalid"
    assert "50\u202f/\u202f50 of 100 planned" in verdict.sentence
    assert decide(_record({"cards.pass_rate": wilson(0, 0, planned=9)}), [], gate).verdict == "invalid"


def test_bounds_below_the_policys_confidence_are_refused() -> None:
    gate = policy_of({"metric": "cards.pass_rate", "at_least": 0.5})
    assert decide(_record({"cards.pass_rate": wilson(50, 50, confidence=0.8)}), [], gate).verdict == "invalid"


def test_our_failures_are_never_the_assistants(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.change_card(sample.card_slots(), "training/card-03", "must_say", state="judge_error", stage="judge")
    verdict = decide(sample.make_record(slots), slots, pr_policy)
    assert verdict.verdict == "invalid"
    assert verdict.sentence.startswith("1 of 60 planned card repeats could not be judged, allowed 1\u202f%.")
    assert [(card.card, card.failed, card.unjudged) for card in verdict.failures] == [("training/card-03", 0, 1)]
    lenient = pr_policy.model_copy(update={"max_unjudged": 0.02})
    assert decide(sample.make_record(slots), slots, lenient).verdict == "pass"


def test_one_failed_check_fails_a_repeat_even_beside_an_unjudged_one(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.change_card(sample.failing_slots(), "training/card-03", "tools", state="judge_error")
    verdict = decide(sample.make_record(slots), slots, pr_policy)
    assert verdict.suite_counts["cards"] == {"planned": 60, "passed": 58, "failed": 2, "unjudged": 0}


def test_advisory_checks_never_fail_a_card(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.change_card(sample.card_slots(), "equipment/card-00", "tools", state="fail", advisory=True, stage="tool")
    verdict = decide(sample.make_record(slots), slots, pr_policy)
    assert (verdict.verdict, verdict.blame, verdict.failures) == ("pass", None, [])


def test_one_failure_of_a_critical_card_stops_the_release(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.failing_slots()
    verdict = decide(sample.make_record(slots), slots, pr_policy, reproduce="assay eval smoke --card {card}")
    assert verdict.sentence == (
        "Critical card equipment/card-00 fails 1 of 1 repeat: the answer says 145 °F where 165 °F is required."
    )
    assert (verdict.blame, verdict.stage_counts) == ("routing", {"tool": 1, "routing": 2})
    first, second = verdict.failures
    assert (first.card, first.stage, first.reproduce) == (
        "equipment/card-00",
        "tool",
        "assay eval smoke --card equipment/card-00",
    )
    assert [(check.evaluator, check.expected, check.got) for check in first.checks] == [("must_say", "165 °F", "145 °F")]
    assert (second.card, second.stage) == ("training/card-03", "routing")


def test_several_critical_failures_are_all_named_and_unjudged_ones_are_invalid(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    for card in ("equipment/card-00", "safety/card-06"):
        slots = sample.change_card(slots, card, "agent", state="timeout")
    gate = decide(sample.make_record(slots), slots, pr_policy).gates[0]
    assert (gate.state, gate.cards) == ("fail", ["equipment/card-00", "safety/card-06"])
    assert gate.sentence.endswith("So do safety/card-06.")
    unjudged = sample.change_card(sample.card_slots(), "equipment/card-00", "agent", state="not_run")
    assert decide(sample.make_record(unjudged), unjudged, pr_policy).gates[0].state == "invalid"


def test_critical_cards_can_be_left_out_by_policy(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.failing_slots()
    verdict = decide(sample.make_record(slots), slots, pr_policy.model_copy(update={"critical_cards": "ignore"}))
    assert CRITICAL_GATE not in states(verdict)


def test_a_target_that_never_answered_is_invalid(sample: ModuleType, pr_policy: Policy) -> None:
    slots = [replace(slot, state="agent_error") for slot in sample.card_slots()]
    verdict = decide(sample.make_record(slots), slots, pr_policy)
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert verdict.sentence.startswith("The assistant never answered")


def test_a_target_that_died_after_answering_fails(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    verdict = decide(
        sample.make_record(slots, {**sample.good_metrics(), "target.survived": clopper_pearson(0, 1)}), slots, pr_policy
    )
    assert (verdict.verdict, verdict.sentence) == ("fail", "Assistant survived the run: No.")


def test_broken_evidence_beats_any_gate(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.failing_slots()
    verdict = decide(sample.make_record(slots, broken=["The generator fell behind"]), slots[1:], pr_policy)
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert verdict.sentence == "The generator fell behind. Nothing is concluded about the assistant. 1 more fault below."
    assert verdict.reasons[1] == "The record counts 180 card slots, slots.jsonl holds 179: evidence was lost."


def test_a_run_that_judges_nothing_is_invalid() -> None:
    verdict = decide(_record({}), [], policy_of({"metric": "cards.pass_rate", "at_least": 0.9, "tiers": ["release"]}))
    assert (verdict.verdict, verdict.sentence.split(".")[0]) == ("invalid", "No gate could be judged in this tier on this target")


def test_fail_beats_invalid_beats_inconclusive() -> None:
    lines: list[dict[str, Any]] = [
        {"metric": "cards.pass_rate", "at_least": 0.9},
        {"metric": "load.error_rate", "at_most": 0.01},
        {"metric": "load.lost_turns", "at_most": 0, "bound": "point"},
    ]
    metrics: dict[str, Estimate | None] = {
        "cards.pass_rate": wilson(18, 20),
        "load.error_rate": None,
        "load.lost_turns": wilson(1, 9),
    }
    assert decide(_record(metrics), [], policy_of(*lines)).verdict == "fail"
    assert decide(_record(metrics), [], policy_of(*lines[:2])).verdict == "invalid"
    assert decide(_record(metrics), [], policy_of(*lines[:1])).verdict == "inconclusive"


DROP = {"id": "drop", "metric": "cards.pass_rate", "max_drop": 0.05}
RISE = {"id": "rise", "metric": "load.response.p95_s", "max_rise": 0.2}


@pytest.mark.parametrize(
    ("candidate", "state"),
    [((950, 1000), "pass"), ((850, 1000), "fail"), ((17, 20), "inconclusive")],
)
def test_a_drop_is_judged_against_the_margin(candidate: tuple[int, int], state: str) -> None:
    base = _record({"cards.pass_rate": wilson(950, 1000)})
    verdict = decide(_record({"cards.pass_rate": wilson(*candidate)}), [], policy_of(DROP), baseline=base)
    assert states(verdict)["drop"] == state
    assert "against the baseline" in verdict.gates[1].sentence


@pytest.mark.parametrize(("p95_s", "state"), [(1.0, "pass"), (1.6, "fail")])
def test_a_rise_is_judged_on_the_same_machine_only(p95_s: float, state: str, sample: ModuleType) -> None:
    name = "load.response.p95_s"
    base = _record({name: sample.times(1.0)})
    here = _record({name: sample.times(p95_s)})
    assert states(decide(here, [], policy_of(RISE), baseline=base))["rise"] == state
    other = replace(base, provenance=replace(base.provenance, machine={"cpu": "two"}))
    verdict = decide(here, [], policy_of(RISE), baseline=other)
    assert states(verdict)["rise"] == "no_baseline"
    unknown = replace(base, provenance=replace(base.provenance, machine={}))
    assert states(decide(unknown, [], policy_of(RISE), baseline=unknown))["rise"] == "no_baseline"


def test_no_baseline_is_said_and_blocks_only_where_required() -> None:
    record = _record({"cards.pass_rate": wilson(59, 60)})
    gates = policy_of({"metric": "cards.pass_rate", "at_least": 0.5}, DROP)
    assert (decide(record, [], gates).verdict, states(decide(record, [], gates))["drop"]) == ("pass", "no_baseline")
    required = policy_of({**DROP, "baseline": "required"})
    assert decide(record, [], required).verdict == "invalid"
    foreign = _record({"cards.pass_rate": wilson(59, 60)}, pack="other")
    assert "pack differs: p here, other in the baseline" in decide(record, [], required, baseline=foreign).sentence
    empty = _record({})
    assert "did not measure it" in decide(record, [], required, baseline=empty).sentence


def test_a_failing_card_gate_names_its_cards(sample: ModuleType) -> None:
    slots = sample.failing_slots()
    lines = [
        {"metric": "cards.pass_rate", "at_least": 0.99},
        {"metric": "cards.training.pass_rate", "at_least": 0.99},
        {"metric": "cards.agent.equipment.pass_rate", "at_least": 0.99},
        {"metric": "cards.tool_success", "at_least": 0.99},
    ]
    bad = {line["metric"]: wilson(1, 60) for line in lines}
    verdict = decide(sample.make_record(slots, bad), slots, policy_of(*lines))
    both = ["equipment/card-00", "training/card-03"]
    assert [gate.cards for gate in verdict.gates[1:]] == [both, both[1:], both[:1], both]


def test_a_card_id_is_quoted_for_the_shell(sample: ModuleType, pr_policy: Policy) -> None:
    slot = Slot(slot_id="1", suite="cards", card="a b;rm", repeat=0, evaluator="agent", state="fail")
    verdict = decide(sample.make_record([slot]), [slot], pr_policy)
    assert verdict.failures[0].reproduce == "assay eval --card 'a b;rm'"


def test_a_verdict_reads_back_as_written(sample: ModuleType, pr_policy: Policy, tmp_path: Path) -> None:
    slots = sample.failing_slots()
    verdict = decide(sample.make_record(slots), slots, pr_policy)
    assert read_verdict(write_verdict(tmp_path, verdict)) == verdict


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "cannot be read"),
        ("{", "not JSON"),
        ("[]", "schema_version is None"),
        ('{"schema_version": 99}', "schema_version is 99"),
        ('{"schema_version": 1}', "not a verdict"),
    ],
)
def test_an_unreadable_verdict_is_one_sentence(text: str | None, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(VerdictError, match=fault):
        read_verdict(path)


def test_a_verdict_with_a_row_of_another_shape_is_refused(sample: ModuleType, pr_policy: Policy, tmp_path: Path) -> None:
    path = write_verdict(tmp_path, decide(sample.make_record(), [], pr_policy))
    data = json.loads(path.read_text())
    data["gates"][0]["surprise"] = 1
    path.write_text(json.dumps(data))
    with pytest.raises(VerdictError, match="surprise"):
        read_verdict(path)


def on_machine(sample: ModuleType, lap_s: float, **metrics: Estimate) -> dict[str, Estimate]:
    return {**sample.good_metrics(), "machine.lap.p50_s": quantile_estimate([lap_s] * 100, 0.5, planned=100), **metrics}


@pytest.mark.parametrize(
    ("lap_s", "overhead_s", "state", "slow"),
    [
        (0.003, 0.030, "fail", False),
        (0.006, 0.030, "inconclusive", True),
        (0.006, 0.048, "inconclusive", True),
        (0.006, 0.055, "fail", False),
        (0.0031, 0.030, "fail", False),
        (0.006, 0.015, "pass", False),
        (0.001, 0.030, "fail", False),
    ],
)
def test_a_slow_machine_excuses_only_what_it_explains_and_never_into_a_pass(
    sample: ModuleType, pr_policy: Policy, lap_s: float, overhead_s: float, state: str, slow: bool
) -> None:
    metrics = on_machine(sample, lap_s, **{"turn.overhead.p95_s": sample.times(overhead_s)})
    slots = sample.card_slots()
    verdict = decide(sample.make_record(slots, metrics), slots, pr_policy)
    gate = next(gate for gate in verdict.gates if gate.id == "turn.overhead.p95_s")
    assert (gate.state, gate.slow_machine) == (state, slow)
    assert ("times slower" in gate.sentence) is slow


@pytest.mark.parametrize(
    ("waiting", "overhead_s", "state", "slow"),
    [
        (0.30, 0.045, "inconclusive", True),
        (0.04, 0.045, "fail", False),
        (0.30, 0.015, "pass", False),
        (0.30, 0.200, "fail", False),
    ],
)
def test_times_of_a_busy_machine_decide_nothing_unless_they_are_far_off(
    sample: ModuleType, pr_policy: Policy, waiting: float, overhead_s: float, state: str, slow: bool
) -> None:
    share = Estimate(value=waiting, low=waiting, high=waiting, k=None, n=100, planned=100, confidence=1.0, method="schedstat")
    busy = {"machine.waiting_share": share, "turn.overhead.p95_s": sample.times(overhead_s)}
    slots = sample.card_slots()
    verdict = decide(sample.make_record(slots, on_machine(sample, 0.003, **busy)), slots, pr_policy)
    gate = next(gate for gate in verdict.gates if gate.id == "turn.overhead.p95_s")
    assert (gate.state, gate.slow_machine) == (state, slow)
    assert ("of the time was spent waiting" in gate.sentence) is slow


def test_a_slow_machine_excuses_no_wrong_answers(sample: ModuleType, pr_policy: Policy) -> None:
    metrics = on_machine(sample, 0.02, **{"routing.accuracy": wilson(1040, 1139)})
    slots = sample.card_slots()
    assert states(decide(sample.make_record(slots, metrics), slots, pr_policy))["routing.accuracy"] == "fail"


def test_a_policy_without_a_machine_believes_every_time(sample: ModuleType) -> None:
    slots = sample.card_slots()
    metrics = on_machine(sample, 0.02, **{"turn.overhead.p95_s": sample.times(0.03)})
    policy = policy_of({"metric": "turn.overhead.p95_s", "at_most": 0.02})
    assert states(decide(sample.make_record(slots, metrics), slots, policy))["turn.overhead.p95_s"] == "fail"
