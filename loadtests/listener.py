"""Listener: Locust's request events become sample lines, histograms and a progress file.

Serves Locust's side of the wall and imports nothing of it, so that it can be tested anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any, Protocol

from loadtests.calibration import Floor
from loadtests.campaign import WorkerConfig, WorkerReport, write_json
from loadtests.histogram import Histogram
from loadtests.samples import Sample, sample_line
from loadtests.timing import response_s, send_delay_s, ttft_s

PROGRESS_EVERY_S = 0.5


class Playing(Protocol):
    """A campaign under way, as far as a recorder needs to see it."""

    config: WorkerConfig
    worker: int
    complete: bool
    floor: Floor | None
    gauge: list[tuple[float, int, int]]

    @property
    def started(self) -> list[dict[str, Any]]: ...

    @property
    def due(self) -> int: ...

    @property
    def turn_seconds(self) -> float: ...

    @property
    def connections(self) -> dict[str, int]: ...

    @property
    def held(self) -> dict[str, Any] | None: ...

    @property
    def has_sandboxes(self) -> bool: ...

    def clock(self) -> float: ...


class Recorder:
    """Writes each turn once it ends; a kill loses at most the line being written."""

    def __init__(self, campaign: Playing) -> None:
        self._campaign = campaign
        self._histograms = {name: Histogram() for name in ("response_s", "ttft_s", "send_delay_s", "gap_s", "stutter_s")}
        self._done = 0
        self._errors = 0
        self._told = 0.0
        config = campaign.config
        path = config.samples / f"worker-{campaign.worker}{'-replayed' if config.replay else ''}.jsonl"
        self._file: IO[str] = path.open("w", encoding="utf-8", buffering=1)

    def on_request(self, context: Mapping[str, Any], **_: object) -> None:
        """Take one turn from Locust's `request` event."""
        sample: Sample = context["sample"]
        self._file.write(sample_line(sample))
        if sample.phase == "steady":
            self._measure(sample, context["gaps_s"])
        now = self._campaign.clock()
        if now - self._told >= PROGRESS_EVERY_S:
            self._told = now
            row = {"t_s": now, "done": self._done, "errors": self._errors, "response_s": self._histograms["response_s"].as_json()}
            row["in_flight"] = self._campaign.gauge[-1][1] if self._campaign.gauge else 0
            write_json(self._campaign.config.folder / f"progress-{self._campaign.worker}.json", row)

    def on_quitting(self, **_: object) -> None:
        """Write the worker's report once its campaign is over; one that was stopped earlier leaves none."""
        self._file.close()
        campaign = self._campaign
        if not campaign.complete:
            return
        report = WorkerReport(
            worker=campaign.worker,
            sandboxes=campaign.has_sandboxes,
            sessions=campaign.started,
            gauge=campaign.gauge,
            calibration=None if campaign.floor is None else asdict(campaign.floor),
            histograms={name: histogram.as_json() for name, histogram in self._histograms.items()},
            due=campaign.due,
            turn_seconds=campaign.turn_seconds,
            held=campaign.held,
            connections=campaign.connections,
        )
        report.write(campaign.config.folder)

    def _measure(self, sample: Sample, gaps_s: list[float]) -> None:
        self._done += 1
        self._errors += not sample.ok
        self._histograms["response_s"].add(response_s(sample))
        self._histograms["ttft_s"].add(ttft_s(sample))
        lag = send_delay_s(sample)
        if lag is not None:
            self._histograms["send_delay_s"].add(max(0.0, lag))
        for gap in gaps_s:
            self._histograms["gap_s"].add(gap)
        if gaps_s:
            self._histograms["stutter_s"].add(max(gaps_s))
