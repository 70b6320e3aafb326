"""A look at results too good to believe: better than the accepted runs by more than a factor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reports.format import plural, quantity
from reports.gates.guards import blank_gate, out_of_tier, without_baseline
from reports.gates.metrics import describe_metric
from reports.gates.policy import Policy
from reports.gates.reference import NOTHING, Reference
from reports.gates.verdict import GateResult
from reports.records import Estimate

TOO_GOOD = "guards.too_good"


def judge_too_good(gates: Iterable[GateResult], policy: Policy, reference: Reference | None, tier: str) -> GateResult | None:
    """Whether a passing metric is better than before by more than the policy's factor; null when the policy does not ask.

    A metric counts as better only when the bound that faces the earlier value is: chance alone is not suspicious.
    """
    factor = policy.guards.too_good_factor if policy.guards else None
    if factor is None:
        return None
    blank = blank_gate(TOO_GOOD, "not_too_good", factor, policy)
    blank = replace(blank, why="A sudden gain is more often a broken test than a better assistant.")
    if elsewhere := out_of_tier(blank, tier):
        return elsewhere
    told, compared, reason = list[str](), set[str](), NOTHING
    for gate in gates:
        if gate.state != "pass" or gate.measured is None or gate.metric in compared:
            continue
        base, why = reference.estimate(gate.metric) if reference else (None, NOTHING)
        if base is None or base.value is None:
            reason = why or reason
            continue
        compared.add(gate.metric)
        if _too_good(gate, gate.measured, base.value, factor):
            told.append(_how_good(gate, gate.measured, base.value))
    if told:
        sentence = f"{'; '.join(told)}: better by more than a factor of {factor:g}. A person must look before it counts."
        return replace(blank, state="inconclusive", sentence=sentence)
    if not compared:
        return without_baseline(blank, reason, policy)
    return replace(blank, state="pass", sentence=f"{plural(len(compared), 'metrics')} compared, none better by that much.")


def _too_good(gate: GateResult, here: Estimate, base: float, factor: float) -> bool:
    if gate.limit in ("at_least", "max_drop"):
        bound = here.value if here.low is None else here.low
        return bound is not None and base > 0 and bound > base * factor
    bound = here.value if here.high is None else here.high
    return bound is not None and base > 0 and bound < base / factor


def _how_good(gate: GateResult, here: Estimate, base: float) -> str:
    unit = describe_metric(gate.metric).unit
    return f"{describe_metric(gate.metric).title} {quantity(here.value, unit)}, before {quantity(base, unit)}"
