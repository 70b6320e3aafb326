"""The verdict on a record: one pure function from evidence and policy to pass, fail, inconclusive or invalid."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import get_args

from reports.format import count, plural, share
from reports.gates.counting import Counts, count_slots
from reports.gates.critical import CRITICAL_GATE, critical_gate
from reports.gates.guards import judge_guards
from reports.gates.lines import judge_line
from reports.gates.policy import Policy
from reports.gates.reference import AcceptedRuns, OneRecord, Reference
from reports.gates.too_good import judge_too_good
from reports.gates.verdict import EXIT_CODES, JUDGED_STATES, FailingCard, GateResult, GateState, Verdict, VerdictWord
from reports.gates.waivers import in_force, lapsed_gate, waive
from reports.history import History
from reports.records import Record, Slot, Stage

REPRODUCE = "assay eval --card {card}"


def decide(  # noqa: PLR0913  evidence, rules and what to compare with: each may come alone
    record: Record,
    slots: Iterable[Slot],
    policy: Policy,
    *,
    baseline: Record | None = None,
    history: History | None = None,
    reproduce: str = REPRODUCE,
) -> Verdict:
    """Judge a record by a policy. Pure: same inputs, same verdict.

    `slots` is read once, as a stream. Evidence that is broken for the whole run gives `invalid`; else any failed gate gives
    `fail`, then `invalid`, then `inconclusive`, then `pass`. Lines against a baseline compare with the record `baseline` where it
    is given, else with the comparable accepted runs of `history`; guards compare with `history` alone. Waivers of the policy hold
    by the day of the record. `reproduce` is the command shown with a failing card, `{card}` its shell-quoted id.
    """
    counts = count_slots(slots)
    gates = _judge(record, counts, policy, baseline, history)
    faults = _run_faults(record, counts, policy, gates)
    word = _word(faults, gates)
    blame = _most(counts.stages)
    stopping = [gate for gate in gates if gate.state in JUDGED_STATES and gate.state != "pass"]
    ordered = sorted(stopping, key=lambda gate: (_RANK.index(gate.state), not gate.critical))
    return Verdict(
        verdict=word,
        exit_code=EXIT_CODES[word],
        sentence=_headline(word, faults, gates, ordered),
        reasons=[*faults, *(f"{gate.title}: {gate.sentence}" for gate in ordered)],
        run_id=record.run_id,
        policy=policy.name,
        tier=record.tier,
        gates=gates,
        failures=_failures(counts, reproduce),
        blame=blame,
        stage_counts={str(stage): number for stage, number in counts.stages.items()},
        suite_counts=counts.suites,
    )


def _judge(record: Record, counts: Counts, policy: Policy, baseline: Record | None, history: History | None) -> list[GateResult]:
    """Results of all gates, waivers applied: critical cards, lines, guards."""
    accepted = AcceptedRuns(record=record, history=history or History(), options=policy.baseline)
    reference: Reference = accepted if baseline is None else OneRecord(record=record, baseline=baseline, options=policy.baseline)
    waived = in_force(policy.waivers, record.created_at)
    gates = [result for line in policy.lines for result in judge_line(line, record, policy, reference)]
    too_good = judge_too_good(gates, policy, reference, record.tier)
    if policy.critical_cards == "all_repeats":
        gates.insert(0, critical_gate(record, counts, waived))
    gates += judge_guards(record, counts.cards, policy, accepted.pool(), waived)
    late = [gate for gate in (too_good, lapsed_gate(waived, record.tier)) if gate is not None]
    return [waive(_naming_cards(gate, counts), waived) for gate in (*gates, *late)]


_RANK: tuple[GateState, ...] = tuple(get_args(GateState))


def _run_faults(record: Record, counts: Counts, policy: Policy, gates: list[GateResult]) -> list[str]:
    """Why the evidence of the whole run is unusable, a sentence each."""
    faults = [text if text.endswith(".") else f"{text}." for text in record.broken]
    if counts.answered is False:
        faults.append("The assistant never answered, so nothing could be measured.")
    faults += _lost_slots(record.slot_counts, counts)
    if counts.duplicates:
        faults.append(
            f"{plural(counts.duplicates, 'slots')} too many: an id is there more than once, and every planned slot ends in exactly one state."
        )
    for suite, total in counts.suites.items():
        unjudged, planned = total["unjudged"], total["planned"]
        if unjudged > policy.max_unjudged * planned:
            allowed = share(policy.max_unjudged)
            faults.append(
                f"{count(unjudged)} of {count(planned)} planned {suite.removesuffix('s')} repeats could not be judged, allowed {allowed}."
            )
    if not any(gate.state in JUDGED_STATES for gate in gates):
        faults.append("No gate could be judged in this tier on this target.")
    return faults


def _lost_slots(recorded: Mapping[str, Mapping[str, int]], counts: Counts) -> list[str]:
    faults: list[str] = []
    for suite in sorted({*recorded, *counts.states}):
        there, here = sum(recorded.get(suite, {}).values()), sum(counts.states.get(suite, {}).values())
        if there != here:
            faults.append(
                f"The record counts {count(there)} {suite.removesuffix('s')} slots, slots.jsonl holds {count(here)}: evidence was lost."
            )
    return faults


def _naming_cards(gate: GateResult, counts: Counts) -> GateResult:
    """A card gate that does not pass names the cards that failed within it."""
    if gate.cards or gate.state not in ("fail", "inconclusive") or not gate.metric.startswith("cards."):
        return gate
    parts = gate.metric.removeprefix("cards.").removesuffix("pass_rate").strip(".").split(".")
    wanted = {"agent": parts[1]} if len(parts) == 2 else {"area": parts[0]} if parts != [""] else {}
    if gate.metric == "cards.tool_success":
        wanted = {}
    names = [card.card for card in counts.cards if card.failed and all(card.labels.get(k) == v for k, v in wanted.items())]
    return replace(gate, cards=names)


def _word(faults: list[str], gates: list[GateResult]) -> VerdictWord:
    if faults:
        return "invalid"
    states = {gate.state for gate in gates}
    order: tuple[VerdictWord, ...] = ("fail", "invalid", "inconclusive")
    for word in order:
        if word in states:
            return word
    return "pass"


def _headline(word: VerdictWord, faults: list[str], gates: list[GateResult], stopping: list[GateResult]) -> str:
    if faults:
        more = f" {plural(len(faults) - 1, 'more faults')} below." if len(faults) > 1 else ""
        return f"{faults[0]} Nothing is concluded about the assistant.{more}"
    if word == "pass":
        judged = [gate for gate in gates if gate.state == "pass"]
        unseen = sum(gate.state == "not_measured" for gate in gates)
        waived = sum(gate.state == "waived" for gate in gates)
        left = f" {plural(unseen, 'lines')} not measured." if unseen else ""
        lead = f"{'All ' if len(judged) > 1 and not waived else ''}{plural(len(judged), 'gates')} hold{'s' if len(judged) == 1 else ''}"
        return f"{lead}{f', {count(waived)} waived' if waived else ''}.{left}"
    first = stopping[0]
    return first.sentence if first.id == CRITICAL_GATE else f"{first.title}: {first.sentence}"


def _failures(counts: Counts, reproduce: str) -> list[FailingCard]:
    """Failing cards first by severity, then by name; unjudged ones after all failed ones."""
    order = {"critical": 0, "major": 1, "minor": 2}
    cards = [card for card in counts.cards if card.failed or card.unjudged]
    cards.sort(key=lambda card: (not card.failed, order.get(card.labels.get("severity", ""), 3), card.card))
    return [
        FailingCard(
            card=card.card,
            labels=dict(card.labels),
            repeats=card.repeats,
            passed=card.passed,
            failed=card.failed,
            unjudged=card.unjudged,
            stage=_most(card.stages),
            checks=card.checks,
            reproduce=reproduce.replace("{card}", shlex.quote(card.card)),
        )
        for card in cards
    ]


def _most(stages: Mapping[Stage, int]) -> Stage | None:
    return max(sorted(stages), key=lambda stage: stages[stage], default=None)
