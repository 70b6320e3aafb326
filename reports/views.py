"""What a report shows, as plain values: words, numbers in print, charts. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reports import format as form
from reports.charts import Interval, sparkline, strip
from reports.gates.metrics import describe_metric
from reports.gates.verdict import GateResult, GateState, Verdict, VerdictWord
from reports.records import SLOT_STATES, Estimate, Record

Past = Callable[[str], Sequence[float]]

STATE_WORDS: Mapping[GateState, str] = {
    "pass": "Pass",
    "fail": "Fail",
    "inconclusive": "Inconclusive",
    "invalid": "Invalid",
    "waived": "Waived",
    "not_in_tier": "Not in this tier",
    "not_measured": "Not measured",
    "no_baseline": "No baseline",
}
STATE_ICONS: Mapping[GateState, str] = {
    "pass": "pass",
    "fail": "fail",
    "inconclusive": "inc",
    "invalid": "inv",
    "waived": "wai",
    "not_in_tier": "non",
    "not_measured": "non",
    "no_baseline": "non",
}
VERDICT_ICONS: Mapping[VerdictWord, str] = {"pass": "pass", "fail": "fail", "inconclusive": "inc", "invalid": "inv"}
STATE_ORDER: tuple[GateState, ...] = (
    "fail",
    "invalid",
    "inconclusive",
    "waived",
    "pass",
    "no_baseline",
    "not_measured",
    "not_in_tier",
)


@dataclass(frozen=True, kw_only=True)
class GateRow:
    """One line of the gate table, ready to print. `strip` and `past` are SVG markup or empty."""

    id: str
    state: GateState
    word: str
    icon: str
    title: str
    area: str
    sentence: str
    why: str
    metric: str
    method: str
    value: str
    bound: str
    threshold: str
    counted: str
    strip: str
    past: str
    cards: list[str]
    critical: bool


@dataclass(frozen=True, kw_only=True)
class GateGroup:
    """Gates of one state (and, among those that passed, of one area)."""

    title: str
    judged: bool
    rows: list[GateRow]


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """A metric that no gate of the policy looks at."""

    name: str
    title: str
    value: str
    interval: str
    counted: str


def gate_rows(verdict: Verdict, past: Past | None = None) -> list[GateRow]:
    """All gates, those that stop a pass first; within a state in policy order, critical first.

    `past` gives what earlier runs measured of a metric, oldest first.
    """
    ordered = sorted(verdict.gates, key=lambda gate: (STATE_ORDER.index(gate.state), gate.state != "pass" and not gate.critical))
    return [_gate_row(gate, past or (lambda _: ())) for gate in ordered]


def _gate_row(gate: GateResult, past: Past) -> GateRow:
    value, bound, threshold, counted = _cells(gate)
    return GateRow(
        id=gate.id,
        state=gate.state,
        word=STATE_WORDS[gate.state],
        icon=STATE_ICONS[gate.state],
        title=gate.title,
        area=gate.area,
        sentence=gate.sentence,
        why=gate.why,
        metric=gate.metric,
        method=_method(gate),
        value=value,
        bound=bound,
        threshold=threshold,
        counted=counted,
        strip=_strip(gate),
        past=_past(gate, past),
        cards=gate.cards,
        critical=gate.critical,
    )


def _cells(gate: GateResult) -> tuple[str, str, str, str]:
    """Measured value, bound, threshold and counts in print."""
    if gate.limit == "all_repeats":
        total = int(gate.threshold)
        passed = f"{total - len(gate.cards)} of {total}" if total else form.NOTHING
        return passed, "every repeat" if total else form.NOTHING, f"all {total}" if total else form.NOTHING, form.NOTHING
    if gate.limit == "no_card_worse":
        found = f"{len(gate.cards)} worse" if gate.state in ("pass", "fail", "waived") else form.NOTHING
        return found, "every card", f"none, α {form.share(gate.threshold)}", form.NOTHING
    if gate.limit == "not_too_good":
        return form.NOTHING, "every metric", f"≤ {gate.threshold:g} times", form.NOTHING
    compares = gate.limit == "max_drop" or gate.limit == "max_rise"
    unit = describe_metric(gate.metric).unit
    value = form.change(gate.estimate.value, unit) if compares and gate.estimate is not None else _value(gate)
    return value, _bound(gate), _threshold(gate), form.of_planned(gate.measured)


def _value(gate: GateResult) -> str:
    if gate.measured is not None and gate.measured.value is None and gate.measured.n:
        return "infinite"
    return form.quantity(gate.measured.value if gate.measured else None, describe_metric(gate.metric).unit)


def _method(gate: GateResult) -> str:
    estimate = gate.estimate
    if estimate is None:
        return ""
    if gate.bound == "point":
        return "compared at the measured value"
    return f"{estimate.method}, one-sided at {estimate.confidence:.0%}"


def _bound(gate: GateResult) -> str:
    """The bound that faces the threshold; both where the gate is open."""
    estimate, unit = gate.estimate, describe_metric(gate.metric).unit
    if estimate is None or gate.bound == "point":
        return form.NOTHING if estimate is None else "measured value"
    printed = form.change if gate.limit in ("max_drop", "max_rise") else form.quantity
    low, high = (printed(x, unit) if x is not None else "∞" for x in (estimate.low, estimate.high))
    if gate.state == "inconclusive":
        return f"{low} to {high}"
    lower = (gate.limit in ("at_least", "max_drop")) == (gate.state == "pass")
    if (estimate.low if lower else estimate.high) is None:
        return "no bound"
    return f"at least {low}" if lower else f"at most {high}"


def _threshold(gate: GateResult) -> str:
    unit = describe_metric(gate.metric).unit
    if unit == "yes_no":
        return "yes"
    if gate.limit in ("max_drop", "max_rise"):
        return f"{gate.limit.removeprefix('max_')} ≤ {form.change(gate.threshold, unit).lstrip('+±')}"
    return f"{'≥' if gate.limit == 'at_least' else '≤'} {form.quantity(gate.threshold, unit)}"


def _strip(gate: GateResult) -> str:
    unit = describe_metric(gate.metric).unit
    if gate.estimate is None or gate.limit in ("all_repeats", "no_card_worse", "not_too_good") or unit == "yes_no":
        return ""
    point = gate.bound == "point"
    value = gate.estimate.value
    row = Interval(
        value=value,
        low=value if point else gate.estimate.low,
        high=value if point else gate.estimate.high,
        threshold=-gate.threshold if gate.limit == "max_drop" else gate.threshold,
        allowed_above=gate.limit in ("at_least", "max_drop"),
        state=gate.state,
        unit=unit,
    )
    return strip(row)


def _past(gate: GateResult, past: Past) -> str:
    unit = describe_metric(gate.metric).unit
    if gate.measured is None or unit == "yes_no":
        return ""
    return sparkline(past(gate.metric), gate.measured.value, state=gate.state, unit=unit)


def gate_groups(rows: list[GateRow]) -> list[GateGroup]:
    """Rows under headings, in the order they must be read."""
    groups: list[GateGroup] = []
    for state in STATE_ORDER:
        of_state = [row for row in rows if row.state == state]
        judged = state in ("fail", "invalid", "inconclusive", "waived", "pass")
        if state != "pass":
            groups += [GateGroup(title=STATE_WORDS[state], judged=judged, rows=of_state)] if of_state else []
            continue
        for area in dict.fromkeys(row.area for row in of_state):
            groups.append(GateGroup(title=f"Pass · {area}", judged=True, rows=[row for row in of_state if row.area == area]))
    return groups


def tally(rows: list[GateRow]) -> list[tuple[str, int, str]]:
    """`(icon, number, words)` of gates by state, empty states left out; the three unjudged states are one."""
    words = {"fail": "failed", "inv": "invalid", "inc": "inconclusive", "wai": "waived", "pass": "passed", "non": "not judged"}
    numbers = {icon: sum(row.icon == icon for row in rows) for icon in words}
    return [(icon, numbers[icon], word) for icon, word in words.items() if numbers[icon]]


def ungated(record: Record, verdict: Verdict) -> list[MetricRow]:
    """Measured, but no gate in this tier looks at them; null metrics say so."""
    gated = {gate.metric for gate in verdict.gates if gate.state != "not_in_tier"}
    return [_metric_row(name, record.metrics[name]) for name in sorted(record.metrics) if name not in gated]


def _metric_row(name: str, estimate: Estimate | None) -> MetricRow:
    metric = describe_metric(name)
    interval = form.NOTHING
    if estimate is not None and (estimate.low is not None or estimate.high is not None):
        low, high = (form.quantity(x, metric.unit) if x is not None else "∞" for x in (estimate.low, estimate.high))
        interval = f"{low} to {high}"
    return MetricRow(
        name=name,
        title=metric.title,
        value="not measured" if estimate is None or not estimate.n else form.quantity(estimate.value, metric.unit),
        interval=interval,
        counted=form.of_planned(estimate),
    )


def slot_table(record: Record) -> tuple[list[str], list[tuple[str, list[int], int]]]:
    """States that occur, and per suite the slots in each with their sum."""
    states = [s for s in SLOT_STATES if any(row.get(s) for row in record.slot_counts.values())]
    rows = [
        (suite, [row.get(state, 0) for state in states], sum(row.values())) for suite, row in sorted(record.slot_counts.items())
    ]
    return [state.replace("_", " ") for state in states], rows


def replayed(record: Record) -> bool:
    """Whether the answers are those of an earlier run: nothing was asked, no time was measured."""
    return record.tables.get("evidence") == "replay" or record.target.startswith("replay:")


def facts(record: Record, verdict: Verdict) -> list[tuple[str, str, str]]:
    """`(label, value, small print)` under the headline."""
    origin = record.provenance
    commit = origin.commit[:7] if origin.commit else "unknown"
    dirty = {True: "with uncommitted changes", False: "clean working tree", None: "state of the tree unknown"}[origin.dirty]
    nouns = {"cards": "card repeats", "routing": "routing cases", "load": "loaded turns"}
    evidence = ", ".join(
        form.plural(row["planned"], nouns.get(suite, suite)) for suite, row in sorted(verdict.suite_counts.items())
    )
    slots = sum(sum(row.values()) for row in record.slot_counts.values())
    load = ", ".join(f"{key} {value}" for key, value in origin.load.items())
    return [
        ("Candidate", commit, dirty),
        ("Target", record.target, f"pack {record.pack}, {'replayed from a recording' if replayed(record) else 'played live'}"),
        ("Model", origin.model, f"load: {load}" if load else ""),
        ("Policy", f"{verdict.policy}, tier {verdict.tier}", f"{sum(row.state != 'not_in_tier' for row in verdict.gates)} gates"),
        ("Evidence", evidence or "none", form.plural(slots, "slots")),
        ("Duration", form.seconds(sum(record.durations_s.values())) if record.durations_s else "unknown", ""),
        ("Run", record.run_id, f"exit code {verdict.exit_code}"),
        ("Finished", form.moment(record.created_at), ""),
    ]
