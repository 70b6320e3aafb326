"""Replaying: the share of generators that were lost is played again once the others have ended, so that no planned turn is missing.

The schedule, the seed and the slice are those of the lost generator; its clock starts anew, `offset_s` after the run's. What was lost was
not played beside the rest, so both the rest and the replay met less load than was asked for: see `UNCLAIMED`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

from loadtests.campaign import WorkerConfig
from loadtests.generators import Generators, calibrated
from loadtests.resources import mean_cpu
from loadtests.samples import read_samples
from loadtests.traffic import TrafficProfile, Users

MARK = "in part played again afterwards, at less load"
UNCLAIMED = (
    "Every planned turn was played, but not all at their time: which turns fail or are wrong is claimed, "
    "no response time, throughput or memory at the planned rate is."
)


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What was played again. `lost`: generator number to why it was lost. `reason`: why the replay failed too, or nothing. `kept_turns`:
    measured turns that the lost generators had ended before, `kept_failed` of which not well; they lie in `load/lost` and do not count.
    """

    lost: Mapping[int, str]
    offset_s: float
    reason: str
    cpu: float | None
    kept_turns: int
    kept_failed: int

    def as_row(self) -> dict[str, Any]:
        row = {name: value for name, value in asdict(self).items() if name not in {"lost", "reason"}}
        return {"generators": sorted(self.lost), "reasons": sorted({*self.lost.values()}), **row, "not_claimed": UNCLAIMED}


def cannot_replay(profile: TrafficProfile) -> str:
    """Why no share of the profile can be made up for later, or nothing."""
    if isinstance(profile.arrivals, Users):
        return "users in a closed loop are asked for at the same time"
    if profile.hold is not None:
        return "its WebSockets are asked for at the same time"
    if profile.chaos is not None:
        return "its faults strike by the clock, and not again"
    return ""


def replay(
    config: WorkerConfig, lost: Mapping[int, str], *, zero: float, polled: Callable[[Sequence[Mapping[str, Any]]], None]
) -> Replayed:
    """Play the slices of the `lost` generators of a campaign that began at `zero`, on this host. Blocks as long as the campaign took.

    What they left is moved to `lost` in the campaign's folder. `polled` hears of the replay's progress.
    """
    kept = _put_away(config, lost)
    folder = config.folder / "replay"
    folder.mkdir()
    again = replace(config, folder=folder, web_port=None, replay=True, calibration_url=None)
    with ExitStack() as stack:
        again = replace(again, calibration_url=calibrated(stack, again))
        again.write()
        generators = stack.enter_context(Generators(again, sorted(lost)))
        reason = generators.wait_ready()
        began = time.monotonic() + generators.head_start_s
        if not reason:
            generators.start(began)
            watched = generators.watch(lambda: polled(generators.rows()))
            reason = watched.told
    for number in lost:
        report = folder / f"worker-{number}.json"
        if report.exists():
            report.rename(config.folder / report.name)
    return Replayed(
        lost=dict(lost),
        offset_s=began - zero,
        reason=f"What was lost ({' '.join(sorted({*lost.values()}))}) was lost again in its replay: {reason}" if reason else "",
        cpu=mean_cpu(generators.usages),
        kept_turns=len(kept),
        kept_failed=sum(failed for failed in kept),
    )


def _put_away(config: WorkerConfig, lost: Mapping[int, str]) -> list[bool]:
    """Move the samples of the lost generators away; whether each measured turn in them had failed. A turn that was cut off with its
    generator is none: its failure was the generator's."""
    folder = config.folder / "lost"
    folder.mkdir()
    for number in lost:
        samples = config.samples / f"worker-{number}.jsonl"
        if samples.exists():
            shutil.move(samples, folder / samples.name)
    measured = (sample for sample in read_samples(folder) if sample.phase == "steady" and sample.outcome != "censored")
    return [not sample.ok for sample in measured]
