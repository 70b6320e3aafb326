"""GPUs: utilisation, memory and power of the machine's NVIDIA GPUs beside a run, as `nvidia-smi` tells them twice a second."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Self

QUERY = "index,utilization.gpu,memory.used,power.draw"
INTERVAL_MS = 500
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class GpuUsage:
    """One GPU at one moment. `utilisation`: share of the last interval in which a kernel ran, 0..1. `power_w` null: it does not say."""

    t_s: float
    gpu: int
    utilisation: float
    memory_bytes: int
    power_w: float | None


class GpuWatch:
    """Reads one `nvidia-smi` that runs as long as the block. A context manager; `usages` is null on a machine without one."""

    def __init__(self, *, zero: float) -> None:
        self.usages: list[GpuUsage] | None = None
        self._zero = zero
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._read, name="gpus", daemon=True)

    def __enter__(self) -> Self:
        program = shutil.which("nvidia-smi")
        if program is not None:
            command = [program, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits", f"-lms={INTERVAL_MS}"]
            self.usages = []
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._thread.join()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None and self.usages is not None
        for line in self._process.stdout:
            usage = parsed(line, t_s=time.monotonic() - self._zero)
            if usage is not None:
                self.usages.append(usage)


def parsed(line: str, *, t_s: float) -> GpuUsage | None:
    """A line of `nvidia-smi`; null for one that tells no figures, as those of a driver that does not answer."""
    fields = [field.strip() for field in line.split(",")]
    try:
        index, utilisation, memory = (float(field) for field in fields[:3])
    except ValueError:
        return None
    try:
        power = float(fields[3])
    except (IndexError, ValueError):
        power = None
    return GpuUsage(t_s=t_s, gpu=int(index), utilisation=utilisation / 100, memory_bytes=round(memory * MIB), power_w=power)


def summary(usages: Sequence[GpuUsage] | None, window: tuple[float, float]) -> list[dict[str, Any]] | None:
    """A row for each GPU over the measured window; null on a machine that has none or tells nothing."""
    start, end = window
    inside = [usage for usage in usages or () if start <= usage.t_s <= end]
    rows: list[dict[str, Any]] = []
    for gpu in sorted({usage.gpu for usage in inside}):
        mine = [usage for usage in inside if usage.gpu == gpu]
        powers = [usage.power_w for usage in mine if usage.power_w is not None]
        rows.append(
            {
                "gpu": gpu,
                "samples": len(mine),
                "utilisation": fmean(usage.utilisation for usage in mine),
                "peak_memory_bytes": max(usage.memory_bytes for usage in mine),
                "power_w": fmean(powers) if powers else None,
            }
        )
    return rows or None
