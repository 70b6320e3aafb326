"""The gate on two load records: the same build twice does not fail, a model that is 20 % slower does."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import yaml

from evals.recording import Recording, make_record
from evals.suites import SuiteResult
from reports.gates.lines import judge_line
from reports.gates.policy import Policy, read_policy
from reports.gates.reference import OneRecord
from reports.records import Record
from reports.statistics.log_ratio import ratio_of_rounds, slowed
from reports.statistics.quantiles import quantile_estimate

ROOT = Path(__file__).resolve().parents[2]
P95 = "load.response.p95_s"
TURNS = 180


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def responses(speed: float, seed: int) -> list[float]:
    """Turns of a paced model on a machine with other work: 1.5 s of the model, a tenth of a second of everything else."""
    chance = random.Random(seed)
    return [1.5 * speed + chance.gammavariate(2.0, 0.05) for _ in range(TURNS)]


def record(speed: float, seed: int, folder: Path) -> Record:
    metrics = {P95: quantile_estimate(responses(speed, seed), 0.95, planned=TURNS)}
    told = SuiteResult(slots=[], metrics=metrics, tables={}, broken=[], load={"model": "paced:"}, digests={"traffic": "t"})
    recording = Recording(
        tier="pr", pack="qsr", target="inprocess", folder=folder, policy=Path("datasets/gates/pr.yaml"), environ=os.environ
    )
    return make_record(recording, {"load": told}, [], {})


def policy(folder: Path) -> Policy:
    line = {"metric": P95, "max_rise": 0.16, "baseline": "required", "why": "A tenth of what a turn takes."}
    pr = yaml.safe_load(Path("datasets/gates/pr.yaml").read_text())
    (folder / "policy.yaml").write_text(yaml.safe_dump({**pr, "lines": [line]}))
    return read_policy(folder / "policy.yaml")


def test_the_same_build_twice_does_not_fail_and_a_slower_model_does(tmp_path):
    rules, base = policy(tmp_path), record(1.0, 0, tmp_path)

    def judged(speed: float, seed: int) -> str:
        after = record(speed, seed, tmp_path)
        (gate,) = judge_line(rules.lines[0], after, rules, OneRecord(record=after, baseline=base, options=rules.baseline))
        return gate.state

    assert {judged(1.0, seed) for seed in range(1, 6)} == {"pass"}
    assert {judged(1.2, seed) for seed in range(1, 6)} == {"fail"}


def test_interleaved_rounds_tell_a_slower_model_from_the_same_one():
    def p95(speed: float, seed: int) -> float:
        return quantile_estimate(responses(speed, seed), 0.95, planned=TURNS).value or 0.0

    before = [p95(1.0, seed) for seed in range(5)]
    assert slowed(ratio_of_rounds(before, [p95(1.0, seed + 10) for seed in range(5)]), 0.10) == "pass"
    assert slowed(ratio_of_rounds(before, [p95(1.2, seed + 20) for seed in range(5)]), 0.10) == "fail"
