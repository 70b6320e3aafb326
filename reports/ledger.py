"""A run as a tracker keeps it: flat metrics, a stepped series, parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reports.gates.verdict import Verdict
from reports.records import Record


def metric_values(record: Record, prefix: str) -> dict[str, float]:
    """Measured metrics whose name starts with `prefix`, with their bounds; what was not measured is absent."""
    values: dict[str, float] = {}
    for name, estimate in record.metrics.items():
        if estimate is None or not name.startswith(prefix):
            continue
        parts = {"": estimate.value, ".low": estimate.low, ".high": estimate.high}
        values |= {f"{name}{end}": value for end, value in parts.items() if value is not None}
    return values


def gate_states(verdict: Verdict) -> dict[str, int]:
    """Number of gates by state."""
    states = [gate.state for gate in verdict.gates]
    return {state: states.count(state) for state in dict.fromkeys(states)}


def load_series(record: Record) -> Iterator[tuple[str, float, int]]:
    """`(name, value, second)` of the load's per-second table; unknown values are absent."""
    table = record.tables.get("load_series")
    for row in table if isinstance(table, list) else []:
        step = int(row.get("t_s", 0))
        for name, value in row.items():
            if name != "t_s" and isinstance(value, int | float):
                yield f"load_series.{name}", float(value), step


def parameters(record: Record) -> dict[str, Any]:
    """Provenance under dotted names."""
    origin = record.provenance
    groups: dict[str, Mapping[str, Any]] = {
        "version": origin.versions,
        "seed": origin.seeds,
        "digest": origin.digests,
        "machine": origin.machine,
        "load": origin.load,
    }
    flat = {f"{group}.{key}": value for group, table in groups.items() for key, value in table.items()}
    dirty = {True: "yes", False: "no", None: "unknown"}[origin.dirty]
    return {"pack": record.pack, "tier": record.tier, "target": record.target, "model": origin.model, "dirty": dirty, **flat}
