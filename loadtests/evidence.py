"""Evidence: everything one run left behind, gathered for the judges of the generator and for the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from loadtests.campaign import WorkerReport
from loadtests.histogram import Histogram
from loadtests.resources import Usage
from loadtests.samples import Sample
from loadtests.schedule import Session, planned_turns
from loadtests.traffic import TrafficProfile


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """`reports` holds null for a worker that ended without one. `survived` null: the server never answered, so nothing can be said.

    `server` is empty when no process was given to watch. `ended_early` says why a worker ended before its campaign, or is empty.
    """

    profile: TrafficProfile
    sessions: Sequence[Session]
    samples: Sequence[Sample]
    reports: Sequence[WorkerReport | None]
    server: Sequence[Usage] = ()
    generator: Sequence[Usage] = ()
    survived: bool | None = None
    ended_early: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def window(self) -> tuple[float, float]:
        """The measured seconds, from and to."""
        start = self.profile.warmup_s
        return start, start + self.profile.arrivals.duration_s

    @cached_property
    def measured(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.phase == "steady"]

    @property
    def planned(self) -> int:
        return planned_turns(self.sessions)

    @cached_property
    def workers(self) -> list[WorkerReport]:
        return [report for report in self.reports if report is not None]

    @property
    def slots_exhausted(self) -> int:
        """Measured conversations that found every slot taken and waited."""
        return sum(row["waited"] for row in self.started)

    @cached_property
    def started(self) -> list[dict[str, Any]]:
        """Rows of the measured conversations that were started, in order of their intended start."""
        rows = [row for report in self.workers for row in report.sessions if row["phase"] == "steady"]
        return sorted(rows, key=lambda row: row["t_plan"])

    def histogram(self, name: str) -> Histogram:
        """The workers' histograms of one metric, merged."""
        merged = Histogram()
        for report in self.workers:
            merged.merge(Histogram.from_json(report.histograms[name]))
        return merged

    def within_window(self, usages: Sequence[Usage]) -> list[Usage]:
        start, end = self.window
        return [usage for usage in usages if start <= usage.t_s <= end]
