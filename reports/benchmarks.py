"""Benchmarks of pytest-benchmark against their earlier runs: slower than the margin allows, shown not to be, or undecided.

Format: https://pytest-benchmark.readthedocs.io, `--benchmark-json`; only what is compared is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose, isfinite
from pathlib import Path
from statistics import median
from typing import Any

from reports import format as form
from reports.gates.verdict import GateState, VerdictWord
from reports.records import Estimate
from reports.statistics.log_ratio import slowed
from reports.statistics.median_ratio import LEAST_RUNS, median_of_rounds, median_of_summary, ratio_of_medians

MARGIN = 0.10
WINDOW = 20
"""Earlier runs compared with."""
MACHINE = ("system", "machine", "python_implementation", "python_version", "cpu.brand_raw", "cpu.count")
"""Fields of `machine_info` that must be known and the same; of the Python version the first two numbers."""


class BenchmarkError(Exception):
    """Not a benchmark file: one sentence with place, fault and remedy."""


class BrokenBenchmarks(BenchmarkError):
    """A benchmark file that is torn or edited: there is no verdict on it."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkRun:
    """One file. `medians` are in seconds with their bounds, by full name; `at` is its time, ISO; `digest` of its content."""

    path: Path
    at: str
    machine: Mapping[str, str | None]
    medians: Mapping[str, Estimate]
    digest: str


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """`ratio` is this median / earlier medians, null where there is nothing to compare with."""

    name: str
    state: GateState
    ratio: Estimate | None
    sentence: str


