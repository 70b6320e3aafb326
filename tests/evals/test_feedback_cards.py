"""A disliked conversation becomes a draft: what was wrong is drafted, what is right is left to a person, and nobody's data is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from evals.cli import main as entry
from evals.errors import UsageError
from evals.importing.drafts import draft_faults
from evals.importing.feedback import read

CHAT: list[dict[str, Any]] = [
    {"role": "user", "text": "hi, I am kim@example.com, call (555) 010-9988"},
    {"role": "assistant", "text": "Hello."},
    {"role": "user", "text": "how hot for chicken"},
    {"role": "assistant", "text": "145 F is fine. Enjoy.", "agent": "safety", "tools": [{"name": "list_temperatures"}]},
]


def written(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "down.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("reason", "expect"),
    [
        ("wrong_answer", {"agent": "safety", "not_say": ["145 F is fine."]}),
        ("wrong_agent", {}),
        ("wrong_tool", {"agent": "safety", "forbid_tools": ["list_temperatures"]}),
        ("no_source", {"agent": "safety", "cite": True}),
        ("made_up", {"agent": "safety", "grounded": True}),
        ("refused_wrongly", {"agent": "safety", "refusal": False, "outcome": "answered"}),
        ("should_have_refused", {"refusal": True, "outcome": "refused"}),
        ("unsafe", {"not_say": ["145 F is fine."]}),
        ("too_slow", {"agent": "safety"}),
        ("other", {}),
    ],
)
def test_the_reason_decides_what_is_drafted(tmp_path: Path, reason: str, expect: dict[str, Any]) -> None:
    (one,) = read(written(tmp_path, {"id": "c1", "reason": reason, "messages": CHAT})).drafts
    assert [turn["user"] for turn in one.card["turns"]] == [
        "hi, I am [e-mail address], call [telephone number]",
        "how hot for chicken",
    ]
    assert one.card["turns"][-1].get("expect", {}) == expect
    assert one.card["tags"] == ["feedback", reason.replace("_", "-")]
    assert "the disliked answer: 145 F is fine. Enjoy." in one.lost


def test_masked_data_is_listed_by_kind_only(tmp_path: Path) -> None:
    row = {"reason": "other", "comment": "mail kim@example.com", "messages": CHAT}
    (one,) = read(written(tmp_path, row)).drafts
    assert one.lost[-1] == "personal data, masked: e-mail address, telephone number"
    assert "kim@example.com" not in json.dumps([one.card, one.lost])


def test_a_conversation_without_an_answer_gives_no_card_and_says_so(tmp_path: Path) -> None:
    imported = read(written(tmp_path, {"id": "x", "reason": "other", "messages": CHAT[:3]}))
    assert [(one.item, one.reason) for one in imported.refused] == [("x", "does not end with an answer to a user")]


def test_all_faults_are_named_with_row_and_field(tmp_path: Path) -> None:
    path = written(tmp_path, {"reason": "wrong_anser", "messages": CHAT}, {"reason": "other", "messages": [], "mood": 1})
    with pytest.raises(UsageError) as refused:
        read(path)
    lines = str(refused.value).splitlines()
    assert lines[0].startswith(f"{path}: row 1: field `reason`: ") and "did you mean `wrong_answer`?" in lines[0]
    assert any("row 2: field `messages`" in line for line in lines) and any("row 2: field `mood`" in line for line in lines)


def test_the_command_writes_drafts_that_cannot_gate_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = written(tmp_path, {"id": "c1", "reason": "wrong_answer", "messages": CHAT}), tmp_path / "drafts"
    for more, code in (([], 0), (["--json"], 4)):
        monkeypatch.setattr(sys, "argv", ["assay", "cards", "from-feedback", str(path), "--out", str(out), *more])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        assert stop.value.code == code
    assert "exists already" in capsys.readouterr().err
    ((card, faults),) = draft_faults(out).items()
    assert card == out / "feedback/c1.yaml"
    assert yaml.safe_load(card.read_text())["area"] == "feedback"
    assert any("sabotage" in fault for fault in faults)
