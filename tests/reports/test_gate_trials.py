"""The gate's own rates: chance makes no false alarm, a planted regression does not pass."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from evals.cli.selftest import selftest
from evals.errors import UsageError
from evals.gate_trials import gate_trials
from reports.baseline import history_of
from reports.gates.policy import Policy
from reports.history import History


def test_a_sound_run_never_fails_and_every_regression_is_stopped(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    unchanged, *planted = gate_trials((sample.make_record(slots), slots), pr_policy, History(), draws=40, seed=7)
    assert unchanged.wrong == 0 and unchanged.verdicts.get("fail", 0) == 0
    slower = next(trial for trial in planted if trial.name == "20 % slower")
    # The sample answers in 1.42 s at p95 where 2 s are allowed: a fifth more is within the promise, and without a baseline nobody can know.
    assert slower.wrong > 0.5
    assert {trial.name: trial.wrong for trial in planted if trial is not slower} == dict.fromkeys(
        [trial.name for trial in planted if trial is not slower], 0.0
    )


def test_with_a_baseline_a_fifth_more_time_is_stopped(sample: ModuleType, pr_policy: Policy, tmp_path: Path) -> None:
    sample.build(tmp_path / "accepted", "pass")
    slots = sample.card_slots()
    evidence = (sample.make_record(slots, run_id="tonight"), slots)
    unchanged, *planted = gate_trials(evidence, pr_policy, history_of(tmp_path / "accepted"), draws=40, seed=7)
    assert unchanged.verdicts.get("fail", 0) == 0
    assert {trial.name for trial in planted if trial.wrong > 0} == set()


def test_a_gate_that_lets_everything_pass_is_found_out(sample: ModuleType) -> None:
    slots = sample.card_slots()
    lax = Policy.model_validate(
        {
            "name": "lax",
            "critical_cards": "ignore",
            "max_unjudged": 1.0,
            "lines": [{"metric": "cards.pass_rate", "at_least": 0.0}],
        }
    )
    _, *planted = gate_trials((sample.make_record(slots), slots), lax, History(), draws=20, seed=7)
    missed = {trial.name for trial in planted if trial.wrong == 1.0}
    assert {
        "agent selection 6 points worse",
        "every fifth card wrong",
        "one critical card wrong",
        "three times the memory",
    } <= missed


def test_the_command_says_and_keeps_its_rates(sample: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample.build(tmp_path / "night", "pass")
    code = selftest.main(["--gate", str(tmp_path / "night"), "--draws", "20"], standalone_mode=False)
    said = capsys.readouterr().out
    assert code == 1 and "WRONG  20 % slower" in said and "ok     unchanged build" in said
    (row,) = [json.loads(line) for line in (tmp_path / "selftest.jsonl").read_text().splitlines()]
    assert row["false_alarms"] == 0.0 and row["misses"]["target dead"] == 0.0
    sample.build(tmp_path / "failed", "fail")
    with pytest.raises(UsageError, match="its verdict is fail"):
        selftest.main(["--gate", str(tmp_path / "failed")], standalone_mode=False)
