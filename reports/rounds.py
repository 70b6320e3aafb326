"""Rounds: two builds measured turn and turn about, judged by the ratio of their figures with rounds as units.

One load run against another is too thin for a percentile where other work shares the machine: what the machine does in one of the two is
taken for the build's. Runs that took turns met the same machine, and their ratios say how far it is to be believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Literal

from reports import format as form
from reports.history import ASPECTS, fingerprint, mismatches, needed_aspects
from reports.records import Estimate, Record, read_record
from reports.statistics.log_ratio import ratio_of_rounds, slowed

MARGIN = 0.10
METRICS = ("load.response.p95_s", "load.ttft.p95_s")
Word = Literal["pass", "fail", "inconclusive", "invalid"]


class RoundsError(Exception):
    """These runs are no rounds: one sentence with the fault and the remedy."""


@dataclass(frozen=True, kw_only=True)
class RoundsResult:
    """One metric. `ratio`: candidate / base over the pairs of which both could be used; null below two. `left_out` says why others were."""

    metric: str
    word: Word
    ratio: Estimate | None
    left_out: list[str]

    @property
    def sentence(self) -> str:
        aside = f"; left out: {'; '.join(self.left_out)}" if self.left_out else ""
        if self.ratio is None or self.ratio.value is None or self.ratio.low is None or self.ratio.high is None:
            return f"fewer than two pairs of runs can be compared{aside}"
        change = f"{self.ratio.value - 1:+.1%} ({self.ratio.low - 1:+.1%} to {self.ratio.high - 1:+.1%})"
        return f"{change} over {form.plural(self.ratio.n, 'pairs')} of runs{aside}"


def read_rounds(folders: Sequence[Path]) -> list[Record]:
    """The records of these run folders, or of the run folders in them, oldest first. Raises `RecordError`, `RoundsError` for none."""
    files = [
        file
        for folder in folders
        for file in ([folder / "record.json"] if (folder / "record.json").is_file() else sorted(folder.glob("*/record.json")))
    ]
    if not files:
        raise RoundsError(f"{', '.join(map(str, folders))}: no record.json; write some with `assay load PROFILE --out FOLDER`")
    return sorted((read_record(file) for file in files), key=lambda record: record.created_at)


def compare_rounds(
    candidate: Sequence[Record], base: Sequence[Record], *, metrics: Sequence[str] = METRICS, margin: float = MARGIN
) -> list[RoundsResult]:
    """Judge each metric, a time, by its ratio over pairs of runs in the order of their time. Raises `RoundsError`."""
    if len(candidate) != len(base) or len(base) < 2:
        raise RoundsError(
            f"{form.plural(len(candidate), 'runs')} against {form.plural(len(base), 'runs')}: rounds pair up, two pairs or more; five decide well"
        )
    pairs = list(zip(candidate, base, strict=True))
    for number, (before, after) in enumerate(pairwise(pairs), start=1):
        if max(one.created_at for one in before) > min(one.created_at for one in after):
            raise RoundsError(
                f"pairs {number} and {number + 1} overlap in time: the runs did not take turns, so the machine's changes cannot be told "
                "from the build's; play them one of each after the other"
            )
    return [_judge(name, pairs, margin) for name in metrics]


def word_of(results: Sequence[RoundsResult]) -> Word:
    """The worst of all."""
    words: tuple[Word, ...] = ("invalid", "fail", "inconclusive")
    for word in words:
        if any(result.word == word for result in results):
            return word
    return "pass"


def _judge(metric: str, pairs: Sequence[tuple[Record, Record]], margin: float) -> RoundsResult:
    left_out: list[str] = []
    kept: list[tuple[float, float]] = []
    for number, (candidate, base) in enumerate(pairs, start=1):
        reason = _unusable(metric, candidate, base)
        if reason:
            left_out.append(f"pair {number} ({reason})")
        else:
            kept.append((_value(candidate, metric), _value(base, metric)))
    if len(kept) < 2:
        return RoundsResult(metric=metric, word="invalid", ratio=None, left_out=left_out)
    ratio = ratio_of_rounds([base for _, base in kept], [candidate for candidate, _ in kept])
    return RoundsResult(metric=metric, word=slowed(ratio, margin), ratio=ratio, left_out=left_out)


def _unusable(metric: str, candidate: Record, base: Record) -> str:
    """Why a pair says nothing about a metric, or nothing."""
    for record in (candidate, base):
        if record.broken:
            return f"{record.run_id} is invalid"
        if not isfinite(_value(record, metric)) or _value(record, metric) <= 0:
            return f"{record.run_id} has no {metric}"
    aspects = needed_aspects(metric, machine_bound=True, wanted=ASPECTS)
    return "; ".join(mismatches(fingerprint(candidate), fingerprint(base), aspects))


def _value(record: Record, metric: str) -> float:
    found = record.metrics.get(metric)
    return float("nan") if found is None or found.value is None else found.value
