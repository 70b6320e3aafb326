"""A verdict told to GitHub and to a chat: complete, short, and with nothing in it that the other side would carry out."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import TypeAdapter

from evals.cli import main as entry
from reports.announce import chat_text, github_commands
from reports.gates.verdict import Verdict
from reports.records import Record


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["assay", "report", *arguments])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_a_fail_annotates_every_reason_and_every_card(sample: ModuleType, tmp_path: Path) -> None:
    lines = github_commands(sample.build(tmp_path, "fail"))
    assert len(lines) == 5
    assert all(line.startswith("::error title=") for line in lines)
    assert lines[0].startswith("::error title=Assay%3A fail::Critical cards pass every repeat: ")
    assert lines[-1] == (
        "::error title=card training/card-03::routed to safety, wanted training. Reproduce: assay eval --card training/card-03"
    )


@pytest.mark.parametrize(("kind", "level"), [("pass", "notice"), ("inconclusive", "warning"), ("invalid", "error")])
def test_each_verdict_has_its_level(kind: str, level: str, sample: ModuleType, tmp_path: Path) -> None:
    lines = github_commands(sample.build(tmp_path, kind))
    assert lines and all(line.startswith(f"::{level} ") for line in lines)


def test_text_of_a_model_cannot_start_a_command(sample: ModuleType, tmp_path: Path) -> None:
    verdict = sample.build(tmp_path, "fail")
    card = verdict.failures[0]
    evil = replace(card.checks[0], reason="100%\n::set-output name=x::y")
    lines = github_commands(replace(verdict, failures=[replace(card, card="a,b::c\n", checks=[evil])]))
    assert "\n" not in "".join(lines)
    assert lines[-1].startswith("::error title=card a%2Cb%3A%3Ac%0A::100%25%0A::set-output")


def test_a_chat_message_is_short_and_inert(sample: ModuleType, tmp_path: Path) -> None:
    verdict = sample.build(tmp_path, "fail")
    text = chat_text(verdict, pack="qsr", commit="7f3c9d1e5a20", link="https://ci.example/run/1")
    assert text.splitlines()[0].startswith("❌ *FAIL* qsr pr 7f3c9d1: Critical card")
    assert text.splitlines()[1:] == [
        "and 2 reasons more",
        "2 cards failing, mostly routing: equipment/card-00 and training/card-03",
        "https://ci.example/run/1",
    ]
    loud = chat_text(replace(verdict, sentence="<!channel> " * 200, reasons=[], failures=[]), pack="qsr", commit=None)
    assert "<" not in loud and len(loud) < 1_500 and "unknown" in loud


def test_the_command_appends_the_step_summary(
    sample: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.build(tmp_path / "run", "fail")
    assert run(monkeypatch, str(tmp_path / "run")) == 0
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    (tmp_path / "step.md").write_text("before\n")
    assert run(monkeypatch, str(tmp_path / "run"), "--as", "github") == 0
    assert (tmp_path / "step.md").read_text() == "before\n" + (tmp_path / "run/summary.md").read_text()
    assert run(monkeypatch, str(tmp_path / "run"), "--as", "chat") == 0
    assert "*FAIL* qsr pr" in capsys.readouterr().out


def test_the_schemas_describe_what_is_written(
    sample: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.build(tmp_path, "fail")
    assert run(monkeypatch, str(tmp_path), "--as", "schema") == 0
    schemas = json.loads(capsys.readouterr().out)
    assert set(schemas) == {"record.json", "slots.jsonl", "verdict.json"}
    record = json.loads((tmp_path / "record.json").read_text())
    assert set(record) - {"seal"} == set(schemas["record.json"]["properties"])
    record.pop("seal")
    TypeAdapter(Record).validate_python(record)
    TypeAdapter(Verdict).validate_json((tmp_path / "verdict.json").read_text())


def test_the_front_page_lists_runs_newest_first_and_broken_ones_apart(
    sample: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("pass", "fail"):
        sample.build(tmp_path / kind, kind)
        assert run(monkeypatch, str(tmp_path / kind)) == 0
    sample.build(tmp_path / "undecided", "pass")
    (tmp_path / "undecided/verdict.json").unlink()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/record.json").write_text("{<script>")
    capsys.readouterr()
    assert run(monkeypatch, "index", "--runs", str(tmp_path)) == 0
    page = Path(capsys.readouterr().out.strip()).read_text()
    assert "3 runs: 1 pass, 1 fail." in page
    assert 'href="./fail/report.html"' in page and "no verdict" in page
    assert "torn" in page and "<script>" not in page
    assert page.count('<svg class="chart"') == 6
    assert "http" not in page.replace("http-equiv", "")


def test_a_front_page_of_nothing_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "index", "--runs", str(tmp_path / "none")) == 4
    assert "no such folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run(monkeypatch, "index", "--runs", str(tmp_path / "empty")) == 0
    assert "0 runs: no verdict." in (tmp_path / "empty/index.html").read_text()
