"""Samples survive a round trip, and a faulty line is named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from loadtests.samples import SampleError, read_samples, sample_line, write_samples


def test_a_round_trip_keeps_every_field(planted, tmp_path):
    samples = [
        planted.sample(0, events=[{"type": "token", "text": "é"}], sandbox="s1"),
        planted.sample(1, outcome="censored", t_first=None, t_done=None, status=None),
    ]
    write_samples(tmp_path / "a.jsonl", samples)
    assert list(read_samples(tmp_path / "a.jsonl")) == samples
    assert list(json.loads(sample_line(samples[0]))) == [
        *("sample", "session", "conversation", "turn", "phase", "t_plan", "t_send", "t_first", "t_last", "t_done"),
        *("outcome", "status", "agent", "output_tokens", "text", "events", "sandbox"),
    ]


def test_a_folder_is_read_file_by_file(planted, tmp_path):
    write_samples(tmp_path / "worker-1.jsonl", [planted.sample(1)])
    write_samples(tmp_path / "worker-0.jsonl", [planted.sample(0), planted.sample(2)])
    assert [sample.session for sample in read_samples(tmp_path)] == [0, 2, 1]


def test_the_half_line_of_a_killed_writer_is_no_sample_and_no_error(planted, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(sample_line(planted.sample(0)) + sample_line(planted.sample(1))[:40])
    assert [sample.session for sample in read_samples(path)] == [0]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "not JSON"),
        ("[]", "a JSON object"),
        ('{"sample": "a", "extra": 1}', r"missing \['session'.*unknown \['extra'\]"),
    ],
)
def test_a_faulty_line_is_named(tmp_path, line, fault):
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(SampleError, match=f"line 1: .*{fault}"):
        list(read_samples(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(("name", "value"), [("outcome", "fine"), ("phase", "ramp")])
def test_an_unknown_class_is_named(planted, tmp_path, name, value):
    (tmp_path / "a.jsonl").write_text(sample_line(replace(planted.sample(0), **{name: value})))
    with pytest.raises(SampleError, match=f"{name} '{value}' is none of"):
        list(read_samples(tmp_path / "a.jsonl"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SampleError, match="cannot be read"):
        list(read_samples(tmp_path / "none.jsonl"))
