"""Times of the load generator's plain side: `make bench` measures them, the suite runs each once."""

from __future__ import annotations

import random

from loadtests.histogram import Histogram
from loadtests.schedule import arrival_times

VALUES = [random.Random(7).lognormvariate(-1, 1) for _ in range(1000)]


def test_a_thousand_times_are_counted(benchmark):
    assert benchmark(Histogram.of, VALUES).count == 1000


def test_sixteen_histograms_are_merged(benchmark):
    parts = [Histogram.of(VALUES[number::16]) for number in range(16)]

    def merge():
        whole = Histogram()
        for part in parts:
            whole.merge(part)
        return whole

    assert benchmark(merge).count == 1000


def test_a_schedule_is_derived(benchmark):
    assert len(benchmark(arrival_times, "gamma", 12.0, 1000, burstiness=0.3, seed=5)) == 1000
