"""Generators: the generator processes of one host, from their start to their end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from loadtests.campaign import WorkerConfig, read_json, write_json
from loadtests.processes import calibration_server, locust_worker
from loadtests.resources import Sampler, Usage

POLL_S = 0.05
READY_S = 60.0
"""How long workers may take to import, calibrate and make the first sandboxes."""
HEAD_START_S = 0.3
OVERTIME_S = 15.0
"""How long after the drain a worker may still need to end by itself."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """How a campaign ended. `reason`: why it cannot be believed, or nothing. `lost`: the generators that ended before it, each with why."""

    reason: str = ""
    lost: Mapping[int, str] = field(default_factory=dict[int, str])

    @property
    def told(self) -> str:
        """Everything that was wrong, or nothing."""
        return " ".join(filter(None, [self.reason, *dict.fromkeys(self.lost.values())]))


class Generates(Protocol):
    """Generator processes, here or elsewhere. `wait_ready` gives why the campaign cannot begin, or nothing."""

    @property
    def head_start_s(self) -> float: ...

    @property
    def usages(self) -> list[Usage]: ...

    @property
    def hosts(self) -> list[dict[str, Any]]: ...

    def wait_ready(self) -> str: ...

    def start(self, zero: float) -> None: ...

    def watch(self, polled: Callable[[], None]) -> Watched: ...

    def rows(self) -> list[dict[str, Any]]: ...


class Generators:
    """The processes with these numbers of a campaign, on this host. A context manager that ends them, by force if it must be."""

    def __init__(self, config: WorkerConfig, numbers: Sequence[int]) -> None:
        self.usages: list[Usage] = []
        self.hosts: list[dict[str, Any]] = []
        self._config = config
        self._numbers = numbers
        self._stack = ExitStack()
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._zero = 0.0

    @property
    def head_start_s(self) -> float:
        return HEAD_START_S

    def __enter__(self) -> Self:
        for number in self._numbers:
            self._workers[number] = self._stack.enter_context(locust_worker(self._config, number))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_ready(self) -> str:
        deadline = time.monotonic() + READY_S + self._config.calibration_s
        waiting = set(self._numbers)
        while waiting:
            waiting = {number for number in waiting if not (self._config.folder / f"ready-{number}.json").exists()}
            if any(worker.poll() is not None for worker in self._workers.values()):
                return self._exit_reason()
            if time.monotonic() > deadline:
                return f"The load generator was not ready within {READY_S:g} s."
            time.sleep(POLL_S)
        return ""

    def start(self, zero: float) -> None:
        """Let the campaign begin at `zero` on this host's monotonic clock."""
        self._zero = zero
        write_json(self._config.folder / "start.json", {"zero": zero})

    def watch(self, polled: Callable[[], None]) -> Watched:
        """Wait until all have ended; `polled` is called about twenty times a second."""
        deadline = self._zero + length_s(self._config) + OVERTIME_S
        workers = self._workers.values()
        with Sampler([worker.pid for worker in workers], zero=self._zero) as sampler:
            while any(worker.poll() is None for worker in workers) and time.monotonic() < deadline:
                time.sleep(POLL_S)
                polled()
        self.usages = sampler.usages
        if any(worker.poll() is None for worker in workers):
            return Watched(reason=f"A load generator did not end {OVERTIME_S:g} s after the drain and was stopped.")
        return Watched(lost={number: self._ended(number) for number, worker in self._workers.items() if worker.returncode != 0})

    def rows(self) -> list[dict[str, Any]]:
        """What the processes tell of their progress."""
        found = [read_json(self._config.folder / f"progress-{number}.json") for number in self._numbers]
        return [row for row in found if row is not None]

    def _exit_reason(self) -> str:
        ended = [(number, code) for number, worker in self._workers.items() if (code := worker.poll()) is not None]
        return self._ended(next((number for number, code in ended if code), ended[0][0]))

    def _ended(self, number: int) -> str:
        log = self._config.folder / f"locust-{number}.log"
        return f"Load generator {number} ended with status {self._workers[number].returncode}; its output is in {log}."


def length_s(config: WorkerConfig) -> float:
    """Seconds from the start of a campaign to the end of its drain."""
    profile = config.profile
    return profile.warmup_s + profile.arrivals.duration_s + profile.drain_s


def calibrated(stack: ExitStack, config: WorkerConfig) -> str | None:
    """The address of a calibration server that lives as long as `stack`; null when the campaign has none."""
    return stack.enter_context(calibration_server(config.folder)) if config.calibration_s > 0 else None
