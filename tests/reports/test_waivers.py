"""A known failure may pass for a while: named, owned, dated, and shown as waived wherever a verdict is shown."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

from reports.gates.decide import decide
from reports.gates.policy import Guards, Policy, PolicyError, read_policy
from reports.gates.verdict import Verdict, write_verdict
from reports.gates.waivers import Waiver, read_waivers
from reports.records import write_record, write_slots
from reports.render import render_run
from reports.statistics.proportions import wilson
from reports.terminal import print_verdict

ROOT = Path(__file__).resolve().parents[2]
ROUTING = Waiver(
    metric="routing.accuracy", reason="head is retrained", owner="kim", expires=date(2026, 11, 12), place="waivers.yaml:2"
)
CARD = Waiver(
    card="equipment/card-00", reason="the probe is off.", owner="lee", expires=date(2026, 12, 1), place="waivers.yaml:6"
)


def gate_states(verdict: Verdict) -> dict[str, str]:
    return {gate.id: gate.state for gate in verdict.gates}


@pytest.fixture
def judge(sample: ModuleType, pr_policy: Policy) -> Callable[..., Verdict]:
    def judge(waivers: list[Waiver], metrics: dict[str, Any] | None = None, **changes: Any) -> Verdict:
        slots = changes.pop("slots", sample.card_slots())
        record = sample.make_record(slots, {**sample.good_metrics(), **(metrics or {})}, **changes)
        return decide(record, slots, pr_policy.model_copy(update={"waivers": waivers}))

    return judge


BAD: dict[str, Any] = {"routing.accuracy": wilson(1040, 1139)}


def test_a_failed_gate_under_a_waiver_is_waived_not_passed(judge: Callable[..., Verdict]) -> None:
    assert judge([], BAD).verdict == "fail"
    verdict = judge([ROUTING], BAD)
    gate = next(gate for gate in verdict.gates if gate.id == "routing.accuracy")
    assert (verdict.verdict, gate.state) == ("pass", "waived")
    assert verdict.sentence == "21 gates hold, 1 waived."
    assert gate.sentence.startswith("Waived until 2026-11-12 by kim: head is retrained. Found: 91.3\u202f%, at most 92.6\u202f%")
    assert gate.estimate == BAD["routing.accuracy"]


def test_a_waiver_changes_no_passing_gate_and_no_missing_evidence(judge: Callable[..., Verdict]) -> None:
    assert gate_states(judge([ROUTING]))["routing.accuracy"] == "pass"
    missing = judge([ROUTING], {"routing.accuracy": None})
    assert (missing.verdict, gate_states(missing)["routing.accuracy"]) == ("invalid", "invalid")
    assert judge([ROUTING], BAD, broken=["The generator fell behind"]).verdict == "invalid"


def test_an_open_gate_can_be_waived(judge: Callable[..., Verdict]) -> None:
    assert gate_states(judge([ROUTING], {"routing.accuracy": wilson(1090, 1139)}))["routing.accuracy"] == "waived"


@pytest.mark.parametrize(
    ("day", "verdict"), [("2026-11-12T23:59:59+00:00", "pass"), ("2026-11-13", "fail"), ("some day", "fail")]
)
def test_a_waiver_holds_through_its_last_day_of_the_runs_own_calendar(
    day: str, verdict: str, judge: Callable[..., Verdict]
) -> None:
    assert judge([ROUTING], BAD, created_at=day).verdict == verdict


def test_a_lapsed_waiver_is_a_fault_even_where_nothing_fails(judge: Callable[..., Verdict]) -> None:
    verdict = judge([ROUTING], created_at="2026-11-13")
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert verdict.sentence == (
        "Waivers are in force: waivers.yaml:2: the waiver of metric routing.accuracy by kim ended on 2026-11-12; "
        "repair what it covers and remove it, or renew it with a new reason."
    )


def test_a_critical_card_under_a_waiver_is_waived_and_others_still_fail(
    sample: ModuleType, judge: Callable[..., Verdict]
) -> None:
    slots = sample.failing_slots()
    verdict = judge([CARD], slots=slots)
    gate = verdict.gates[0]
    assert (verdict.verdict, gate.state, gate.cards) == ("pass", "waived", ["equipment/card-00"])
    assert gate.sentence == "equipment/card-00 fails. Waived until 2026-12-01 by lee: the probe is off."
    assert [card.card for card in verdict.failures] == ["equipment/card-00", "training/card-03"]
    both = judge([CARD], slots=sample.change_card(slots, "safety/card-06", "agent", state="timeout"))
    assert (both.gates[0].state, both.gates[0].cards) == ("fail", ["safety/card-06"])
    assert both.gates[0].sentence.endswith("Waived: equipment/card-00.")


def test_a_card_worse_than_before_can_be_waived_alone(sample: ModuleType) -> None:
    from reports.gates.counting import CardCount
    from reports.gates.guards import judge_guards
    from reports.gates.policy import Line
    from reports.gates.reference import Pool, Tally
    from reports.gates.waivers import in_force

    names = [f"card-{number}" for number in range(9)]
    broken = [
        CardCount(card=name, labels={}, repeats=8, passed=k, failed=8 - k, unjudged=0, stages={}, checks=[])
        for name, k in zip(names, [0, 0, *[8] * 7], strict=True)
    ]
    pool = Pool(runs=5, cards={name: Tally(passed=40, judged=40) for name in names}, deterministic=False, reason="")
    policy = Policy(name="p", guards=Guards(per_card_alpha=0.05), lines=[Line(metric="cards.pass_rate", at_least=0.1)])

    def judged(*cards: str) -> Any:
        waivers = [replace(CARD, card=card) for card in cards]
        (gate,) = judge_guards(sample.make_record(), broken, policy, pool, in_force(waivers, "2026-11-12"))
        return gate

    assert (judged().state, judged().cards) == ("fail", ["card-0", "card-1"])
    assert (judged("card-0").state, judged("card-0").cards) == ("fail", ["card-1"])
    assert judged("card-0").sentence.endswith("Waived: 1.")
    every = judged("card-0", "card-1")
    assert (every.state, every.cards) == ("waived", ["card-0", "card-1"])
    assert "Found: card-0 passed 0 of 8, before 40 of 40" in every.sentence


def test_a_verdict_of_waivers_alone_judged_nothing(sample: ModuleType) -> None:
    from reports.gates.policy import Line

    policy = Policy(name="p", critical_cards="ignore", waivers=[ROUTING], lines=[Line(metric="routing.accuracy", at_least=0.95)])
    verdict = decide(sample.make_record(metrics=BAD), [], policy)
    assert (verdict.verdict, verdict.reasons) == ("invalid", ["No gate could be judged in this tier on this target."])


def test_report_summary_terminal_and_junit_show_it_as_waived(
    sample: ModuleType, judge: Callable[..., Verdict], tmp_path: Path
) -> None:
    verdict = judge([ROUTING], BAD)
    write_record(tmp_path, sample.make_record(sample.card_slots(), {**sample.good_metrics(), **BAD}))
    write_slots(tmp_path / "slots.jsonl", sample.card_slots())
    (tmp_path / "transcripts.jsonl").write_text("")
    write_verdict(tmp_path, verdict)
    render_run(tmp_path)
    said = "Waived until 2026-11-12 by kim: head is retrained. Found:"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert said in page and '<span class="state s-wai">' in page and "<b>1</b> waived" in page
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "Waived, not passed:" in summary and f"- Right agent chosen: {said}" in summary and "🔕 Waived" in summary
    stream = io.StringIO()
    print_verdict(tmp_path, stream, width=120)
    row = next(line for line in stream.getvalue().splitlines() if line.startswith("~ waived"))
    assert "Right agent chosen" in row and "Waived until" in " ".join(stream.getvalue().split())
    case = ElementTree.parse(tmp_path / "junit.xml").find(".//testcase[@name='routing.accuracy']")
    skipped = case.find("skipped") if case is not None else None
    assert skipped is not None and (skipped.get("message") or "").startswith("Waived until 2026-11-12")


# The file

FAULTY = """\
waivers:
  - metric: routing.acuracy
    reason: x
    owner: kim
    expires: 2026-12-31
  - card: a
    metric: routing.accuracy
    reason: x
    owner: kim
    expires: 2026-12-31
  - card: a
    reason: ""
    ownr: kim
    expires: soon
