"""How fast and how free this machine is just now: a fixed piece of work, timed over and over beside the measurements.

A time measured on a slow or busy machine says little about the assistant. The lap is of the kind an assistant spends its own time
on (objects, dictionaries, JSON, text), uses no library that a release may change, and its median goes into the record. A lap is
too short to meet much of other programs' work, so the kernel is asked how long this thread waited for a processor.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from reports.records import Estimate
from reports.statistics.quantiles import quantile_estimate

ROUNDS = 20
SCHEDSTAT = Path("/proc/thread-self/schedstat")
_WORDS = re.compile(r"\w+")
_TEXT = "Close the gas valve, wait five minutes, then light the pilot again; call the manager if it goes out twice."


@dataclass(frozen=True)
class _Row:
    number: int
    words: tuple[str, ...]


def thread_times() -> tuple[int, int] | None:
    """Nanoseconds that this thread ran, and that it was ready but no processor was free; None where the kernel does not tell.

    Source: schedstat of proc(5), Documentation/scheduler/sched-stats.rst of Linux.
    """
    try:
        ran, waited = SCHEDSTAT.read_text().split()[:2]
        return int(ran), int(waited)
    except (OSError, ValueError):
        return None


@dataclass
class Yardstick:
    """Collects laps; made on the thread whose waiting is asked for."""

    laps: list[float] = field(default_factory=list[float])
    since: tuple[int, int] | None = field(default_factory=thread_times)

    def lap(self) -> None:
        """Do the work once, some milliseconds."""
        started = perf_counter()
        _work()
        self.laps.append(perf_counter() - started)

    def estimate(self) -> Estimate | None:
        """Median seconds a lap, with its bounds; None without laps."""
        return quantile_estimate(self.laps, 0.5, planned=len(self.laps)) if self.laps else None

    def waiting(self) -> Estimate | None:
        """Share of this thread's time, sleep apart, in which it waited for a processor; None where the kernel does not tell."""
        until = thread_times()
        if self.since is None or until is None or until[0] <= self.since[0]:
            return None
        ran, waited = (after - before for before, after in zip(self.since, until, strict=True))
        share = waited / (ran + waited)
        n = len(self.laps)
        return Estimate(value=share, low=share, high=share, k=None, n=n, planned=n, confidence=1.0, method="schedstat")


def _work() -> int:
    total = 0
    for turn in range(ROUNDS):
        rows = [_Row(number, tuple(_WORDS.findall(_TEXT))) for number in range(20)]
        table = {f"{turn}-{row.number}": {"words": list(row.words), "length": len(row.words)} for row in rows}
        total += len(json.loads(json.dumps(table, sort_keys=True)))
        total += sum(len(word) for word in sorted(word for row in rows for word in row.words))
    return total
