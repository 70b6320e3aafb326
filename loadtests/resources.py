"""Resources: memory, processor and open files of a process tree, sampled beside a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

INTERVAL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Usage:
    """A process tree at one moment, `t_s` seconds after the sampler's zero.

    `memory_bytes` sums the proportional set size, which counts shared pages once; where the system does not tell it, the resident
    set size (`memory_kind` says which). `cpu` is in processors (1.0 is one busy core), since the sample before.
    """

    t_s: float
    memory_bytes: int
    memory_kind: str
    cpu: float
    fds: int
    processes: int


def mean_cpu(usages: Sequence[Usage]) -> float | None:
    """Mean processors in use; the first sample has nothing to compare with."""
    return sum(usage.cpu for usage in usages[1:]) / len(usages[1:]) if len(usages) > 1 else None


class Sampler:
    """Samples the trees of some root processes in a thread of its own. A context manager; `usages` may be read after it."""

    def __init__(self, pids: list[int], *, zero: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.usages: list[Usage] = []
        self._pids = pids
        self._zero = zero
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resources", daemon=True)
        self._cpu: dict[int, float] = {}
        self._cpu_at = clock()

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            usage = self._sample()
            if usage is not None:
                self.usages.append(usage)
            self._stop.wait(INTERVAL_S)

    def _sample(self) -> Usage | None:
        """One sample; null when none of the processes is there any more."""
        memory, fds, seen = 0, 0, 0
        kinds: set[str] = set()
        cpu: dict[int, float] = {}
        for process in _tree(self._pids):
            try:
                size, kind = _memory(process)
                times = process.cpu_times()
                fds += process.num_fds()
            except psutil.Error:
                continue
            memory += size
            kinds.add(kind)
            cpu[process.pid] = times.user + times.system
            seen += 1
        if seen == 0:
            return None
        now = self._clock()
        spent = sum(value - self._cpu.get(pid, value) for pid, value in cpu.items())
        busy = spent / max(now - self._cpu_at, 1e-9)
        self._cpu, self._cpu_at = cpu, now
        kind = "pss" if kinds == {"pss"} else "rss"
        return Usage(t_s=now - self._zero, memory_bytes=memory, memory_kind=kind, cpu=busy, fds=fds, processes=seen)


def _tree(pids: list[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            root = psutil.Process(pid)
            for process in [root, *root.children(recursive=True)]:
                found[process.pid] = process
        except psutil.Error:
            continue
    return list(found.values())


def _memory(process: psutil.Process) -> tuple[int, str]:
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        return process.memory_info().rss, "rss"
    return (full.pss, "pss") if hasattr(full, "pss") else (full.rss, "rss")


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended but was not collected by its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
