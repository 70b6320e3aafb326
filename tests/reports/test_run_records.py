"""Records and slots read back as written; a broken file is one sentence with its place."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from evals.cli import main as entry
from reports.gates.decide import decide
from reports.gates.policy import Policy
from reports.records import (
    READABLE_VERSIONS,
    SCHEMA_VERSION,
    BrokenRecord,
    RecordError,
    read_record,
    read_slots,
    write_record,
    write_slots,
)


def test_a_record_and_its_slots_read_back_as_written(sample: ModuleType, tmp_path: Path) -> None:
    slots = sample.failing_slots()
    record = sample.make_record(slots, sample.good_metrics() | {"routing.ece": None})
    assert read_record(write_record(tmp_path, record)) == record
    write_slots(tmp_path / "slots.jsonl", slots)
    assert list(read_slots(tmp_path / "slots.jsonl")) == slots


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "cannot be read"),
        ("{", "line 1: not JSON"),
        ("[]", "a JSON object is expected"),
        ('{"schema_version": 7}', "schema_version is 7, this build reads 1, 2"),
        ('{"schema_version": 1}', "not a record of version 1"),
    ],
)
def test_an_unreadable_record_is_one_sentence(text: str | None, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecordError, match=fault):
        read_record(path)


def test_a_broken_slot_names_its_line(sample: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "slots.jsonl"
    write_slots(path, sample.card_slots(1))
    path.write_text(path.read_text() + json.dumps({"slot_id": "x"}) + "\n")
    with pytest.raises(RecordError, match="line 4: not a slot"):
        list(read_slots(path))


GOLDEN = Path(__file__).with_name("golden")


@pytest.mark.parametrize("version", READABLE_VERSIONS)
def test_a_record_of_every_version_is_readable(version: int) -> None:
    record = read_record(GOLDEN / f"record-v{version}.json")
    assert record.schema_version == version
    assert record.metrics["cards.pass_rate"].k == 2
    assert record.metrics["routing.ece"] is None
    assert record.slots_digest == (None if version == 1 else "sha256:" + "0" * 64)


def test_a_rewritten_old_record_gets_the_version_and_seal_of_this_build(tmp_path: Path) -> None:
    path = write_record(tmp_path, read_record(GOLDEN / "record-v1.json"))
    assert read_record(path).schema_version == SCHEMA_VERSION
    assert json.loads(path.read_text())["seal"].startswith("sha256:")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"planned": 2', '"planned": 3', "its seal does not fit"),
        ('"value": 1.0', '"value": NaN', "holds NaN"),
        ('"value": 1.0', '"value": 1', "its seal does not fit"),
        ('"seal": "sha256:', '"seal": "sha256:0', "its seal does not fit"),
        ("\n}\n", "", "it is torn or edited"),
    ],
)
def test_an_edited_or_torn_record_is_broken_evidence(old: str, new: str, fault: str, tmp_path: Path) -> None:
    text = (GOLDEN / "record-v2.json").read_text()
    assert old in text
    path = tmp_path / "record.json"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BrokenRecord, match=fault):
        read_record(path)


def test_counts_that_no_run_can_have_are_all_named(tmp_path: Path) -> None:
    data = json.loads((GOLDEN / "record-v1.json").read_text())
    data["slot_counts"]["cards"]["pass"] = -6
    data["metrics"]["cards.pass_rate"] |= {"k": 3}
    data["metrics"]["other"] = {**data["metrics"]["cards.pass_rate"], "k": None, "n": -1}
    path = tmp_path / "record.json"
    path.write_text(json.dumps(data))
    with pytest.raises(BrokenRecord) as broken:
        read_record(path)
    lines = str(broken.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "field `slot_counts.cards.pass`",
        "field `metrics.cards.pass_rate`",
        "field `metrics.other`",
    ]


def test_slots_changed_after_the_record_are_broken_evidence(sample: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "slots.jsonl"
    digest = write_slots(path, sample.card_slots())
    assert len(list(read_slots(path, digest))) == len(sample.card_slots())
    path.write_text(path.read_text().replace('"pass"', '"fail"', 1))
    with pytest.raises(BrokenRecord, match="changed after the record was written"):
        list(read_slots(path, digest))


def test_an_unknown_state_names_the_line_and_the_states(sample: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "slots.jsonl"
    write_slots(path, sample.card_slots())
    path.write_text(path.read_text().replace('"pass"', '"passed"', 1))
    with pytest.raises(BrokenRecord, match="line 1: field `state`: unknown 'passed'; states: pass, fail"):
        list(read_slots(path))


def test_a_slot_that_is_there_twice_makes_the_run_invalid(sample: ModuleType, pr_policy: Policy) -> None:
    slots = sample.card_slots()
    twice = [*slots, slots[0]]
    verdict = decide(sample.make_record(twice, sample.good_metrics()), twice, pr_policy)
    assert verdict.verdict == "invalid"
    assert (
        verdict.reasons[0] == "1 slot too many: an id is there more than once, and every planned slot ends in exactly one state."
    )


def test_the_gate_of_edited_evidence_exits_3_with_one_sentence(
    sample: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.build(tmp_path, "pass")
    path = tmp_path / "record.json"
    path.write_text(path.read_text().replace('"tier": "pr"', '"tier": "nightly"'))
    monkeypatch.setattr(sys, "argv", ["assay", "gate", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 3
    assert "its seal does not fit" in capsys.readouterr().err