def read_benchmarks(path: Path) -> BenchmarkRun:
    """Read a file of `pytest --benchmark-json`. Raises `BenchmarkError`, `BrokenBenchmarks` where it is torn or edited."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BenchmarkError(
            f"{path}: cannot be read ({error.strerror}); write it with `pytest --benchmark-json FILE`"
        ) from error
    try:
        data = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BrokenBenchmarks(f"{path}: not JSON ({error}); it is torn or edited: measure again") from error
    if not isinstance(data, dict) or not isinstance(data.get("benchmarks"), list):
        raise BenchmarkError(f"{path}: has no list `benchmarks`; give a file of `pytest --benchmark-json`")
    medians: dict[str, Estimate] = {}
    for number, row in enumerate(data["benchmarks"]):
        name, found = _benchmark(f"{path}: benchmarks[{number}]", row)
        if name in medians:
            raise BrokenBenchmarks(f"{path}: benchmarks[{number}]: {name} is there twice; measure again")
        medians[name] = found
    if not medians:
        raise BenchmarkError(f"{path}: holds no benchmark; run tests that use the `benchmark` fixture")
    info = data.get("machine_info")
    return BenchmarkRun(
        path=path,
        at=str(data.get("datetime") or ""),
        machine=_machine(info if isinstance(info, dict) else {}),
        medians=medians,
        digest=hashlib.sha256(content).hexdigest(),
    )


def compare_benchmarks(run: BenchmarkRun, earlier: Sequence[BenchmarkRun], *, margin: float = MARGIN) -> list[BenchmarkResult]:
    """Judge each benchmark of `run` against the last `WINDOW` of `earlier` on the same machine, by name.

    `fail`: slower by more than `margin` and surely slower; `pass`: surely not slower by more than `margin`; else `inconclusive`.
    A benchmark of the newest comparable run that is missing in this one is `invalid`: what is not measured is not passed. A run is never
    its own baseline.
    """
    others = {other.digest: other for other in earlier if other.digest != run.digest}
    ordered = sorted(others.values(), key=lambda other: other.at)
    alike = [other for other in ordered if not unlike(run, other)][-WINDOW:]
    why = f"; {', '.join(unlike(run, ordered[-1]))}" if ordered and not alike else ""
    results = [_judge(name, found, alike, (margin, why)) for name, found in sorted(run.medians.items())]
    gone = sorted(alike[-1].medians.keys() - run.medians.keys()) if alike else []
    return results + [_missing(name, alike[-1]) for name in gone]


def unlike(run: BenchmarkRun, other: BenchmarkRun) -> list[str]:
    """In what the machines differ, a clause a field; unknown equals nothing."""
    found: list[str] = []
    for name in MACHINE:
        here, there = run.machine.get(name), other.machine.get(name)
        if here is None or there is None:
            found.append(f"{name} is unknown in {run.path.name if here is None else other.path.name}")
        elif here != there:
            found.append(f"{name} is {here} here, {there} in {other.path.name}")
    return found


def word_of(results: Sequence[BenchmarkResult]) -> VerdictWord:
    """The verdict on all: the worst state; `inconclusive` where nothing could be compared."""
    states = {result.state for result in results}
    words: tuple[VerdictWord, ...] = ("fail", "invalid", "inconclusive", "pass")
    for word in words:
        if word in states:
            return word
    return "inconclusive"


def _judge(name: str, found: Estimate, alike: Sequence[BenchmarkRun], rule: tuple[float, str]) -> BenchmarkResult:
    margin, why = rule
    base = [other.medians[name] for other in alike if name in other.medians]
    took = form.seconds(found.value or 0.0)
    if not base:
        told = f"{took}; no earlier run on this machine measured it{why}"
        return BenchmarkResult(name=name, state="no_baseline", ratio=None, sentence=told)
    ratio = ratio_of_medians(found, base)
    state = slowed(ratio, margin)
    told = f"{took}, {_change(ratio.value)} against {form.plural(len(base), 'earlier runs')}"
    if ratio.low is None or ratio.high is None:
        few = " with too few rounds for a bound, at least 5 are needed" if found.n < 5 else " without a bound"
        return BenchmarkResult(name=name, state=state, ratio=ratio, sentence=f"{told}{few}; allowed {_change(1 + margin)}")
    unseen = ", noise between runs unknown" if len(base) < LEAST_RUNS else ""
    told += f" ({_change(ratio.low)} to {_change(ratio.high)}{unseen}); allowed {_change(1 + margin)}"
    return BenchmarkResult(name=name, state=state, ratio=ratio, sentence=told)


def _missing(name: str, newest: BenchmarkRun) -> BenchmarkResult:
    told = f"is measured in {newest.path.name} and missing here; run it, or leave it out of a newer baseline"
    return BenchmarkResult(name=name, state="invalid", ratio=None, sentence=told)


def _change(ratio: float | None) -> str:
    percent = 100 * ((ratio or 1.0) - 1)
    return f"{percent:+.1f}{form.THIN}%".replace("-", "−").replace("+0.0", "±0.0").replace("−0.0", "±0.0")


def _benchmark(place: str, row: object) -> tuple[str, Estimate]:
    """Full name and median of one benchmark."""
    stats = row.get("stats") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(stats, dict) or not isinstance(row.get("fullname"), str):
        raise BenchmarkError(f"{place}: has no `fullname` and `stats`; give a file of `pytest --benchmark-json`")
    place = f"{place} ({row['fullname']})"
    middle = _positive(f"{place}: field `stats.median`", stats.get("median"))
    rounds = stats.get("data") or []
    if not isinstance(rounds, list):
        raise BenchmarkError(f"{place}: field `stats.data`: is no list; give a file of `pytest --benchmark-json`")
    if not rounds:
        return row["fullname"], _summary(place, middle, stats)
    values = [_positive(f"{place}: field `stats.data[{number}]`", value) for number, value in enumerate(rounds)]
    if not isclose(median(values), middle, rel_tol=1e-6):
        raise BrokenBenchmarks(f"{place}: its median is not that of its rounds; it was edited: measure again")
    return row["fullname"], median_of_rounds(values)


def _summary(place: str, middle: float, stats: Mapping[str, Any]) -> Estimate:
    """From what is left where the rounds were not kept."""
    rounds, spread = stats.get("rounds"), stats.get("iqr")
    if not isinstance(rounds, int) or rounds < 1:
        raise BrokenBenchmarks(f"{place}: field `stats.rounds`: {rounds!r} is no number of rounds; measure again")
    if not isinstance(spread, int | float) or not isfinite(spread) or spread < 0:
        raise BrokenBenchmarks(f"{place}: field `stats.iqr`: {spread!r} is no spread in seconds; measure again")
    return median_of_summary(middle, float(spread), rounds)


def _positive(place: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value <= 0:
        raise BrokenBenchmarks(f"{place}: {value!r} is no time in seconds; measure again")
    return float(value)


def _machine(info: Mapping[str, Any]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in MACHINE:
        group, _, field = name.rpartition(".")
        table = info.get(group) if group else info
        value = table.get(field) if isinstance(table, dict) else None
        found[name] = str(value) if value not in (None, "") else None
    version = found["python_version"]
    found["python_version"] = ".".join(version.split(".")[:2]) if version else None
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"holds {word}")
