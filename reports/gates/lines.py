"""One policy line judged against one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

from reports.format import change, of_planned, plural, quantity, share
from reports.gates.metrics import Metric, describe_metric
from reports.gates.policy import Line, Policy
from reports.gates.reference import NOTHING, Reference
from reports.gates.verdict import GateResult, GateState
from reports.records import Estimate, Record
from reports.statistics.differences import difference
from reports.statistics.quantiles import INFINITE
from reports.statistics.sample_size import more_needed

LAP = "machine.lap.p50_s"
WAITING = "machine.waiting_share"
LAP_SPREAD = 1.25
"""From one machine to another the lap took 1.4 times as long and own times of the same build 1.6 times: it explains slowness that well, no better."""
BUSY_FACTOR = 5.0
"""Where three programs shared each core, the p95 of own times was 2 to 4.5 times that of the free machine; docs/decisions/0006-slow-machines.md."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What became of one line: its state, the sentence, and the numbers it rests on."""

    state: GateState
    sentence: str
    estimate: Estimate | None = None
    measured: Estimate | None = None
    more: int | None = None
    slow_machine: bool = False


def judge_line(line: Line, record: Record, policy: Policy, reference: Reference | None) -> list[GateResult]:
    """Results of a line: one, or one per measured name when its metric ends in `*`. Pure."""
    names = [line.metric]
    if "*" in line.metric:
        head, _, tail = line.metric.partition("*")
        names = (
            sorted(n for n in record.metrics if n.startswith(head) and n.endswith(tail) and len(n) > len(head + tail)) or names
        )
    return [_judge_one(line, name, record, policy, reference) for name in names]


def _judge_one(line: Line, name: str, record: Record, policy: Policy, reference: Reference | None) -> GateResult:
    metric = describe_metric(name)
    if "*" in name:
        metric = describe_metric(name.replace("*", "each"))
    found = _absent(line, name, record) or _measured(line, metric, record, policy, reference)
    key = (
        line.key
        if name == line.metric
        else f"{line.id or line.metric.partition('*')[0]}{'.' if line.id else ''}{_tail(line, name)}"
    )
    return GateResult(
        id=key,
        metric=name,
        title=(line.title or metric.title).replace("{name}", _tail(line, name)),
        area=metric.area,
        state=found.state,
        sentence=found.sentence,
        limit=line.limit,
        threshold=line.threshold,
        bound=line.bound,
        tiers=list(line.tiers),
        estimate=found.estimate,
        measured=found.measured,
        more_needed=found.more,
        critical=line.critical,
        why=line.why,
        slow_machine=found.slow_machine,
    )


def _tail(line: Line, name: str) -> str:
    head, _, tail = line.metric.partition("*")
    return name[len(head) : len(name) - len(tail)] if "*" in line.metric else name


def _absent(line: Line, name: str, record: Record) -> _Found | None:
    """Why there is nothing to judge, if so."""
    if record.tier not in line.tiers:
        return _Found(state="not_in_tier", sentence=f"Judged in {' and '.join(line.tiers)}, not in {record.tier}.")
    if record.metrics.get(name) is not None:
        return None
    reason = _hidden(name, record.not_measurable)
    if reason:
        return _Found(state="not_measured", sentence=f"Not measurable here: {reason}.")
    if line.planned == "later" and name not in record.metrics:
        return _Found(state="not_measured", sentence="Promised, but nothing measures it yet.")
    if name in record.metrics:
        return _Found(state="invalid", sentence="Planned, but this run could not measure it.")
    return _Found(state="invalid", sentence="This run did not record it, so nothing can be said.")


def _hidden(name: str, not_measurable: Mapping[str, str]) -> str:
    for key, reason in not_measurable.items():
        if name == key or name.startswith(f"{key}."):
            return reason.rstrip(".")
    return ""


def _measured(line: Line, metric: Metric, record: Record, policy: Policy, reference: Reference | None) -> _Found:
    estimate = record.metrics[metric.name]
    if estimate is None or (estimate.value is None and estimate.n == 0):
        return _Found(state="invalid", sentence=f"None of {_of(estimate)} planned was measured.", measured=estimate)
    missing = max(0, estimate.planned - estimate.n)
    if missing > policy.max_unjudged * estimate.planned:
        sentence = (
            f"Only {of_planned(estimate)} {metric.counted} were measured; at most {policy.max_unjudged:.1%} may be missing."
        )
        return _Found(state="invalid", sentence=sentence, estimate=estimate, measured=estimate)
    if line.bound == "ci" and estimate.confidence < policy.confidence:
        sentence = f"Its bounds hold at {estimate.confidence:.0%}, the policy asks for {policy.confidence:.0%}."
        return _Found(state="invalid", sentence=sentence, estimate=estimate, measured=estimate)
    if line.limit in ("max_drop", "max_rise"):
        return _compared(line, metric, policy, estimate, reference)
    found = _against(line, metric, estimate)
    if metric.unit != "seconds" or found.state not in ("fail", "inconclusive"):
        return found
    slowness = _slowness(record, policy)
    waited = _waited(record, policy)
    if waited is not None:
        return _on_busy_machine(found, line, waited, slowness)
    return _on_slow_machine(found, line, slowness)


def _slowness(record: Record, policy: Policy) -> float:
    """How many times slower this machine is, for certain, than the slowest the policy believes; 1 when it is not."""
    lap = record.metrics.get(LAP)
    if policy.machine is None or lap is None or lap.low is None:
        return 1.0
    return max(1.0, lap.low / policy.machine.lap_s)


