"""Profiles and scripts name every fault at once, with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.script import ScriptError, read_script, script_digest
from loadtests.traffic import TrafficError, load_profile

SHIPPED = Path(__file__).parents[2] / "datasets" / "traffic"
GOOD = {"id": "a", "weight": 2, "user_id": "u", "sandbox": None, "turns": [{"text": "hello"}]}


PROFILES = "smoke steady-100 open-steady bursty stall switchy shared-prefix ws-hold ws-talk soak users-1000 ramp trace".split()


def test_every_profile_asked_for_is_shipped():
    assert {file.stem for file in SHIPPED.glob("*.yaml")} >= set(PROFILES)


@pytest.mark.parametrize("name", PROFILES)
def test_shipped_profiles_are_valid_and_named_after_their_file(name):
    profile = load_profile(SHIPPED / f"{name}.yaml")
    assert profile.name == name
    assert profile.model.startswith("paced:")
    assert profile.tightest_objective_s == 1.0


def test_every_fault_of_a_profile_is_named_at_once(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: bad\nmodel: m\narrivals: {pattern: wave, rate_per_s: 0, duration_s: 3}\nspeed: 9\n")
    with pytest.raises(TrafficError) as caught:
        load_profile(path)
    message = str(caught.value)
    for fault in ("bad.yaml", "arrivals", "'pattern'", "speed", "drain_s", "objectives", "seed"):
        assert fault in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"a: [1", "not YAML"), (b"- 1\n", "not a traffic profile"), (b"\xff\xfe\xff", "not UTF-8")],
)
def test_a_file_that_is_no_profile_says_so(tmp_path, content, fault):
    path = tmp_path / "p.yaml"
    path.write_bytes(content)
    with pytest.raises(TrafficError, match=fault):
        load_profile(path)


def test_a_missing_profile_says_so(tmp_path):
    with pytest.raises(TrafficError, match="cannot be read"):
        load_profile(tmp_path / "none.yaml")


def test_a_script_is_read_in_order_and_blank_lines_do_not_count(tmp_path):
    path = tmp_path / "script.jsonl"
    sandbox = {"pack": "qsr", "fixtures": {"orders": {"1": {"n": 2}}}, "faults": []}
    path.write_text(json.dumps(GOOD) + "\n\n" + json.dumps({**GOOD, "id": "b", "sandbox": sandbox}) + "\n")
    first, second = read_script(path)
    assert (first.id, first.weight, first.sandbox) == ("a", 2.0, None)
    assert second.sandbox is not None
    assert second.sandbox.pack == "qsr"
    assert len(script_digest(path)) == 64


def test_every_faulty_line_of_a_script_is_named_at_once(tmp_path):
    path = tmp_path / "script.jsonl"
    rows = [json.dumps(GOOD), "{", json.dumps({**GOOD, "id": "b", "turns": []}), json.dumps(GOOD)]
    path.write_text("\n".join(rows))
    with pytest.raises(ScriptError) as caught:
        read_script(path)
    message = str(caught.value)
    assert "line 2" in message
    assert "line 3: turns" in message
    assert "line 4: id: 'a' is already used" in message


def test_an_empty_or_missing_script_says_so(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ScriptError, match="no conversations"):
        read_script(tmp_path / "empty.jsonl")
    with pytest.raises(ScriptError, match="cannot be read"):
        read_script(tmp_path / "none.jsonl")
