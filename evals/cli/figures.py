"""One metric as one line of text."""

from __future__ import annotations

from reports.format import of_planned, quantity
from reports.gates.metrics import describe_metric
from reports.records import Estimate


def figure(name: str, estimate: Estimate | None) -> str:
    """Value, one-sided bounds, k / n; `not measured` for null."""
    if estimate is None or estimate.value is None:
        return "not measured"
    unit = describe_metric(name).unit
    bounds = f"[{quantity(estimate.low, unit)}, {quantity(estimate.high, unit)}]"
    return f"{quantity(estimate.value, unit):>10}  {bounds:<24} {of_planned(estimate)}"
