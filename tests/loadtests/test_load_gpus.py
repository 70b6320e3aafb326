"""GPUs beside a run: what a stand-in for nvidia-smi tells, and nothing where there is none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from loadtests.gpus import GpuUsage, GpuWatch, parsed, summary

TOLD = """\
#!/bin/sh
echo "0, 40, 1024, 90.5"
echo "1, 0, 12, [N/A]"
echo "Unable to determine the device handle"
echo "0, 60, 2048, 109.5"
exec sleep 30
"""


def test_what_the_program_tells_is_summed_up_by_gpu(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(TOLD)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with GpuWatch(zero=time.monotonic()) as watch:
        deadline = time.monotonic() + 5
        while len(watch.usages or ()) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    rows = summary(watch.usages, (0.0, 10.0))
    assert rows == [
        {"gpu": 0, "samples": 2, "utilisation": pytest.approx(0.5), "peak_memory_bytes": 2**31, "power_w": 100.0},
        {"gpu": 1, "samples": 1, "utilisation": 0.0, "peak_memory_bytes": 12 * 2**20, "power_w": None},
    ]


def test_only_the_measured_window_counts():
    usages = [
        GpuUsage(t_s=t_s, gpu=0, utilisation=share, memory_bytes=1, power_w=None) for t_s, share in ((0.5, 1.0), (2.0, 0.2))
    ]
    (row,) = summary(usages, (1.0, 3.0)) or []
    assert row["utilisation"] == 0.2
    assert summary(usages, (5.0, 6.0)) is None


def test_a_machine_without_gpus_has_nothing_to_tell(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with GpuWatch(zero=0.0) as watch:
        pass
    assert watch.usages is None
    assert summary(watch.usages, (0.0, 1.0)) is None
    assert parsed("", t_s=0.0) is None
