"""A cap on output tokens that holds even when the server does not keep it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import RunContext

SLACK = 1.1
"""A stream is cut when it has this many times the allowed deltas: some servers send a delta for the role, or split a token."""
CHARACTERS_PER_TOKEN = 8
"""A reply that came whole is cut at this many characters per allowed token: beyond any tokenizer's average for prose."""


class CappedModel(WrapperModel):
    """Asks the server for at most `limit` output tokens, unless a request asks for fewer, and stops reading beyond it.

    A cut answer has `finish_reason="length"`.
    """

    def __init__(self, wrapped: Model, limit: int) -> None:
        super().__init__(wrapped)
        self._limit = limit

    async def request(
        self, messages: list[ModelMessage], model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> ModelResponse:
        capped = self._capped(model_settings)
        response = await self.wrapped.request(messages, capped, model_request_parameters)
        return _cut(response, self._allowed(capped) * CHARACTERS_PER_TOKEN)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        capped = self._capped(model_settings)
        async with self.wrapped.request_stream(messages, capped, model_request_parameters, run_context) as stream:
            yield CappedStream(model_request_parameters=model_request_parameters, stream=stream, allowed=self._allowed(capped))

    def _capped(self, settings: ModelSettings | None) -> ModelSettings:
        asked = (settings or {}).get("max_tokens")
        return ModelSettings(**{**(settings or {}), "max_tokens": min(asked, self._limit) if asked else self._limit})  # pyright: ignore[reportArgumentType]

    def _allowed(self, settings: ModelSettings) -> int:
        return settings.get("max_tokens", self._limit)


def _cut(response: ModelResponse, characters: int) -> ModelResponse:
    spoken = sum(len(part.content) for part in response.parts if isinstance(part, TextPart | ThinkingPart))
    if spoken <= characters:
        return response
    left, parts = characters, list(response.parts)
    for number, part in enumerate(parts):
        if isinstance(part, TextPart | ThinkingPart):
            parts[number] = replace(part, content=part.content[:left])
            left = max(0, left - len(part.content))
    return replace(response, parts=parts, finish_reason="length")


@dataclass
class CappedStream(StreamedResponse):
    """Passes a stream on until it has given `allowed` deltas, then closes it."""

    stream: StreamedResponse
    allowed: int

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        deltas = 0
        async for event in self.stream:
            if isinstance(event, PartStartEvent | PartDeltaEvent):
                deltas += _is_spoken(event)
                self._parts_manager.apply_event(event)
                yield event
            elif not isinstance(event, PartEndEvent):
                continue
            if deltas >= self.allowed * SLACK:
                await self.stream.cancel()
                self.finish_reason = "length"
                break
        self._take_over()

    def _take_over(self) -> None:
        self._usage = self.stream.usage
        self.provider_details = self.stream.provider_details
        self.provider_response_id = self.stream.provider_response_id
        self.finish_reason = self.finish_reason or self.stream.finish_reason
        self.state = self.state if self.finish_reason == "length" else self.stream.state

    async def close_stream(self) -> None:
        await self.stream.cancel()

    @property
    def model_name(self) -> str:
        return self.stream.model_name

    @property
    def provider_name(self) -> str | None:
        return self.stream.provider_name

    @property
    def provider_url(self) -> str | None:
        return self.stream.provider_url

    @property
    def timestamp(self) -> datetime:
        return self.stream.timestamp


def _is_spoken(event: PartStartEvent | PartDeltaEvent) -> bool:
    content = event.part if isinstance(event, PartStartEvent) else event.delta
    return isinstance(content, TextPart | ThinkingPart | TextPartDelta | ThinkingPartDelta)
