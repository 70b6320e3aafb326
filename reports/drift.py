"""Has a metric crept over the nights? Change points on the history of finished runs, where two detectors agree."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from reports.gates.metrics import describe_metric
from reports.records import Estimate, Record, RecordError, Tier, Unit, read_record
from reports.statistics.edivisive import divisive_changes
from reports.statistics.segments import SHORTEST, best_segments

LEAST_EFFECT = 0.05
"""Smallest change that is told: 5 % of a time, a size or a rate, 5 points of a share. Identical software on rented machines shifts by 3 %."""
TRIAGE = "history/triage.jsonl"

Label = Literal["real", "noise", "expected"]
LABELS: tuple[Label, ...] = get_args(Label)
Direction = Literal["worse", "better", "moved"]
_BETTER_UP = (
    "pass_rate",
    "tool_success",
    "accuracy",
    "recall",
    "precision",
    "correct",
    "goodput",
    "throughput",
    "survived",
    "availability",
    "score",
)
_BETTER_DOWN = ("_s", "_bytes", "error", "lost", "unjudged", "ece")


@dataclass(frozen=True, kw_only=True)
class Point:
    """A metric in one run."""

    run_id: str
    created_at: str
    commit: str | None
    value: float


@dataclass(frozen=True, kw_only=True)
class Change:
    """A level that moved. `index` is the first point of the new level; `before` and `after` are medians of the levels on both sides.
    `ratio` is after / before (null for shares). `commits`: the last of the old level and the first of the new one."""

    metric: str
    index: int
    first_run: str
    before: float
    after: float
    ratio: float | None
    direction: Direction
    commits: tuple[str | None, str | None]
    label: Label | None = None

    @property
    def key(self) -> str:
        return f"{self.metric}@{self.first_run}"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One metric over the history. `enough` is false below twice the shortest segment: then nothing can be said."""

    metric: str
    title: str
    unit: Unit
    points: Sequence[Point]
    changes: Sequence[Change]
    enough: bool

    @property
    def levels(self) -> list[tuple[int, int, float]]:
        """First and last point and median of each stretch between changes."""
        edges = [0, *(change.index for change in self.changes), len(self.points)]
        return [(a, b - 1, median(point.value for point in self.points[a:b])) for a, b in pairwise(edges) if b > a]


class Triage(BaseModel):
    """What a person said of a change. The last word on a key counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(min_length=3)]
    label: Label
    who: Annotated[str, Field(min_length=1)]
    why: Annotated[str, Field(min_length=1)]
    at: AwareDatetime


class DriftError(Exception):
    """The history cannot be read: one sentence with place, fault and remedy."""


def find_changes(values: Sequence[float], *, least_effect: float = LEAST_EFFECT, shares: bool = False) -> list[int]:
    """Where a level moved, by both detectors within max(5, n / 20) points, and by at least `least_effect` between the medians.

    Values of shares are compared by difference, others by ratio (a series with a value of 0 or below by difference of the median).
    """
    y = list(values) if shares or min(values, default=0.0) <= 0 else [math.log(value) for value in values]
    if len(y) < 2 * SHORTEST:
        return []
    near = max(SHORTEST, len(y) // 20)
    cuts = divisive_changes(y)
    agreed = [place for place in best_segments(y) if any(abs(place - cut) <= near for cut in cuts)]
    if shares:
        least = least_effect
    elif min(values) <= 0:
        least = least_effect * abs(median(y))
    else:
        least = math.log1p(least_effect)
    return _large_enough(y, agreed, least)


def _large_enough(y: Sequence[float], places: list[int], least: float) -> list[int]:
    """Drop the smallest change until each remaining one separates medians by more than `least`."""
    kept = list(places)
    while kept:
        edges = [0, *kept, len(y)]
        levels = [median(y[a:b]) for a, b in pairwise(edges)]
        gaps = [abs(after - before) for before, after in pairwise(levels)]
        if min(gaps) > least:
            return kept
        kept.pop(gaps.index(min(gaps)))
    return []


def read_runs(runs: Path, tier: Tier) -> list[Record]:
    """Sound records of a tier under a folder of runs, oldest first; broken ones say nothing of the assistant and are left out.

    Raises `DriftError` when there is none.
    """
    records: list[Record] = []
    for path in sorted(runs.glob("*/record.json")):
        try:
            record = read_record(path)
        except RecordError:
            continue
        if record.tier == tier and not record.broken:
            records.append(record)
    if not records:
        raise DriftError(f"{runs}: holds no sound {tier} run; play some with `assay release --tier {tier}`")
    return sorted(records, key=lambda record: (record.created_at, record.run_id))


def drift_of(
    records: Sequence[Record], metrics: Sequence[str] = (), triage: Mapping[str, Triage] | None = None
) -> Iterator[Drift]:
    """Each metric (none given: all that were ever measured) over the records in their order."""
    for name in metrics or sorted({name for record in records for name in record.metrics}):
        points = [
            Point(run_id=record.run_id, created_at=record.created_at, commit=record.provenance.commit, value=value)
            for record in records
            if (value := _value(record.metrics.get(name))) is not None
        ]
        metric = describe_metric(name)
        shares = metric.unit in ("share", "yes_no")
        places = find_changes([point.value for point in points], shares=shares)
        yield Drift(
            metric=name,
            title=metric.title,
            unit=metric.unit,
            points=points,
            changes=_changes(name, points, places, shares, triage or {}),
            enough=len(points) >= 2 * SHORTEST,
        )


def _changes(name: str, points: Sequence[Point], places: list[int], shares: bool, triage: Mapping[str, Triage]) -> list[Change]:
    edges = [0, *places, len(points)]
    levels = [median(point.value for point in points[a:b]) for a, b in pairwise(edges)]
    changes: list[Change] = []
    for place, before, after in zip(places, levels, levels[1:], strict=False):
        first = points[place]
        said = triage.get(f"{name}@{first.run_id}")
        change = Change(
            metric=name,
            index=place,
            first_run=first.run_id,
            before=before,
            after=after,
            ratio=None if shares or not before else after / before,
            direction=_direction(name, after - before),
            commits=(points[place - 1].commit, first.commit),
            label=said.label if said else None,
        )
        changes.append(change)
    return changes


def _direction(metric: str, move: float) -> Direction:
    if any(word in metric for word in _BETTER_UP):
        return "better" if move > 0 else "worse"
    if any(metric.endswith(word) or word in metric for word in _BETTER_DOWN):
        return "worse" if move > 0 else "better"
    return "moved"


def _value(estimate: Estimate | None) -> float | None:
    return estimate.value if estimate is not None and estimate.n else None


def read_triage(runs: Path) -> dict[str, Triage]:
    """What was said of changes, by key. Raises `DriftError` at the first broken line."""
    path = runs / TRIAGE
    if not path.exists():
        return {}
    said: dict[str, Triage] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            word = Triage.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise DriftError(
                f"{path}:{number}: {f'{where}: ' if where else ''}{fault['msg']}; mend or remove the line"
            ) from error
        said[word.key] = word
    return said


def append_triage(runs: Path, word: Triage, known: Sequence[Change]) -> Path:
    """Add a person's word on a change that is found today. Raises `DriftError` for one that is not."""
    keys = [change.key for change in known]
    if word.key not in keys:
        raise DriftError(f"{word.key}: no such change; found are: {', '.join(keys) or 'none'}")
    path = runs / TRIAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(word.model_dump(mode="json"), sort_keys=True) + "\n")
    return path
