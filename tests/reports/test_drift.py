"""Drift is told where two detectors agree, is large enough and lasts; noise, a single outlier and a restless series are not drift."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from types import ModuleType

import numpy as np
import pytest

from evals.cli import main as entry
from reports.drift import Drift, DriftError, Triage, append_triage, drift_of, find_changes, read_runs, read_triage
from reports.drift_view import headline, words
from reports.records import Estimate, Record, write_record
from reports.render import render_drift
from reports.statistics.edivisive import divisive_changes, welch_p
from reports.statistics.segments import best_segments

sys.path.insert(0, str(Path(__file__).parent))
import measure_drift

needs_data = pytest.mark.skipif(not (measure_drift.DATA / "tcpd").is_dir(), reason="public series are not here")


def noise(seed: int, n: int = 60, memory: float = 0.0) -> list[float]:
    draws = np.random.default_rng(seed).normal(size=n)
    for place in range(1, n):
        draws[place] += memory * draws[place - 1]
    return [float(value) for value in 1.5 + 0.03 * draws]


def stepped(values: Sequence[float], step: float, at: int) -> list[float]:
    return [value * (step if place >= at else 1.0) for place, value in enumerate(values)]


def test_noise_gives_no_change_and_a_step_is_found_where_it_is() -> None:
    quiet = [find_changes(noise(seed)) for seed in range(200)]
    assert sum(map(bool, quiet)) <= 4
    found = [find_changes(stepped(noise(seed), 1.1, 30)) for seed in range(100)]
    assert mean(any(abs(place - 30) <= 3 for place in places) for places in found) >= 0.9


def test_autocorrelated_noise_is_not_cut_into_levels() -> None:
    assert sum(bool(find_changes(noise(seed, memory=0.6))) for seed in range(100)) <= 5


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1.0] * 9,
        [1.0] * 40,
        [*[1.0] * 20, 9.0, *[1.0] * 20],
        [float(place % 2) for place in range(60)],
        [1.0 + 0.2 * (place // 2 % 2) for place in range(100)],
    ],
    ids=["nothing", "too few", "constant", "one outlier", "two values in turn", "restless"],
)
def test_what_is_not_drift(values: list[float]) -> None:
    assert find_changes(values) == []


def test_a_small_step_is_below_the_least_effect_and_shares_are_compared_by_difference() -> None:
    exact = [*[1.0] * 20, *[1.03] * 20]
    assert find_changes(exact) == []
    assert find_changes(exact, least_effect=0.02) == [20]
    shares = [*[0.02] * 20, *[0.04] * 20]
    assert find_changes(shares, shares=True) == []
    assert find_changes([*[0.95] * 20, *[0.8] * 20], shares=True) == [20]


def test_values_of_zero_and_below_are_compared_by_difference() -> None:
    assert find_changes([*[0.0] * 20, *[5.0] * 20]) == [20]


def test_two_steps_are_two_changes_and_a_small_one_between_levels_is_dropped() -> None:
    assert find_changes([*[1.0] * 20, *[2.0] * 20, *[1.0] * 20]) == [20, 40]
    assert find_changes([*[1.0] * 20, *[1.02] * 20, *[2.0] * 20]) == [40]


def test_each_detector_alone_finds_an_exact_step() -> None:
    series = stepped(noise(1, n=40), 1.5, 20)
    assert best_segments(series) == [20]
    assert divisive_changes(series) == [20]
    assert best_segments([1.0] * 9) == divisive_changes([1.0] * 9) == []


def test_welch_agrees_with_scipy() -> None:
    from scipy import stats

    a, b = np.array([1.0, 2.0, 4.0, 4.5]), np.array([2.0, 6.0, 7.5])
    assert welch_p(a, b) == pytest.approx(float(stats.ttest_ind(a, b, equal_var=False).pvalue), abs=1e-12)
    assert (welch_p(np.ones(3), np.ones(3)), welch_p(np.ones(3), np.zeros(3))) == (1.0, 0.0)


@needs_data
def test_annotated_series_are_cut_better_than_by_the_published_default() -> None:
    scores = [measure_drift.covering_f1(marks, measure_drift.agreed(values)) for _, values, marks in measure_drift.tcpd_series()]
    assert mean(scores) >= 0.80


@needs_data
def test_real_noise_alarms_seldom_and_a_tenth_more_is_found() -> None:
    windows = list(measure_drift.noise_windows())
    assert mean(measure_drift.step_found(values, 1.0) for _, values in windows) <= 0.02
    assert mean(measure_drift.step_found(values, 1.1) for _, values in windows) >= 0.90


Nights = Callable[[Sequence[float]], list[Record]]


@pytest.fixture
def nights(sample: ModuleType, tmp_path: Path) -> Nights:
    """Nightly runs under tmp_path with the given p95, and always the same pass rate."""

    def play(values: Sequence[float]) -> list[Record]:
        records = []
        for number, value in enumerate(values):
            p95 = Estimate(value=value, low=None, high=None, k=None, n=400, planned=400, confidence=0.95, method="t")
            metrics = {"load.response.p95_s": p95, "cards.pass_rate": sample.wilson(57, 60)}
            record = sample.make_record(sample.card_slots(2), metrics)
            origin = replace(record.provenance, commit=f"{number:040x}")
            record = replace(
                record,
                run_id=f"run-{number}",
                tier="nightly",
                created_at=f"2026-06-{number + 1:02d}T02:00:00+00:00",
                provenance=origin,
            )
            folder = tmp_path / f"run-{number}"
            folder.mkdir()
            write_record(folder, record)
            records.append(record)
        return records

    return play


def by_name(found: list[Drift]) -> dict[str, Drift]:
    return {drift.metric: drift for drift in found}


def test_a_change_names_its_direction_its_runs_and_the_commits_between(nights: Nights, tmp_path: Path) -> None:
    nights([*[1.5] * 12, *[1.8] * 12])
    found = by_name(list(drift_of(read_runs(tmp_path, "nightly"))))
    (change,) = found["load.response.p95_s"].changes
    assert (change.key, change.direction) == ("load.response.p95_s@run-12", "worse")
    assert change.commits == (f"{11:040x}", f"{12:040x}")
    assert words(change, "seconds") == "worse: 1.5\u202fs to 1.8\u202fs (+20.0\u202f%)"
    assert found["cards.pass_rate"].changes == []
    assert headline(list(found.values())) == "1 metric moved; 1 change for the worse without a label."


def test_the_same_step_down_is_better(nights: Nights, tmp_path: Path) -> None:
    nights([*[1.8] * 12, *[1.5] * 12])
    (change,) = by_name(list(drift_of(read_runs(tmp_path, "nightly"))))["load.response.p95_s"].changes
    assert change.direction == "better"


def test_broken_unreadable_and_other_tiers_are_left_out(nights: Nights, tmp_path: Path) -> None:
    records = nights([1.5] * 4)
    write_record(tmp_path / "run-1", replace(records[1], broken=["the generator was too slow"]))
    write_record(tmp_path / "run-2", replace(records[2], tier="pr"))
    (tmp_path / "run-3/record.json").write_text("{")
    assert [record.run_id for record in read_runs(tmp_path, "nightly")] == ["run-0"]
    with pytest.raises(DriftError, match="holds no sound release run"):
        read_runs(tmp_path, "release")


def test_too_few_runs_say_nothing(nights: Nights, tmp_path: Path) -> None:
    nights([1.5] * 3)
    found = list(drift_of(read_runs(tmp_path, "nightly")))
    assert not any(drift.enough for drift in found)
    assert headline(found) == "Too few runs to say whether anything drifts."


def test_a_broken_line_of_triage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "history/triage.jsonl"
    path.parent.mkdir()
    path.write_text('{"key": "a@b", "label": "maybe", "who": "kim", "why": "x", "at": "2026-06-01T00:00:00Z"}\n')
    with pytest.raises(DriftError, match=r"triage\.jsonl:1: label: Input should be 'real', 'noise' or 'expected'"):
        read_triage(tmp_path)


def test_a_label_is_only_for_a_change_that_is_found(tmp_path: Path) -> None:
    word = Triage.model_validate({"key": "a@b", "label": "noise", "who": "kim", "why": "x", "at": "2026-06-01T00:00:00Z"})
    with pytest.raises(DriftError, match="a@b: no such change; found are: none"):
        append_triage(tmp_path, word, [])


def test_the_command_shows_labels_and_writes_a_page(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nights([*[1.5] * 12, *[1.8] * 12])
    runs = ["drift", "--runs", str(tmp_path)]

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["assay", *runs, *arguments])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        assert isinstance(stop.value.code, int)
        return stop.value.code

    assert run() == 0
    said = capsys.readouterr().out
    assert "load.response.p95_s@run-12\n      worse: 1.5" in said and "label none" in said
    page = (tmp_path / "drift.html").read_text()
    assert "1 metric moved" in page and "<svg" in page and "http" not in page.replace("http-equiv", "")
    assert run("--label", "load.response.p95_s@run-12", "noise", "--who", "kim", "--why", "host was moved") == 0
    assert "label noise" in capsys.readouterr().out
    assert run("--json", "--metric", "load.response.p95_s") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["changes"][0]["label"], told["changes"][0]["index"]) == ("noise", 12)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--metric", "load.response.p95"], "did you mean `load.response.p95_s`?"),
        (["--label", "load.response.p95_s@run-12", "maybe"], "labels are real, noise, expected"),
        (["--label", "load.response.p95_s@run-12", "real"], "say who labels and why"),
        (["--label", "nothing@run-1", "real", "--who", "kim", "--why", "x"], "no such change"),
        (["--tier", "release"], "holds no sound release run"),
        (["--runs", "/nowhere/at/all"], "no such folder"),
    ],
)
def test_a_mistake_gets_one_sentence(
    arguments: list[str],
    fault: str,
    nights: Nights,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nights([*[1.5] * 12, *[1.8] * 12])
    monkeypatch.setattr(sys, "argv", ["assay", "drift", "--runs", str(tmp_path), *arguments])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 4
    assert fault in capsys.readouterr().err


def test_hostile_names_stay_inert_on_the_page(nights: Nights, tmp_path: Path) -> None:
    records = nights([*[1.5] * 12, *[1.8] * 12])
    named = [replace(record, run_id=f"<script>{record.run_id}") for record in records]
    render_drift(list(drift_of(named)), "nightly", tmp_path / "page.html")
    assert "<script>" not in (tmp_path / "page.html").read_text()
