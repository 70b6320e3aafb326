"""Evidence: everything one run left behind, gathered for the judges of the generator and for the summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from loadtests.campaign import WorkerReport
from loadtests.gpus import GpuUsage
from loadtests.histogram import Histogram
from loadtests.prompts import foreign_marks, mark
from loadtests.replaying import Replayed
from loadtests.resources import Usage
from loadtests.samples import Sample
from loadtests.schedule import Session, planned_turns
from loadtests.traffic import TrafficProfile, Users


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """`reports` holds null for a worker that ended without one. `survived` null: the server never answered, so nothing can be said.

    `server` is empty when no process was given to watch, `gpus` null where there are none. `ended_early` says why a worker ended before its campaign, or is empty. `hosts`: a row for each host
    of a distributed run (see `fleet.Member`), none where all ran on one. `replayed`: the share of the schedule that was played again
    afterwards; its turns are among `samples`, their times count from the replay's own start.
    """

    profile: TrafficProfile
    sessions: Sequence[Session]
    samples: Sequence[Sample]
    reports: Sequence[WorkerReport | None]
    server: Sequence[Usage] = ()
    gpus: Sequence[GpuUsage] | None = None
    generator: Sequence[Usage] = ()
    hosts: Sequence[Mapping[str, Any]] = ()
    survived: bool | None = None
    ended_early: str = ""
    replayed: Replayed | None = None
    seed: int = 0

    @property
    def window(self) -> tuple[float, float]:
        """The measured seconds, from and to."""
        start = self.profile.warmup_s
        return start, start + self.profile.arrivals.duration_s

    @cached_property
    def measured(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.phase == "steady"]

    @property
    def closed(self) -> bool:
        """Whether users in a closed loop made the load, so that no schedule says which turns there are."""
        return isinstance(self.profile.arrivals, Users)

    @property
    def planned(self) -> int:
        """Measured turns of the schedule; in a closed loop those that fell due."""
        return sum(report.due for report in self.workers) if self.closed else planned_turns(self.sessions)

    @cached_property
    def conversations(self) -> dict[int, int]:
        """Measured turns planned, by session."""
        if self.closed:
            return dict(Counter(sample.session for sample in self.measured))
        return {session.session: len(session.conversation.turns) for session in self.sessions if session.phase == "steady"}

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

    def ended_inside(self, sample: Sample) -> bool:
        """Whether a turn was answered and its end lies in the measured window."""
        start, end = self.window
        return sample.ok and sample.t_done is not None and start <= sample.t_done < end

    @cached_property
    def leaks(self) -> list[str]:
        """Turns whose answer or events carry the mark of another conversation, each with the first such mark."""
        found: list[str] = []
        for sample in self.samples if self.profile.canary else ():
            told = (sample.text, json.dumps(sample.events))
            foreign = next(foreign_marks(told, mark(self.seed, sample.session)), None)
            if foreign is not None:
                found.append(f"{sample.sample}: {foreign}")
        return found

    def histogram(self, name: str) -> Histogram:
        """The workers' histograms of one metric, merged."""
        merged = Histogram()
        for report in self.workers:
            merged.merge(Histogram.from_json(report.histograms[name]))
        return merged

    def within_window(self, usages: Sequence[Usage]) -> list[Usage]:
        start, end = self.window
        return [usage for usage in usages if start <= usage.t_s <= end]
