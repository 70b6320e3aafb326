"""The yardstick measures the machine."""

from __future__ import annotations

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
