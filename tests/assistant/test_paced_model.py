"""The paced model: fixed delays, whatever the answer; and the strings that describe it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from assistant.models.paced import Pace, PacedModel, PacedName, PaceError, parse_paced, split
from assistant.models.planted import PlantedFaultError, PlantedFaults


class Clock:
    """Time that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds

    def read(self) -> float:
        return self.now


def paced(text: str, pace: Pace, clock: Clock, faults: PlantedFaults | None = None) -> PacedModel:
    def answer(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(content=text)], provider_details={"outcome": "answered"})

    return PacedModel(FunctionModel(answer, model_name="inner"), pace, sleep=clock.sleep, clock=clock.read, faults=faults)


async def streamed(model: PacedModel, prompt: str = "hello") -> list[str]:
    async with Agent(model).run_stream(prompt) as result:
        return [piece async for piece in result.stream_text(delta=True, debounce_by=None)]


@pytest.mark.parametrize("text", ["short", "a much longer answer " * 50])
async def test_total_time_does_not_depend_on_the_text(text: str) -> None:
    clock = Clock()
    pieces = await streamed(paced(text, Pace(ttft_ms=300, gap_ms=20, tokens=5), clock))
    assert "".join(pieces) == text.strip() or "".join(pieces) == text
    assert clock.now == pytest.approx(0.300 + 4 * 0.020)
    assert clock.slept[0] == 0.3


async def test_a_slow_reader_does_not_slow_the_writer() -> None:
    clock = Clock()
    model = paced("one two three four five", Pace(ttft_ms=300, gap_ms=20, tokens=5), clock)
    async with Agent(model).run_stream("hello") as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            clock.now += 0.015
    assert clock.now == pytest.approx(0.300 + 4 * 0.020 + 0.015)


async def test_a_text_shorter_than_its_pieces_still_takes_the_whole_time() -> None:
    clock = Clock()
    assert "".join(await streamed(paced("ab", Pace(ttft_ms=10, gap_ms=10, tokens=6), clock))) == "ab"
    assert clock.now == pytest.approx(0.010 + 5 * 0.010)


async def test_an_answer_that_is_not_streamed_takes_the_same_time() -> None:
    clock = Clock()
    result = await Agent(paced("hello there", Pace(ttft_ms=300, gap_ms=20, tokens=5), clock)).run("hello")
    assert (result.output, clock.now) == ("hello there", pytest.approx(0.38))
    assert result.response.provider_details == {"outcome": "answered"}


async def test_a_tool_call_waits_its_own_time_and_no_gaps() -> None:
    clock = Clock()

    def answer(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart("look") if len(messages) == 1 else TextPart("done")])

    agent = Agent(
        PacedModel(
            FunctionModel(answer),
            Pace(ttft_ms=300, gap_ms=20, tokens=3, tool_ms=70),
            sleep=clock.sleep,
            clock=clock.read,
        )
    )

    @agent.tool_plain
    def look() -> str:
        return "seen"

    async with agent.run_stream("hello") as result:
        assert await result.get_output() == "done"
    assert clock.now == pytest.approx(0.07 + 0.3 + 2 * 0.02)


async def test_every_nth_request_stalls_and_no_other() -> None:
    clock = Clock()
    model = paced("x", Pace(ttft_ms=0, gap_ms=0, tokens=1, stall_s=3, stall_every=3), clock)
    taken: list[float] = []
    for _ in range(6):
        before = clock.now
        await Agent(model).run("hello")
        taken.append(clock.now - before)
    assert taken == [0, 0, 3, 0, 0, 3]


