"""The search for capacity, the lines it holds a rate to, and the command that prints it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from evals import capacity
from evals.capacity import CapacityRun, RateResult, find_capacity, judge, load_lines
from evals.cli import capacity as command
from evals.cli.main import assay
from evals.errors import UsageError
from evals.loadsuite import LoadRun
from evals.suites import SuiteResult
from evals.targets.opening import parse_target
from loadtests.capacity import Bounds, Capacity, Step, search
from reports.gates.policy import read_policy
from reports.records import Estimate
from reports.statistics.proportions import clopper_pearson

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "datasets/traffic"


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def holds_below(limit: float, unsure: float = 0.0):
    """A server of known capacity; within `unsure` of it nothing can be decided."""

    def attempt(rate_per_s: float) -> Step[None]:
        if abs(rate_per_s / limit - 1) < unsure:
            return Step(rate_per_s=rate_per_s, word="inconclusive", found=None)
        return Step(rate_per_s=rate_per_s, word="pass" if rate_per_s < limit else "fail", found=None)

    return attempt


@pytest.mark.parametrize("limit", [1.1, 3.9, 4.1, 17.3, 61.0])
def test_the_capacity_of_a_known_server_lies_in_the_interval(limit):
    found = search(holds_below(limit), Bounds(start=4, most=100, precision=0.05, steps=20))
    assert found.highest_pass is not None and found.lowest_fail is not None
    assert found.highest_pass < limit <= found.lowest_fail <= found.highest_pass * 1.05
    assert found.word == "pass"
    assert len(found.steps) <= 10


def test_steps_that_decide_nothing_widen_the_interval_and_do_not_enter_it():
    found = search(holds_below(17.3, unsure=0.1), Bounds(start=4, most=100, precision=0.05, steps=20))
    assert found.highest_pass is not None and found.lowest_fail is not None
    assert found.highest_pass < 17.3 * 0.9 and found.lowest_fail > 17.3 * 1.1


def test_a_search_ends_at_the_most_at_the_steps_and_where_nothing_holds():
    assert search(holds_below(1e9), Bounds(start=4, most=30)).highest_pass == 30
    assert len(search(holds_below(17.3), Bounds(start=4, most=100, precision=0.001, steps=6)).steps) == 6
    nothing = search(holds_below(0.1), Bounds(start=4, most=100))
    assert (nothing.highest_pass, nothing.lowest_fail, nothing.word) == (None, 0.5, "fail")


def test_a_pass_above_a_fail_certifies_nothing():
    words = {4.0: "pass", 8.0: "fail", 16.0: "pass"}
    steps = [Step(rate_per_s=rate, word=word, found=None) for rate, word in words.items()]
    found = Capacity(steps=steps)
    assert (found.highest_pass, found.lowest_fail) == (4.0, 8.0)


@pytest.mark.parametrize("word", ["inconclusive", "invalid"])
def test_a_search_that_never_decided_says_why(word):
    found = search(lambda rate: Step(rate_per_s=rate, word=word, found=None), Bounds(start=4, most=100))
    assert (found.highest_pass, found.lowest_fail, found.word) == (None, None, word)


def exact(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value, k=None, n=400, planned=400, confidence=0.95, method="planted")


def result(p95_s: float = 1.6, errors: int = 0, **changes: Any) -> SuiteResult:
    metrics = {
        "load.response.p95_s": exact(p95_s),
        "load.ttft.p95_s": exact(0.4),
        "load.error_rate": clopper_pearson(errors, 400),
        "load.correct_rate": exact(1.0),
        "load.lost_turns": exact(0.0),
        "target.survived": exact(1.0),
        "load.server.peak_pss_bytes": exact(2e8),
        "load.throughput_per_s": exact(12.0),
        "load.correct_goodput_per_s": exact(11.0),
    }
    tables = {"load": {"server": [{"cpu": 0.0}, {"cpu": 0.5}, {"cpu": 0.7}]}}
    return SuiteResult(**{"slots": [], "metrics": metrics, "tables": tables} | changes)


def run(tmp_path: Path, profile: Path = SHIPPED / "smoke.yaml", **changes: Any) -> CapacityRun:
    path = ROOT / "datasets/gates/pr.yaml"
    load = LoadRun(pack="qsr", profile=profile, target=parse_target("inprocess"), folder=tmp_path, environ={})
    fields = {"policy": read_policy(path), "policy_path": path, "tier": "pr", "bounds": Bounds(start=4, most=40)}
    return CapacityRun(load=load, **fields | changes)


def quiet(name: str, done: int, total: int) -> None:
    return None


def test_the_lines_of_the_shipped_policy_on_load_are_what_a_rate_is_held_to(tmp_path):
    names = {line.metric for line in load_lines(run(tmp_path).policy)}
    assert {"load.response.p95_s", "load.error_rate", "load.correct_rate", "target.survived"} <= names
    assert all(name.startswith("load.") or name == "target.survived" for name in names)


def test_a_rate_passes_fails_or_decides_nothing_as_the_policy_says(tmp_path):
    assert judge(result(), run(tmp_path)) == ("pass", [])
    word, (reason,) = judge(result(p95_s=2.3), run(tmp_path))
    assert (word, "at most 2" in reason) == ("fail", True)
    assert judge(result(errors=4), run(tmp_path))[0] == "inconclusive"
    assert judge(result(broken=["The generator was late."]), run(tmp_path)) == ("invalid", ["The generator was late."])
    hidden = {name: value for name, value in result().metrics.items() if name != "load.ttft.p95_s"}
    assert judge(result(metrics=hidden), run(tmp_path))[0] == "invalid"


def test_each_step_plays_the_profile_at_its_rate_for_as_long_as_its_turns_take(tmp_path, monkeypatch):
    profiles = []

    def suite(cards, load, progress):
        profiles.append(yaml.safe_load(load.profile.read_text()))
        return result(p95_s=1.5 if profiles[-1]["arrivals"]["rate_per_s"] < 13 else 3.0)

    monkeypatch.setattr(capacity, "run_load_suite", suite)
    told: list[Step[RateResult]] = []
    found = find_capacity([], run(tmp_path), quiet, told.append)
    assert found.steps == told
    assert found.highest_pass is not None and found.lowest_fail is not None
    assert found.highest_pass < 13 <= found.lowest_fail
    for profile in profiles:
        arrivals = profile["arrivals"]
        assert arrivals["rate_per_s"] * arrivals["duration_s"] >= 330
        assert profile["max_in_flight"] >= arrivals["rate_per_s"] * arrivals["duration_s"]
    assert told[0].found.server_cpu == pytest.approx(0.6)


def test_what_cannot_be_searched_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="needs an open loop"):
        find_capacity([], run(tmp_path, SHIPPED / "users-1000.yaml"), quiet, print)
    with pytest.raises(UsageError, match="--most 5000"):
        find_capacity([], run(tmp_path, bounds=Bounds(start=4, most=5000)), quiet, print)
    policy = run(tmp_path).policy
    with pytest.raises(UsageError, match="no line on load"):
        find_capacity([], run(tmp_path, policy=policy.model_copy(update={"lines": []})), quiet, print)


def shown(arguments: list[str]) -> tuple[int | None, str]:
    done = CliRunner().invoke(assay, ["capacity", *arguments], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.output


def test_the_command_prints_the_curve_and_the_interval(tmp_path, monkeypatch):
    monkeypatch.setattr(
        capacity, "run_load_suite", lambda cards, load, progress: result(p95_s=1.5 if "rate-4" in str(load.folder) else 3.0)
    )
    code, output = shown(["smoke", "--precision", "1", "--out", str(tmp_path)])
    assert code == 0
    assert output.splitlines()[-1] == "Capacity lies between 4.00 turns a second, which held, and 8.00, which did not."
    assert "11.00" in output.splitlines()[1]
    assert json.loads((tmp_path / "capacity.json").read_text())["highest_pass"] == 4.0
    code, output = shown(["smoke", "--precision", "1", "--json"])
    assert json.loads(output[output.index("{") :])["lowest_fail"] == 8.0
    assert code == 0


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["fail", "fail"], "No rate held; the lowest that failed is", 1),
        (["invalid"], "No rate could be judged.", 3),
        (["pass"], "Capacity is at least 4.00", 0),
    ],
)
def test_what_the_answer_says_when_one_end_is_missing(words, said, code):
    steps = [Step(rate_per_s=4.0 / (n + 1), word=word, found=None) for n, word in enumerate(words)]
    found = Capacity(steps=steps)
    assert command.sentence(found).startswith(said)
    assert command.EXIT_CODES[found.word] == code


def test_a_step_without_figures_is_a_row_of_dashes():
    nothing = RateResult(
        metrics=dict.fromkeys(capacity.SHOWN), reasons=["The generator was late."], server_cpu=None, server_peak_bytes=None
    )
    line = command.row(Step(rate_per_s=4.0, word="invalid", found=nothing))
    assert line.endswith("The generator was late.")
    assert line.count("–") == 5
