"""Two builds loaded turn and turn about: rounds decide what one record against another does not."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evals import loadsuite
from evals.cli.main import assay
from evals.errors import EvidenceError, UsageError
from evals.recording import Recording, make_record
from evals.suites import SuiteResult
from reports.records import Record, read_record, write_record
from reports.rounds import RoundsError, RoundsResult, compare_rounds, word_of
from reports.statistics.quantiles import quantile_estimate

ROOT = Path(__file__).resolve().parents[2]
P95 = "load.response.p95_s"
TURNS = 68
"""As few as a short load run has: too thin for one record against another."""


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@cache
def plain() -> Record:
    told = SuiteResult(slots=[], metrics={}, tables={}, broken=[], load={"model": "paced:"}, digests={"traffic": "t"})
    recording = Recording(
        tier="pr", pack="qsr", target="inprocess", folder=Path("run"), policy=Path("datasets/gates/pr.yaml"), environ=os.environ
    )
    return make_record(recording, {"load": told}, [], {})


def run(number: int, speed: float, *, minute: float, **changes: Any) -> Record:
    """One load run on a machine whose speed drifts from pair to pair; its p95 has the noise of a short run."""
    chance = random.Random(f"{number}/{speed}/{minute}")
    drift = 1 + 0.08 * (number % 3)
    times = [drift * (1.5 * speed + chance.gammavariate(2.0, 0.05)) for _ in range(TURNS)]
    whole, part = divmod(minute, 1)
    at = f"2026-06-15T10:{int(whole):02}:{int(part * 60):02}+00:00"
    fields = {"run_id": f"r{number}", "created_at": at, "metrics": {P95: quantile_estimate(times, 0.95, planned=TURNS)}}
    return replace(plain(), **fields | changes)


def build(speed: float, *, rounds: int = 5, late: float = 0.0, **changes: Any) -> list[Record]:
    return [run(number, speed, minute=number + late, **changes) for number in range(rounds)]


def judged(speed: float, **changes: Any) -> RoundsResult:
    (found,) = compare_rounds(build(speed, late=0.5, **changes), build(1.0), metrics=[P95])
    return found


def test_five_rounds_pass_the_same_build_and_fail_one_that_is_a_fifth_slower():
    same, slower = judged(1.0), judged(1.2)
    assert (same.word, slower.word) == ("pass", "fail")
    assert slower.ratio is not None and slower.ratio.value is not None and 1.15 < slower.ratio.value < 1.25
    assert "over 5 pairs of runs" in slower.sentence
    assert (word_of([same, slower]), word_of([same])) == ("fail", "pass")


def test_runs_that_did_not_take_turns_are_no_rounds():
    with pytest.raises(RoundsError, match="pairs 1 and 2 overlap in time: the runs did not take turns"):
        compare_rounds(build(1.0, late=5.0), build(1.0))
    with pytest.raises(RoundsError, match="4 runs against 5 runs: rounds pair up"):
        compare_rounds(build(1.0, rounds=4), build(1.0))
    with pytest.raises(RoundsError, match="1 run against 1 run"):
        compare_rounds(build(1.0, rounds=1), build(1.0, rounds=1))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda record: replace(record, broken=["It was late."]), "r2 is invalid"),
        (lambda record: replace(record, metrics={}), f"r2 has no {P95}"),
        (
            lambda record: replace(record, provenance=replace(record.provenance, load={"model": "another"})),
            "load differs",
        ),
    ],
)
def test_a_pair_that_cannot_be_compared_is_left_out_and_named(spoil: Callable[[Record], Record], reason: str):
    spoiled = build(1.2, late=0.5)
    spoiled[2] = spoil(spoiled[2])
    (found,) = compare_rounds(spoiled, build(1.0), metrics=[P95])
    assert (found.word, len(found.left_out)) == ("fail", 1)
    assert found.left_out[0].startswith("pair 3 (") and reason in found.sentence
    (nothing,) = compare_rounds([spoil(one) for one in spoiled], build(1.0), metrics=[P95])
    assert nothing.word == "invalid" and "fewer than two pairs" in nothing.sentence


def kept(folder: Path, records: list[Record]) -> Path:
    for number, record in enumerate(records):
        (folder / str(number)).mkdir(parents=True)
        write_record(folder / str(number), record)
    return folder


@pytest.mark.parametrize(("speed", "code"), [(1.0, 0), (1.2, 1)])
def test_the_command_reads_folders_of_runs(tmp_path: Path, speed: float, code: int):
    new, old = kept(tmp_path / "new", build(speed, late=0.5)), kept(tmp_path / "old", build(1.0))
    words = ["rounds", str(new), "--against", str(old), "--metric", P95]
    done = CliRunner().invoke(assay, words, standalone_mode=False)
    assert done.return_value == code and P95 in done.output
    told = json.loads(CliRunner().invoke(assay, [*words, "--json"], standalone_mode=False).output)
    assert (told["word"], told["metrics"][0]["ratio"]["n"]) == ("fail" if code else "pass", 5)


def test_folders_without_records_and_edited_records_are_named(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    old = kept(tmp_path / "old", build(1.0))
    done = CliRunner().invoke(assay, ["rounds", str(tmp_path / "empty"), "--against", str(old)])
    assert isinstance(done.exception, UsageError) and "no record.json; write some with" in str(done.exception)
    file = old / "0" / "record.json"
    file.write_text(file.read_text().replace("r0", "r9"))
    done = CliRunner().invoke(assay, ["rounds", str(old), "--against", str(old)])
    assert isinstance(done.exception, EvidenceError) and "its seal does not fit" in str(done.exception)


def test_a_load_run_keeps_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    metrics = {P95: quantile_estimate([1.0] * 80, 0.95, planned=80)}
    told = SuiteResult(slots=[], metrics=metrics, tables={"load": {}}, broken=[], load={"model": "paced:"}, digests={})
    monkeypatch.setattr(loadsuite, "run_load_suite", lambda cards, run, progress: told)
    done = CliRunner().invoke(assay, ["load", "smoke", "--out", str(tmp_path), "--json"], standalone_mode=False)
    assert done.return_value == 0, done.output
    found = read_record(tmp_path / "record.json")
    assert (found.metrics[P95], found.provenance.load) == (metrics[P95], {"model": "paced:"})
