"""Histograms are within 1 %, exact to merge, and survive JSON."""

from __future__ import annotations

import json
import math
import random

import pytest

from loadtests.histogram import Histogram


@pytest.mark.parametrize("scale", [1e-3, 1e-2, 1.0, 60.0, 4000.0])
def test_quantiles_are_within_one_percent_of_the_exact_ones(scale):
    generator = random.Random(3)
    values = [generator.lognormvariate(0, 0.6) * scale for _ in range(2000)]
    histogram = Histogram.of(values)
    for q in (0.01, 0.5, 0.9, 0.95, 0.99, 1.0):
        exact = sorted(values)[math.ceil(q * len(values)) - 1]
        assert histogram.quantile(q) == pytest.approx(exact, rel=0.01)


def test_every_value_lies_in_its_own_bucket():
    for units in [*range(300), *(2**k + d for k in range(8, 34) for d in (-1, 0, 1, 77))]:
        value = units * 1e-6
        ((low, high, count),) = Histogram.of([value]).rows()
        assert count == 1
        assert low - 1e-12 <= value < high
        assert high - low <= max(1e-6, value / 64) * 1.0001


def test_merging_workers_gives_the_histogram_of_all_values():
    generator = random.Random(4)
    values = [generator.expovariate(1.0) for _ in range(500)] + [math.inf, math.inf]
    merged = Histogram.of(values[::2])
    merged.merge(Histogram.of(values[1::2]))
    assert merged == Histogram.of(values)
    assert merged.count == 502
    assert merged.infinite == 2


def test_json_round_trip_keeps_everything():
    histogram = Histogram.of([0.0, 0.001, 2.0, math.inf])
    text = json.dumps(histogram.as_json(), allow_nan=False)
    assert Histogram.from_json(json.loads(text)) == histogram
    assert histogram != "a histogram"


def test_another_layout_is_refused():
    data = Histogram.of([1.0]).as_json() | {"sub_buckets": 32}
    with pytest.raises(ValueError, match="another layout"):
        Histogram.from_json(data)


def test_infinite_values_lie_above_all_others_and_an_empty_histogram_has_no_quantile():
    assert Histogram().quantile(0.5) is None
    assert Histogram.of([1.0, math.inf]).quantile(0.95) == math.inf
    assert Histogram.of([1.0, math.inf]).quantile(0.5) == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("value", [-0.1, math.nan])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(ValueError, match="duration"):
        Histogram().add(value)
