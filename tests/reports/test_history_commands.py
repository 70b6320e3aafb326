"""`assay promote` and `history` keep who accepted what and why, and refuse in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from evals.cli.history import history, promote
from evals.errors import UsageError

SIGNED = ["--who", "kim", "--why", "first good night"]


@pytest.fixture
def runs(sample: ModuleType, tmp_path: Path) -> Path:
    sample.build(tmp_path / "run", "pass")
    sample.build(tmp_path / "bad", "fail")
    return tmp_path


def call(command: object, runs: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--runs", str(runs)])  # type: ignore[arg-type]


def test_a_run_is_promoted_listed_and_revoked(runs: Path) -> None:
    assert call(history, runs).output == "no run is accepted; `assay promote RECORD` accepts one\n"
    done = call(promote, runs, str(runs / "run" / "record.json"), *SIGNED)
    assert done.stdout == "promoted 5d1e07b2: 60 cards, 26 metrics\n"
    assert done.stderr == "unknown in this run, so never equal to another: routing\n"
    listed = call(history, runs).output.splitlines()
    assert listed[0].endswith("kim: first good night") and "promote  5d1e07b2" in listed[0] and listed[1] == "1 accepted"
    back = call(promote, runs, str(runs / "run"), "--revoke", "--who", "lee", "--why", "wrong judge")
    assert back.output == "revoked 5d1e07b2; it is no longer compared with\n"
    assert call(history, runs, "--json").output == "[]\n"
    both = json.loads(call(history, runs, "--all", "--json").output)
    assert [(event["action"], event["who"], "cards" in event) for event in both] == [
        ("revoke", "lee", False),
        ("promote", "kim", False),
    ]


def test_a_run_is_revoked_by_its_id_when_its_folder_is_gone(runs: Path) -> None:
    call(promote, runs, str(runs / "run"), *SIGNED)
    assert call(promote, runs, "5d1e07b2", "--revoke", *SIGNED).output.startswith("revoked 5d1e07b2")


def test_refusals_are_usage_errors_of_one_sentence(runs: Path) -> None:
    refused = call(promote, runs, str(runs / "bad"), *SIGNED)
    assert isinstance(refused.exception, UsageError) and "its verdict is fail" in str(refused.exception)
    assert isinstance(call(promote, runs, "nobody", "--revoke", *SIGNED).exception, UsageError)
    assert call(promote, runs, str(runs / "run"), "--who", "kim").exit_code == 2
    (runs / "history").mkdir()
    (runs / "history" / "promotions.jsonl").write_text("{\n")
    broken = call(history, runs)
    assert isinstance(broken.exception, UsageError) and "promotions.jsonl:1" in str(broken.exception)