def _waited(record: Record, policy: Policy) -> float | None:
    """The share of time spent waiting for a processor, where it is more than the policy allows."""
    waiting = record.metrics.get(WAITING)
    most = policy.machine.waiting if policy.machine else None
    if most is None or waiting is None or waiting.value is None or waiting.value <= most:
        return None
    return waiting.value


def _on_busy_machine(found: _Found, line: Line, waited: float, slowness: float) -> _Found:
    """A time over its limit, but not five times over, decides nothing where the work had to wait for a processor."""
    if found.estimate is None or _bounds(line, found.estimate)[0] / slowness > BUSY_FACTOR * line.threshold:
        return found
    sentence = f"{found.sentence} {share(waited)} of the time was spent waiting for a processor that other programs held; measure on a free machine."
    return replace(found, state="inconclusive", sentence=sentence, slow_machine=True)


def _on_slow_machine(found: _Found, line: Line, slowness: float) -> _Found:
    """A time over its limit decides nothing where the slowness of the machine explains it, as well as a lap can tell."""
    if slowness == 1.0 or found.estimate is None:
        return found
    low, _, _ = _bounds(line, found.estimate)
    if low / (slowness * LAP_SPREAD) > line.threshold:
        return found
    sentence = f"{found.sentence} This machine is {slowness:.1f} times slower than the policy asks for, which explains it."
    return replace(found, state="inconclusive", sentence=sentence, slow_machine=True)


def _of(estimate: Estimate | None) -> int:
    return estimate.planned if estimate else 0


def _bounds(line: Line, estimate: Estimate) -> tuple[float, float, float]:
    """Low, value, high as comparable numbers: unbounded and infinite sides become infinities."""
    value = inf if estimate.value is None else estimate.value
    if line.bound == "point":
        return value, value, value
    low = estimate.low if estimate.low is not None else (inf if estimate.method.endswith(INFINITE) else -inf)
    return low, value, inf if estimate.high is None else estimate.high


def _state(*, low: float, high: float, limit: float, upward: bool) -> GateState:
    """`upward`: larger is better. A bound exactly on the limit is on the allowed side."""
    if upward:
        return "pass" if low >= limit else "fail" if high < limit else "inconclusive"
    return "pass" if high <= limit else "fail" if low > limit else "inconclusive"


def _against(line: Line, metric: Metric, estimate: Estimate) -> _Found:
    low, _, high = _bounds(line, estimate)
    upward = line.limit == "at_least"
    state = _state(low=low, high=high, limit=line.threshold, upward=upward)
    more = more_needed(estimate, line.threshold) if state == "inconclusive" else None
    measured = "infinite: errors alone reach it" if estimate.value is None else quantity(estimate.value, metric.unit)
    wanted = _wanted(line, metric)
    if metric.unit == "yes_no":
        sentence = "Yes." if state == "pass" else "No."
    elif state == "inconclusive":
        sentence = f"{measured}, could be {_could_be(estimate, metric, upward=upward)}; {wanted}. {_more(more, metric)}"
    elif line.bound == "point" or estimate.value is None:
        sentence = f"{measured}; {wanted}."
    else:
        sentence = f"{measured}, {_facing(estimate, metric, worst=state == 'pass', upward=upward)}; {wanted}."
    return _Found(state=state, sentence=sentence, estimate=estimate, measured=estimate, more=more)


def _wanted(line: Line, metric: Metric) -> str:
    word = "required: at least" if line.limit == "at_least" else "allowed: at most"
    return f"{word} {quantity(line.threshold, metric.unit)}"


def _facing(estimate: Estimate, metric: Metric, *, worst: bool, upward: bool) -> str:
    """The bound that decides: the worst case when passing, the best case when failing."""
    lower = upward == worst
    bound = estimate.low if lower else estimate.high
    if bound is None:
        return "with no bound on that side"
    return f"{'at least' if lower else 'at most'} {quantity(bound, metric.unit)}"


def _could_be(estimate: Estimate, metric: Metric, *, upward: bool) -> str:
    bound = estimate.low if upward else estimate.high
    if bound is None:
        return "anything (not enough samples for a bound)"
    return f"as {'low' if upward else 'high'} as {quantity(bound, metric.unit)}"


def _more(more: int | None, metric: Metric) -> str:
    if more is None:
        return "More of the same would not decide."
    return f"About {plural(more, f'more {metric.counted}')} would decide."


def _compared(line: Line, metric: Metric, policy: Policy, estimate: Estimate, reference: Reference | None) -> _Found:
    base, reason = reference.estimate(metric.name) if reference else (None, NOTHING)
    if base is None:
        needed = line.baseline == "required" or (line.baseline is None and policy.baseline.required)
        sentence = f"{reason}{'; a baseline is required' if needed else ''}."
        return _Found(state="invalid" if needed else "no_baseline", sentence=sentence, measured=estimate)
    delta = difference(estimate, base)
    drop = line.limit == "max_drop"
    low, _, high = _bounds(line, delta)
    limit = -line.threshold if drop else line.threshold
    state = _state(low=low, high=high, limit=limit, upward=drop)
    facing = delta.low if (state == "fail") != drop else delta.high
    bound = f"{'at best' if state == 'fail' else 'at worst'} {change(facing, metric.unit)}"
    allowed = f"a {'drop' if drop else 'rise'} of {change(line.threshold, metric.unit).lstrip('+')} is allowed"
    more = more_needed(delta, limit) if state == "inconclusive" else None
    sentence = f"{change(delta.value, metric.unit)} against the baseline, {bound}; {allowed}."
    if state == "inconclusive":
        sentence += f" {_more(more, metric)}"
    return _Found(state=state, sentence=sentence, estimate=delta, measured=estimate, more=more)
