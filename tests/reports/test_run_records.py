"""Records and slots read back as written; a broken file is one sentence with its place."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from reports.records import RecordError, read_record, read_slots, write_record, write_slots


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
        ('{"schema_version": 7}', "schema_version is 7, this build reads 1"),
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
