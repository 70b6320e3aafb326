"""Answers of models that went wrong, for the faults a sandbox asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from pydantic_ai import ModelResponse, ToolCallPart
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.messages import ModelResponseStreamEvent, PartStartEvent
from pydantic_ai.models import CompletedStreamedResponse, ModelRequestParameters, StreamedResponse

_HAPPENED = "the sandbox asked for a failing model"


def server_error(model: str) -> ModelHTTPError:
    return ModelHTTPError(status_code=500, model_name=model, body=_HAPPENED)


def rate_limited(model: str) -> ModelHTTPError:
    return ModelHTTPError(status_code=429, model_name=model, body=_HAPPENED)


def garbage(model: str) -> ModelResponse:
    """A call of a tool that does not exist, with arguments that are no JSON."""
    return ModelResponse(
        parts=[ToolCallPart(tool_name="unknown_tool", args='{"unfinished": ', tool_call_id="garbage")], model_name=model
    )


def whole(response: ModelResponse, parameters: ModelRequestParameters) -> CompletedStreamedResponse:
    """A finished response as a stream."""
    return CompletedStreamedResponse(response, model_request_parameters=parameters, replay_events=True)


@dataclass
class CutStream(StreamedResponse):
    """Gives the first event of a stream, then breaks off. Raises `ModelAPIError` to whoever reads on."""

    stream: StreamedResponse

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for event in self.stream:
            if isinstance(event, PartStartEvent):
                self._parts_manager.apply_event(event)
                yield event
                break
        await self.stream.cancel()
        raise ModelAPIError(self.model_name, _HAPPENED)

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
