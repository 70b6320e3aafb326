"""Lets one specialist answer one message, streaming what it does, and settles how that went."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_ai import (
    AgentStreamEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    RunContext,
    RunUsage,
    TextPart,
    TextPartDelta,
    UsageLimits,
    UserPromptPart,
)
from pydantic_ai.exceptions import AgentRunError, FallbackExceptionGroup
from pydantic_core import PydanticSerializationError, to_jsonable_python

from assistant.agents.executor import ToolExecutor
from assistant.agents.factory import Specialist
from assistant.agents.watched import WatchedModel
from assistant.deps import TurnDeps
from assistant.faults import Faults
from assistant.spans import Spans
from assistant.turn_log import TurnLog
from assistant.wire import Outcome, RestartEvent, TokenEvent, ToolCallEvent, ToolResultEvent

LIMITS = UsageLimits(request_limit=12, tool_calls_limit=24)
MODEL_OUTCOMES: Mapping[object, Outcome] = {"abstained": "abstained", "refused": "refused", "degraded": "degraded"}
NO_ANSWER = "I could not answer just now. Please try again in a moment."
PARTIAL_ANSWER = "I could not finish my answer just now. This much I found out: "

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the user is told and what the thread keeps. `error` says why a model failed, in a sentence without internals."""

    text: str
    outcome: Outcome
    messages: Sequence[ModelMessage]
    usage: RunUsage
    model_name: str | None
    error: str | None = None


@dataclass(kw_only=True)
class AnswerRun:
    """One run of one specialist. `on_first_request` is called when the specialist is ready to ask its model. `told` is what agents before it said in this turn."""

    specialist: Specialist
    deps: TurnDeps
    log: TurnLog
    spans: Spans
    faults: Faults
    on_first_request: Callable[[], Awaitable[None]]
    told: str = ""
    usage: RunUsage = field(default_factory=RunUsage)
    _asked_model: bool = False
    _text_sent: bool = False
    _tools: dict[str, str] = field(default_factory=dict[str, str])
    _failed: dict[str, None] = field(default_factory=dict[str, None])
    _summaries: list[str] = field(default_factory=list[str])

    async def answer(self, text: str, history: Sequence[ModelMessage], *, timeout_s: float) -> Answer:
        """Never raises for what a model or a tool did."""
        model = WatchedModel(self.specialist.model, spans=self.spans, faults=self.faults, before=self._before_request)
        own = self.specialist.tools
        tools = ToolExecutor(wrapped=own, spans=self.spans, faults=self.faults, gives_text=own.gives_text)
        try:
            result = await self.specialist.agent.run(
                text,
                message_history=history,
                conversation_id=self.deps.thread_id,
                deps=self.deps,
                model=model,
                toolsets=[tools],
                usage=self.usage,
                usage_limits=LIMITS,
                timeout=timeout_s,
                event_stream_handler=self._watch,
            )
        except (AgentRunError, FallbackExceptionGroup) as error:
            _log.warning("the model of %s failed: %s", self.specialist.name, type(error).__name__, exc_info=True)
            return await self._without_model(text)
        messages = result.new_messages()
        outcome = self._outcome(result.response)
        return Answer(
            text=await self._advised(result.output) if outcome == "degraded" else result.output,
            outcome=outcome,
            messages=messages,
            usage=self.usage,
            model_name=result.response.model_name,
        )

    async def _before_request(self) -> None:
        if not self._asked_model:
            self._asked_model = True
            await self.on_first_request()

    async def _watch(self, _ctx: RunContext[TurnDeps], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for event in events:
            match event:
                case PartStartEvent(part=TextPart(content=content)) | PartDeltaEvent(delta=TextPartDelta(content_delta=content)):
                    await self._say(content)
                case FunctionToolCallEvent():
                    await self._tool_called(event)
                case FunctionToolResultEvent():
                    await self._tool_returned(event)
                case _:
                    pass

    async def _say(self, text: str) -> None:
        if text:
            self._text_sent = True
            await self.log.emit(TokenEvent(**self.log.stamp(), text=text))

    async def _advised(self, text: str) -> str:
        """`text`, which has been sent, and what the specialist always adds when something of it is broken."""
        if not self.specialist.when_failing:
            return text
        await self._say(f" {self.specialist.when_failing}")
        return f"{text} {self.specialist.when_failing}"

    async def _take_back(self, reason: str) -> None:
        if self._text_sent:
            self._text_sent = False
            await self.log.emit(RestartEvent(**self.log.stamp(), reason=reason))
            if self.told:
                await self.log.emit(TokenEvent(**self.log.stamp(), text=self.told))

    async def _tool_called(self, event: FunctionToolCallEvent) -> None:
        await self._take_back("the answer follows a tool call")
        self._tools[event.tool_call_id] = event.part.tool_name
        arguments = event.part.args_as_dict(raise_if_invalid=False)
        await self.log.emit(
            ToolCallEvent(
                **self.log.stamp(), call_id=event.tool_call_id, tool=event.part.tool_name, arguments=as_json(arguments) or {}
            )
        )

    async def _tool_returned(self, event: FunctionToolResultEvent) -> None:
        part = event.part
        ok = part.outcome == "success"
        if ok:
            self._failed.pop(part.tool_name, None)
            summary = cast("Mapping[str, object]", part.content).get("summary") if isinstance(part.content, Mapping) else None
            self._summaries += [summary] if isinstance(summary, str) else []
        else:
            self._failed[part.tool_name] = None
        await self.log.emit(
            ToolResultEvent(
                **self.log.stamp(),
                call_id=event.tool_call_id,
                tool=part.tool_name,
                ok=ok,
                result=as_json(part.content),
                duration_s=self.spans.tool_s(event.tool_call_id),
            )
        )

    def _outcome(self, response: ModelResponse) -> Outcome:
        if self._failed:
            return "degraded"
        return MODEL_OUTCOMES.get((response.provider_details or {}).get("outcome"), "answered")

    async def _without_model(self, asked: str) -> Answer:
        await self._take_back("the model failed")
        text = PARTIAL_ANSWER + " ".join(self._summaries) if self._summaries else NO_ANSWER
        await self._say(text)
        text = await self._advised(text)
        messages: list[ModelMessage] = [
            ModelRequest(parts=[UserPromptPart(content=asked)]),
            ModelResponse(parts=[TextPart(content=text)], model_name=self.specialist.model.model_name),
        ]
        return Answer(
            text=text,
            outcome="degraded" if self._summaries else "error",
            messages=messages,
            usage=self.usage,
            model_name=self.specialist.model.model_name,
            error="The model did not answer.",
        )


def as_json(value: object) -> Any:
    """`value` as JSON; its text when it has no JSON form."""
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError:
        return str(value)
