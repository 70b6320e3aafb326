"""The yardstick measures the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals import yardstick as module
from evals.yardstick import Yardstick


def test_laps_give_a_median_with_bounds() -> None:
    yardstick = Yardstick()
    assert yardstick.estimate() is None
    for _ in range(20):
        yardstick.lap()
    estimate = yardstick.estimate()
    assert estimate is not None and estimate.value is not None and estimate.low is not None
    assert min(yardstick.laps) <= estimate.low <= estimate.value <= max(yardstick.laps)
    assert 0.0005 < estimate.value < 0.1


def test_waiting_is_the_share_that_the_kernel_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "schedstat"
    monkeypatch.setattr(module, "SCHEDSTAT", told)
    told.write_text("1000 500 7\n")
    yardstick = Yardstick()
    told.write_text("4000 1500 9\n")
    estimate = yardstick.waiting()
    assert estimate is not None and estimate.value == 0.25


def test_a_kernel_that_tells_nothing_leaves_waiting_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCHEDSTAT", tmp_path / "none")
    assert Yardstick().waiting() is None
    (tmp_path / "none").write_text("0 0 0\n")
    assert Yardstick().waiting() is None
