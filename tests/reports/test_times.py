"""Times of judging and rendering: `make bench` measures them, the suite runs each once."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from reports.gates.decide import decide
from reports.gates.policy import Policy
from reports.records import read_record, read_slots
from reports.render import render_run
from reports.statistics.proportions import clopper_pearson, clustered_rate
from reports.statistics.quantiles import quantile_estimate


def test_a_record_is_judged(benchmark, sample: ModuleType, pr_policy: Policy, tmp_path: Path):
    sample.build(tmp_path, "fail")
    record, slots = read_record(tmp_path / "record.json"), list(read_slots(tmp_path / "slots.jsonl"))
    assert benchmark(decide, record, slots, pr_policy).verdict == "fail"


def test_slots_are_read(benchmark, sample: ModuleType, tmp_path: Path):
    sample.build(tmp_path, "pass")
    assert benchmark(lambda: sum(1 for _ in read_slots(tmp_path / "slots.jsonl"))) == len(sample.card_slots())


def test_a_report_is_rendered(benchmark, sample: ModuleType, tmp_path: Path):
    sample.build(tmp_path, "fail")
    benchmark(render_run, tmp_path)
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_an_exact_interval(benchmark):
    assert benchmark(clopper_pearson, 1105, 1139).low > 0.95


def test_a_clustered_interval(benchmark):
    groups = [(number % 3, 3) for number in range(400)]
    assert benchmark(clustered_rate, groups).n == 1200


def test_a_certified_percentile(benchmark):
    values = [0.001 * number for number in range(1000)]
    assert benchmark(quantile_estimate, values, 0.95, planned=1000).high is not None