async def test_the_time_of_the_inner_model_counts_towards_the_first_delay() -> None:
    clock = Clock()

    async def slow(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        await clock.sleep(0.25)
        return ModelResponse(parts=[TextPart("x")])

    await Agent(PacedModel(FunctionModel(slow), Pace(ttft_ms=300, tokens=1), sleep=clock.sleep, clock=clock.read)).run("hello")
    assert clock.now == pytest.approx(0.3)


async def test_real_time_passes_by_default() -> None:
    import time

    started = time.perf_counter()
    model = PacedModel(paced("x", Pace(tokens=1), Clock()).wrapped, Pace(ttft_ms=30, tokens=1))
    await Agent(model).run("hello")
    assert time.perf_counter() - started >= 0.03
    assert model.model_name == "paced-inner"


def test_a_string_gives_its_delays_and_the_inner_model() -> None:
    text = "ttft_ms=300,gap_ms=20,tokens=60,stall_s=3,stall_every=50,of=ollama:qwen3:8b"
    assert parse_paced(text) == PacedName(
        pace=Pace(ttft_ms=300, gap_ms=20, tokens=60, stall_s=3, stall_every=50), inner="ollama:qwen3:8b"
    )


@pytest.mark.parametrize(
    ("text", "inner"), [("", "embedded"), ("ttft_ms=1", "embedded"), ("of=test", "test"), (" ttft_ms=2 , of=test", "test")]
)
def test_defaults_fill_what_is_left_out(text: str, inner: str) -> None:
    assert parse_paced(text).inner == inner
    assert parse_paced(text).pace.tokens == 60


def test_all_faults_of_a_string_come_at_once() -> None:
    with pytest.raises(PaceError) as caught:
        parse_paced("ttft_ms=fast,speed=3,tokens=0,gap_ms=1,gap_ms=2,stall_s=1,gap_ms=nan")
    assert list(caught.value.faults) == [
        "ttft_ms must be a number from 0 to 600000, not 'fast'",
        "'speed=3' is not one of ttft_ms, gap_ms, tool_ms, stall_s, tokens, stall_every with a value, as in ttft_ms=300",
        "tokens must be a whole number from 1 to 100000, not '0'",
        "gap_ms is given twice",
        "gap_ms is given twice",
        "stall_s and stall_every must be given together, as in stall_s=3,stall_every=50",
    ]


@pytest.mark.parametrize(
    ("text", "fault"), [("of=", "of= names no model"), ("tokens=1,of=paced:tokens=1", "cannot name another paced model")]
)
def test_an_unusable_inner_model_is_refused(text: str, fault: str) -> None:
    with pytest.raises(PaceError, match=fault):
        parse_paced(text)


def test_pieces_are_equal_to_one_character_and_complete() -> None:
    pieces = split("abcdefghij", 4)
    assert pieces == ["abc", "def", "gh", "ij"]
    assert split("ab", 3) == ["a", "b", ""]


BRIEF = Pace(ttft_ms=300, gap_ms=20, tokens=5)


@pytest.fixture
def plant(tmp_path: Path) -> Any:
    """Plants a fault and gives a model that meets it, with its clock."""

    def planted(**row: Any) -> tuple[PacedModel, Clock]:
        clock = Clock()
        (tmp_path / "faults.json").write_text(json.dumps(row))
        return paced("one two three", BRIEF, clock, PlantedFaults(tmp_path / "faults.json", clock=clock.read)), clock

    return planted


async def test_a_stall_holds_an_answer_up_until_it_is_over(plant: Any) -> None:
    model, clock = plant(fault="stall", until=3.0)
    assert "".join(await streamed(model)) == "one two three"
    assert clock.now == pytest.approx(3.0 + 4 * 0.020, abs=0.03)


async def test_a_stall_that_comes_in_the_middle_holds_the_rest_up(plant: Any, tmp_path: Path) -> None:
    model, clock = plant(fault="stall", until=0.0)
    async with Agent(model).run_stream("hello") as result:
        pieces = result.stream_text(delta=True, debounce_by=None)
        assert await anext(pieces)
        (tmp_path / "faults.json").write_text('{"fault": "stall", "until": 2.0}')
        assert "".join([piece async for piece in pieces])
    assert 2.0 <= clock.now < 2.1


@pytest.mark.parametrize(("fault", "status"), [("error", 503), ("rate_limited", 429)])
async def test_a_failing_model_refuses_at_once_and_answers_afterwards(plant: Any, fault: str, status: int) -> None:
    model, clock = plant(fault=fault, until=5.0)
    with pytest.raises(ModelHTTPError) as failed:
        await streamed(model)
    assert (failed.value.status_code, clock.now) == (status, 0.0)
    clock.now = 5.0
    assert "".join(await streamed(model)) == "one two three"


async def test_an_answer_is_cut_in_the_middle(plant: Any) -> None:
    model, clock = plant(fault="cut", until=5.0)
    said: list[str] = []
    with pytest.raises(ModelAPIError, match="planted"):
        async with Agent(model).run_stream("hello") as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                said.append(piece)
    assert "one two three".startswith("".join(said)) and 0 < len("".join(said)) < 13
    with pytest.raises(ModelAPIError, match="planted"):
        await Agent(model).run("hello")
    assert clock.now < 1.0


async def test_a_slow_model_takes_so_many_times_as_long(plant: Any) -> None:
    model, clock = plant(fault="slow", until=9.0, factor=4)
    await streamed(model)
    assert clock.now == pytest.approx(4 * (0.300 + 4 * 0.020))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "no planted fault"),
        ('{"fault": "stall"}', "KeyError"),
        ("[]", "TypeError"),
        ('{"fault": "flood", "until": 1}', "'flood' is none of stall, slow"),
    ],
)
def test_a_file_that_plants_nothing_known_is_named(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "faults.json").write_text(text)
    with pytest.raises(PlantedFaultError, match=fault):
        PlantedFaults(tmp_path / "faults.json").now()


def test_no_file_plants_nothing_and_a_name_may_tell_one(tmp_path: Path) -> None:
    assert PlantedFaults(tmp_path / "faults.json").now() is None
    assert parse_paced("faults=/tmp/f.json,ttft_ms=5,of=ollama:a") == PacedName(
        pace=Pace(ttft_ms=5), inner="ollama:a", faults=Path("/tmp/f.json")
    )
    with pytest.raises(PaceError, match="faults="):
        parse_paced("faults=")
