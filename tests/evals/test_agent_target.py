"""Any pydantic-ai agent as a target: history, tool calls, usage, and who is blamed when it stops."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.exceptions import ModelConnectionError, ModelRateLimitError, ModelTimeoutError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from evals.cards import Card
from evals.errors import UsageError
from evals.targets.agent import AgentTarget, Subject, load_agent
from evals.targets.opening import open_target, parse_target
from evals.transcript import Transcript

MakeCard = Callable[..., Card]


async def play(agent: Agent[Any, Any], card: Card, deps: Any = None, timeout_s: float = 5.0) -> Transcript:
    return await AgentTarget(lambda: Subject(agent, deps), timeout_s=timeout_s).play(card, 1)


def replying(*steps: ModelResponse | Exception) -> FunctionModel:
    """A model that gives one step a request, the last one for ever."""
    left = list(steps)

    def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        step = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(step, Exception):
            raise step
        return step

    return FunctionModel(reply)


def said(text: str) -> ModelResponse:
    return ModelResponse(parts=[TextPart(text)])


def calls(tool: str, **arguments: Any) -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart(tool, arguments)])


async def test_tool_calls_and_usage_are_read_from_the_messages(make_card: MakeCard) -> None:
    agent = Agent(replying(calls("lookup", item="chicken"), said("Hold it at 135 F."), said("Call the technician.")))

    @agent.tool_plain
    def lookup(item: str) -> dict[str, int]:
        return {"limit_f": 135}

    transcript = await play(agent, make_card())
    first, second = transcript.turns
    assert [(call.tool, call.arguments, call.ok, call.result) for call in first.tool_calls] == [
        ("lookup", {"item": "chicken"}, True, {"limit_f": 135})
    ]
    assert (first.text, second.text, list(second.tool_calls)) == ("Hold it at 135 F.", "Call the technician.", [])
    assert first.usage and (first.usage["model_calls"], first.usage["cost_usd"]) == (2, None)
    assert second.usage and second.usage["model_calls"] == 1
    assert transcript.visible.tools and not transcript.visible.route
    assert (transcript.card, transcript.repeat, transcript.fault) == ("hold-chicken", 1, None)


async def test_a_turn_remembers_the_ones_before_and_a_play_no_other_play(make_card: MakeCard) -> None:
    seen: list[int] = []

    def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(len(messages))
        return said("ok")

    target = AgentTarget(lambda: Subject(Agent(FunctionModel(reply))))
    await target.play(make_card(), 0)
    await target.play(make_card(), 1)
    assert seen == [1, 3, 1, 3]


async def test_a_call_that_had_to_be_repeated_counts_and_is_not_ok(make_card: MakeCard) -> None:
    agent = Agent(replying(calls("fix", part="door"), calls("fix", part="gasket"), said("done")))

    @agent.tool_plain
    def fix(part: str) -> str:
        if part == "door":
            raise ModelRetry("name the part of the door")
        return "ticket 1"

    transcript = await play(agent, make_card())
    assert [(call.arguments, call.ok) for call in transcript.turns[0].tool_calls] == [
        ({"part": "door"}, False),
        ({"part": "gasket"}, True),
    ]


class Limit(BaseModel):
    celsius: float


async def test_structured_output_is_json_and_no_tool_call(make_card: MakeCard) -> None:
    agent = Agent(TestModel(custom_output_args={"celsius": 57.5}), output_type=Limit)
    transcript = await play(agent, make_card())
    assert transcript.turns[0].text == '{"celsius":57.5}'
    assert list(transcript.turns[0].tool_calls) == []


class Odd:
    def __str__(self) -> str:
        return "odd"


def odd_output(text: str) -> Any:
    return Odd()


async def test_output_that_json_cannot_hold_is_its_text(make_card: MakeCard) -> None:
    agent = Agent(replying(calls("final_result", text="x")), output_type=odd_output)
    assert (await play(agent, make_card())).turns[0].text == "odd"


@pytest.mark.parametrize(
    ("failure", "fault"),
    [
        (ModelTimeoutError("m", "too slow"), "timeout"),
        (ModelConnectionError("m", "refused"), "infra_error"),
        (ModelRateLimitError("m", "slow down"), "infra_error"),
        (RuntimeError("bug in the agent"), "agent_error"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_who_is_blamed_when_a_run_stops(failure: Exception, fault: str, make_card: MakeCard) -> None:
    agent = Agent(replying(said("first"), failure))
    transcript = await play(agent, make_card())
    assert transcript.fault == fault and str(failure) in transcript.fault_reason
    assert [turn.text for turn in transcript.turns] == ["first"]


async def test_silence_is_a_timeout(make_card: MakeCard) -> None:
    async def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.sleep(5)
        return said("late")

    transcript = await play(Agent(FunctionModel(reply)), make_card(), timeout_s=0.05)
    assert (transcript.fault, transcript.fault_reason) == ("timeout", "no answer within 0.05 s")


async def test_dependencies_reach_the_tools(make_card: MakeCard) -> None:
    agent = Agent(replying(calls("whoami"), said("ok")), deps_type=str)

    @agent.tool
    def whoami(ctx: RunContext[str]) -> str:
        return ctx.deps

    transcript = await play(agent, make_card(), deps="crew-7")
    assert transcript.turns[0].tool_calls[0].result == "crew-7"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    source = """
        from pydantic_ai import Agent
        from pydantic_ai.models.test import TestModel

        agent = Agent(TestModel(custom_output_text="hello"))
        made = []

        def with_deps():
            made.append(1)
            return agent, {"n": len(made)}

        def wrong():
            return "not an agent"

        def needs(something):
            return agent

        number = 3
    """
    (tmp_path / "assistant_of_a_stranger.py").write_text(textwrap.dedent(source))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "assistant_of_a_stranger"


async def test_an_agent_is_found_by_module_and_attribute(module: str, make_card: MakeCard, tmp_path: Path) -> None:
    async with open_target(parse_target(f"agent:{module}:agent"), pack="qsr", environ={}, store=tmp_path) as target:
        transcript = await target.play(make_card(), 0)
    assert [turn.text for turn in transcript.turns] == ["hello", "hello"]


async def test_a_function_gives_every_play_its_own_dependencies(module: str, make_card: MakeCard) -> None:
    make = load_agent(f"{module}:with_deps")
    assert [make().deps, make().deps] == [{"n": 2}, {"n": 3}]
    transcript = await AgentTarget(make).play(make_card(), 0)
    assert transcript.fault is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "write agent:module:attribute"),
        (":agent", "no attribute 'agentt'"),
        (":number", "neither a pydantic-ai agent nor a function"),
        (":needs", "neither a pydantic-ai agent nor a function"),
        (":wrong", "gives str, not an agent"),
    ],
)
def test_a_wrong_name_gets_one_sentence(module: str, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_agent(f"{module}{name}t" if name == ":agent" else f"{module}{name}")


def test_a_module_that_is_not_there_is_said() -> None:
    with pytest.raises(UsageError, match="cannot be imported"):
        load_agent("no_such_module_at_all:agent")
