"""Faults of a stand-in model that come and go while it serves, by what a file says.

The file is `{"fault": NAME, "until": SECONDS, "factor": NUMBER}`; `until` is on the machine's monotonic clock, so a fault ends even when
whoever planted it is gone. No file, or one whose time is over: no fault. Who writes it replaces it whole.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

Name = Literal["stall", "slow", "error", "rate_limited", "cut"]
"""`stall`: nothing is said until it is over. `slow`: delays are `factor` times as long. `error`: HTTP 5xx. `rate_limited`: HTTP 429. `cut`:
answers break off in the middle. All but `stall` befall requests that come while it goes on."""
POLL_S = 0.02

Sleep = Callable[[float], Awaitable[None]]


class PlantedFaultError(ValueError):
    """A file of planted faults that cannot be read: the message names it."""


@dataclass(frozen=True, kw_only=True)
class Planted:
    name: Name
    factor: float = 1.0


class PlantedFaults:
    """Looks into `path` at every request. `clock` gives the machine's monotonic seconds."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock

    def now(self) -> Planted | None:
        """The fault of this moment. Raises `PlantedFaultError`."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            said: dict[str, Any] = json.loads(text)
            planted, until = Planted(name=said["fault"], factor=float(said.get("factor", 1.0))), float(said["until"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PlantedFaultError(f"{self._path}: no planted fault ({type(error).__name__}: {error})") from error
        if planted.name not in get_args(Name):
            raise PlantedFaultError(f"{self._path}: fault {planted.name!r} is none of {', '.join(get_args(Name))}")
        return planted if self._clock() < until else None

    async def stalled(self, sleep: Sleep = asyncio.sleep) -> None:
        """Wait as long as a stall goes on."""
        while (planted := self.now()) is not None and planted.name == "stall":
            await sleep(POLL_S)
