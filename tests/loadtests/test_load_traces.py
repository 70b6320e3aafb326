"""Traces are read from their public formats, and what cannot be played is named with its line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from loadtests.samples import write_samples
from loadtests.schedule import plan_sessions, turns_per_s
from loadtests.script import Conversation, ScriptTurn
from loadtests.traces import Arrival, read_trace
from loadtests.traffic import RATE_PER_WORKER, Trace, TrafficError, load_profile

SHIPPED = Path(__file__).parents[2] / "datasets" / "traffic"
DATA = Path(os.environ.get("ASSAY_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")
PUBLIC = DATA / "azure_llm_trace_2023" / "AzureLLMInferenceTrace_conv.csv"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
TALK = [Conversation(id="talk", user_id="u", turns=[ScriptTurn(text="hi")] * 2)]


def trace(tmp_path, text, columns="burstgpt", **changes) -> Trace:
    path = tmp_path / "trace.txt"
    path.write_text(text)
    return Trace(**{"pattern": "trace", "file": str(path), "columns": columns, "duration_s": 10} | changes)


def test_azure_times_count_from_the_first_row_and_speed_divides_them(tmp_path):
    rows = "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n2023-11-16 18:16:46.6805900,12,7\n"
    first, second, third = read_trace(trace(tmp_path, AZURE + rows, "azure", speed=2))
    assert first == Arrival(t_s=0.0, input_tokens=374, output_tokens=44)
    assert (second.t_s, third.t_s) == (pytest.approx(2.1572895, abs=1e-6), pytest.approx(30.0))


def test_burstgpt_mooncake_and_own_samples(tmp_path, planted):
    burst = read_trace(trace(tmp_path, BURST + "5,ChatGPT,472,18,490,Conversation log\n45.5,GPT-4,1,2,3,API log\n"))
    assert burst == [Arrival(t_s=5.0, input_tokens=472, output_tokens=18), Arrival(t_s=45.5, input_tokens=1, output_tokens=2)]
    rows = [{"timestamp": 1500, "input_length": 6755, "output_length": 500, "hash_ids": [0, 1]}]
    moon = read_trace(trace(tmp_path, "\n".join(map(json.dumps, rows)) + "\n\n", "mooncake"))
    assert moon == [Arrival(t_s=1.5, input_tokens=6755, output_tokens=500)]
    write_samples(tmp_path / "own.jsonl", [planted.sample(0), planted.sample(0, turn=2, t_plan=0.7), planted.sample(1)])
    own = read_trace(Trace(pattern="trace", file=str(tmp_path / "own.jsonl"), columns="samples", duration_s=1))
    assert [item.t_s for item in own] == [pytest.approx(0.1), pytest.approx(0.2)]


@pytest.mark.parametrize(
    ("columns", "text", "faults"),
    [
        ("burstgpt", BURST + "5,m,1,1,2,x\n4,m,1,1,2,x\n-1,m,1,1,2,x\n", ["line 3: ", "sort the trace", "line 4: ", "negative"]),
        ("burstgpt", BURST + "soon,m,1,1,2,x\nnan,m,1,1,2,x\n", ["line 2: the time 'soon' is not a number", "line 3: "]),
        (
            "burstgpt",
            BURST + "1,m,many,1,2,x\n2,m,-4,1,2,x\n",
            ["line 2: the length 'many'", "line 3: the length -4 is negative"],
        ),
        ("burstgpt", "when,how\n1,2\n", ["line 1: no column Timestamp, Request tokens, Response tokens"]),
        ("burstgpt", BURST, ["its rate is 0"]),
        ("azure", AZURE + "yesterday,1,1\n", ["line 2: "]),
        (
            "mooncake",
            '{"timestamp": 1}\n[]\n{\n',
            ["line 1: column 'input_length' is missing", "line 2: not a JSON object", "line 3: not JSON"],
        ),
        ("burstgpt", BURST + "x,m,1,1,2,x\n" * 7, ["line 6: ", "and 2 more"]),
    ],
)
def test_what_cannot_be_played_is_named_with_its_line(tmp_path, columns, text, faults):
    with pytest.raises(TrafficError) as caught:
        read_trace(trace(tmp_path, text, columns))
    assert all(fault in str(caught.value) for fault in faults), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_trace_says_so(tmp_path):
    with pytest.raises(TrafficError, match="cannot be read"):
        read_trace(Trace(pattern="trace", file=str(tmp_path / "no.csv"), columns="azure", duration_s=1))


def test_more_arrivals_than_a_generator_can_send_are_refused_at_their_line(tmp_path):
    most = int(RATE_PER_WORKER)
    rows = "".join(f"{number / (most + 1):.6f},m,1,1,2,x\n" for number in range(most + 1))
    assert len(read_trace(trace(tmp_path, BURST + rows), workers=2)) == most + 1
    with pytest.raises(TrafficError, match=rf"line {most + 2}: {most + 1} arrivals within a second"):
        read_trace(trace(tmp_path, BURST + rows))


def test_gaps_are_fine_and_phases_follow_the_intended_start(tmp_path, planted):
    arrivals = trace(tmp_path, BURST + "".join(f"{t},m,7,1,2,x\n" for t in (0, 1, 1.9, 2, 9000.5, 9001)), duration_s=9_000.0)
    profile = planted.profile.model_copy(update={"arrivals": arrivals, "warmup_s": 1.0, "drain_s": 0.5})
    sessions = plan_sessions(profile, TALK, seed=1)
    assert [(s.t_plan, s.phase) for s in sessions] == [
        (0.0, "warmup"), (1.0, "steady"), (1.9, "steady"), (2.0, "steady"), (9000.5, "steady"), (9001.0, "cooldown"),
    ]  # fmt: skip
    assert turns_per_s(profile, 9000) == 1.0


def test_a_window_in_which_nothing_arrives_is_refused(tmp_path, planted):
    profile = planted.profile.model_copy(update={"arrivals": trace(tmp_path, BURST + "50,m,1,1,2,x\n")})
    with pytest.raises(TrafficError, match="the rate measured would be 0"):
        plan_sessions(profile, TALK, seed=1)


def test_the_shipped_trace_gives_messages_of_the_lengths_it_tells():
    profile = load_profile(SHIPPED / "trace.yaml")
    assert isinstance(profile.arrivals, Trace)
    arrivals = read_trace(profile.arrivals)
    sessions = plan_sessions(profile, TALK, seed=1)
    assert sum(session.phase == "steady" for session in sessions) > 80
    for session, arrival in zip(sessions, arrivals, strict=False):
        assert len(session.conversation.turns[0].text.split()) == arrival.input_tokens


@pytest.mark.skipif(not PUBLIC.exists(), reason="the public trace is not on this machine")
def test_the_public_azure_trace_is_read_whole():
    arrivals = read_trace(Trace(pattern="trace", file=str(PUBLIC), columns="azure", duration_s=3600))
    assert len(arrivals) == 19_366
    assert len(arrivals) / arrivals[-1].t_s == pytest.approx(5.53, abs=0.01)
