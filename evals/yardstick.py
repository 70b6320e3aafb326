"""How fast this machine is just now: a fixed piece of work, timed over and over beside the measurements.

A time measured on a slow or busy machine says little about the assistant. The lap is of the kind an assistant spends its own time
on (objects, dictionaries, JSON, text), uses no library that a release may change, and its median goes into the record.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from time import perf_counter

from reports.records import Estimate
from reports.statistics.quantiles import quantile_estimate

ROUNDS = 20
_WORDS = re.compile(r"\w+")
_TEXT = "Close the gas valve, wait five minutes, then light the pilot again; call the manager if it goes out twice."


@dataclass(frozen=True)
class _Row:
    number: int
    words: tuple[str, ...]


@dataclass
class Yardstick:
    """Collects laps."""

    laps: list[float] = field(default_factory=list[float])

    def lap(self) -> None:
        """Do the work once, some milliseconds."""
        started = perf_counter()
        _work()
        self.laps.append(perf_counter() - started)

    def estimate(self) -> Estimate | None:
        """Median seconds a lap, with its bounds; None without laps."""
        return quantile_estimate(self.laps, 0.5, planned=len(self.laps)) if self.laps else None


def _work() -> int:
    total = 0
    for turn in range(ROUNDS):
        rows = [_Row(number, tuple(_WORDS.findall(_TEXT))) for number in range(20)]
        table = {f"{turn}-{row.number}": {"words": list(row.words), "length": len(row.words)} for row in rows}
        total += len(json.loads(json.dumps(table, sort_keys=True)))
        total += sum(len(word) for word in sorted(word for row in rows for word in row.words))
    return total