"""


def test_all_faults_of_a_waivers_file_come_at_once(write_policy: Callable[..., Path]) -> None:
    path = write_policy(FAULTY, "waivers.yaml")
    with pytest.raises(PolicyError) as caught:
        read_waivers(path.parent)
    assert str(caught.value).splitlines() == [
        f"{path}:2: waivers[0]: unknown metric 'routing.acuracy'; did you mean 'routing.accuracy'?",
        f"{path}:6: waivers[1]: give exactly one of metric, card",
        f"{path}:12: waivers[2].reason: String should have at least 1 character",
        f"{path}:11: waivers[2].owner: Field required",
        f"{path}:14: waivers[2].expires: Input should be a valid date or datetime, input is too short",
        f"{path}:13: waivers[2].ownr: unknown field; did you mean 'owner'?",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "not a waivers: a mapping with waivers is expected"),
        ("waivers: [\n", "not YAML"),
        (
            "waivers:\n - {card: a, reason: x, owner: k, expires: 2026-12-31}\n - {card: a, reason: y, owner: k, expires: 2026-12-30}\n",
            "waivers.yaml:3: second waiver of card a, the first is at ",
        ),
        ("waivers: []\nother: 1\n", "unknown field; use one of waivers"),
    ],
)
def test_a_faulty_waivers_file_is_refused(text: str, fault: str, write_policy: Callable[..., Path]) -> None:
    with pytest.raises(PolicyError) as caught:
        read_waivers(write_policy(text, "waivers.yaml").parent)
    assert fault in str(caught.value)


def test_a_policy_takes_the_waivers_of_its_folder_with_their_places(write_policy: Callable[..., Path], tmp_path: Path) -> None:
    policy = write_policy("name: p\nlines:\n - {metric: cards.pass_rate, at_least: 0.5}\n")
    assert read_policy(policy).waivers == []
    path = write_policy("waivers:\n  - {metric: guards.cards, reason: r, owner: o, expires: 2026-12-31}\n", "waivers.yaml")
    (waiver,) = read_policy(policy).waivers
    assert waiver == Waiver(metric="guards.cards", reason="r", owner="o", expires=date(2026, 12, 31), place=f"{path}:2")
    assert read_waivers(ROOT / "datasets/gates") == []


def test_guards_and_the_window_are_read_inherited_and_checked(write_policy: Callable[..., Path]) -> None:
    base = "name: base\nbaseline: {window: 5, half_life_runs: 3}\nguards: {mean_drop_margin: 0.05}\nlines:\n - {metric: cards.pass_rate, at_least: 0.5}\n"
    write_policy(base, "base.yaml")
    policy = read_policy(write_policy("name: top\nextends: base.yaml\nguards: {per_card_alpha: 0.01}\n"))
    assert (policy.baseline.window, policy.baseline.half_life_runs) == (5, 3)
    assert policy.guards == Guards(per_card_alpha=0.01)
    path = write_policy(
        "name: bad\nbaseline: {window: 0, same: [colour]}\nguards:\n  mean_dropp: 1\nlines:\n - {metric: guards.cards, at_least: 1}\n"
    )
    with pytest.raises(PolicyError) as caught:
        read_policy(path)
    told = str(caught.value).splitlines()
    assert told[0].startswith(f"{path}:2: baseline.window: Input should be greater than or equal to 1")
    assert told[1].startswith(f"{path}:2: baseline.same[0]: Input should be 'schema'")
    assert told[2] == f"{path}:4: guards.mean_dropp: unknown field; did you mean 'mean_drop_margin'?"
    assert told[3] == f"{path}:6: lines[0].metric: 'guards.cards' is set under guards, not as a line"
