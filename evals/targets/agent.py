"""A target around any pydantic-ai agent: `agent:module:attribute`.

The attribute is an agent, or a function without parameters that gives an agent or `(agent, deps)`; a function is called once per play, so
that no card sees another's dependencies. Tool calls are read from the messages of each run; retried calls count as made and not `ok`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_ai import exceptions
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.messages import (
    ModelMessage,
    NativeToolCallPart,
    NativeToolReturnPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.run import AgentRunResult
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from evals.cards import Card
from evals.conversation import Speak, fixed, no_state
from evals.errors import UsageError
from evals.transcript import ToolCall, Transcript, Turn, Visible

_OURS = (
    exceptions.ModelConnectionError,
    exceptions.ModelRateLimitError,
    exceptions.ModelQuotaExceededError,
    exceptions.ModelAuthenticationError,
)
"""What says nothing about the agent: its model could not be reached or would not serve us."""
_LATE = (TimeoutError, exceptions.ModelTimeoutError, exceptions.ModelRequestTimeout)


class Subject(NamedTuple):
    """What one play runs."""

    agent: AbstractAgent[Any, Any]
    deps: Any = None


class AgentTarget:
    visible = Visible(tools=True, timings=True)
    deterministic = False

    def __init__(self, subject: Callable[[], Subject], *, timeout_s: float = 60.0) -> None:
        self._subject = subject
        self._timeout_s = timeout_s

    async def play(self, card: Card, repeat: int) -> Transcript:
        return await self.talk(card, repeat, fixed(card))

    async def talk(self, card: Card, repeat: int, speak: Speak) -> Transcript:
        turns: list[Turn] = []
        history: list[ModelMessage] = []
        fault, reason = None, ""
        try:
            subject = self._subject()
            while (message := await speak(turns, no_state)) is not None:
                turn, history = await self._turn(subject, message, history)
                turns.append(turn)
        except _LATE as error:
            fault, reason = "timeout", str(error) or f"no answer within {self._timeout_s:g} s"
        except _OURS as error:
            fault, reason = "infra_error", f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001  the agent is the thing measured: whatever it raises is its failure
            fault, reason = "agent_error", f"{type(error).__name__}: {error}"
        return Transcript(card=card.id, repeat=repeat, turns=turns, visible=self.visible, fault=fault, fault_reason=reason)

    async def _turn(self, subject: Subject, message: str, history: list[ModelMessage]) -> tuple[Turn, list[ModelMessage]]:
        started = time.perf_counter()
        async with asyncio.timeout(self._timeout_s):
            result = await subject.agent.run(message, message_history=history, deps=subject.deps)
        return turn_from_result(message, result, time.perf_counter() - started), result.all_messages()


def load_agent(spec: str) -> Callable[[], Subject]:
    """What gives the agent named by `module:attribute`, looked up with the working directory on the path. Raises `UsageError`."""
    module_name, _, name = spec.partition(":")
    if not module_name or not name:
        raise UsageError(f"agent:{spec}: write agent:module:attribute, for example agent:my_assistant:agent")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = getattr(importlib.import_module(module_name), name, None)
    except ImportError as error:
        raise UsageError(f"agent:{spec}: module {module_name!r} cannot be imported ({error})") from error
    if found is None:
        raise UsageError(f"agent:{spec}: module {module_name!r} has no attribute {name!r}")
    if isinstance(found, AbstractAgent):
        agent: AbstractAgent[Any, Any] = found
        return lambda: Subject(agent)
    if not inspect.isfunction(found) or any(
        parameter.default is parameter.empty for parameter in inspect.signature(found).parameters.values()
    ):
        raise UsageError(f"agent:{spec}: is neither a pydantic-ai agent nor a function without parameters that gives one")
    make = _maker(found, spec)
    make()
    return make


def _maker(function: Callable[[], Any], spec: str) -> Callable[[], Subject]:
    def make() -> Subject:
        given = function()
        agent, deps = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
        if not isinstance(agent, AbstractAgent):
            raise UsageError(f"agent:{spec}: gives {type(agent).__name__}, not an agent or (agent, deps)")
        return Subject(agent, deps)

    return make


def turn_from_result(user: str, result: AgentRunResult[Any], duration_s: float) -> Turn:
    """One run as a turn. Output that is not text becomes its JSON."""
    usage = result.usage
    messages = result.new_messages()
    names = [message.model_name for message in messages if message.kind == "response"]
    return Turn(
        user=user,
        text=result.output if isinstance(result.output, str) else _json(result.output),
        tool_calls=_tool_calls(messages, hidden=_output_tool(result)),
        usage={
            "model": next((name for name in reversed(names) if name), ""),
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "model_calls": usage.requests,
            "cost_usd": None,
        },
        duration_s=duration_s,
    )


def _tool_calls(messages: Sequence[ModelMessage], *, hidden: str | None) -> list[ToolCall]:
    """Calls in the order made, each with its result; `hidden` is the tool by which the agent gives its answer."""
    parts = [part for message in messages for part in message.parts]
    returns = {part.tool_call_id: part for part in parts if isinstance(part, ToolReturnPart | NativeToolReturnPart)}
    calls: list[ToolCall] = []
    for part in parts:
        if isinstance(part, ToolCallPart | NativeToolCallPart) and part.tool_name != hidden:
            given = returns.get(part.tool_call_id)
            ok = None if given is None else given.outcome == "success"
            calls.append(ToolCall(tool=part.tool_name, arguments=part.args_as_dict(), ok=ok, result=_plain(given)))
    return calls


def _output_tool(result: AgentRunResult[Any]) -> str | None:
    """The tool by which structured output is given, found by asking for its return to be replaced."""
    mark = "output"
    try:
        replaced = result.all_messages(output_tool_return_content=mark)[-1]
    except (ValueError, LookupError):
        return None
    named = [part.tool_name for part in replaced.parts if isinstance(part, ToolReturnPart) and part.content == mark]
    return named[0] if named else None


def _plain(given: ToolReturnPart | NativeToolReturnPart | None) -> Any:
    """A tool's result as JSON values; what JSON cannot hold as its text."""
    return None if given is None else to_jsonable_python(given.content, serialize_unknown=True)


def _json(output: object) -> str:
    try:
        return to_json(output).decode()
    except PydanticSerializationError:
        return str(output)
