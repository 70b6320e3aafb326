"""A pydantic-ai model that reads tool schemas, compares meanings, fills typed arguments and answers from what tools return."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ModelResponseStreamEvent, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import RunContext
from pydantic_ai.usage import RequestUsage

from assistant.models.embedded.conversation import read
from assistant.models.embedded.decide import Call, Decider, Decision
from assistant.models.embedded.similarity import Similarity, TextEncoder
from assistant.models.embedded.toolbook import Toolbook

__all__ = ["EmbeddedModel", "TextEncoder"]

_WORDS = re.compile(r"\w+|[^\w\s]")
_PIECES = re.compile(r"\s*(?:\S+\s*){1,4}")
"""Up to four words with the space around them: each piece costs a pass through every layer that may watch the stream."""


class EmbeddedModel(Model[None]):
    """Deterministic and stateless: a response depends on the messages and the tools of the request alone.

    Text responses carry `provider_details = {"outcome": "answered" | "asked" | "abstained" | "degraded"}`; one that asks for a missing argument
    adds `"asked": {"tool", "argument", "question", "known"}`, from which the next request takes up the thread.
    Usage counts words and punctuation marks, not any tokenizer's pieces.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__(profile=ModelProfile(supports_tools=True))
        self._toolbook = Toolbook()
        self._decider = Decider(similarity=Similarity(encoder))

    @property
    def model_name(self) -> str:
        return "embedded"

    @property
    def system(self) -> str:
        return "assay"

    async def request(
        self, messages: list[ModelMessage], model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> ModelResponse:
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        return self._respond(messages, parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[StreamedResponse]:
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        yield WordStream(model_request_parameters=parameters, response=self._respond(messages, parameters))

    def _respond(self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> ModelResponse:
        cards = [self._toolbook.card(tool) for tool in parameters.declared_function_tools]
        decision = self._decider.decide(read(messages), cards)
        part = _part(decision, messages)
        spoken = part.content if isinstance(part, TextPart) else part.args_as_json_str()
        return ModelResponse(
            parts=[part],
            usage=RequestUsage(input_tokens=_prompt_tokens(messages, parameters), output_tokens=count_tokens(spoken)),
            model_name=self.model_name,
            provider_name=self.system,
            provider_details=None if isinstance(decision, Call) else decision.details,
            finish_reason="tool_call" if isinstance(decision, Call) else "stop",
        )


def _part(decision: Decision, messages: Sequence[ModelMessage]) -> TextPart | ToolCallPart:
    if isinstance(decision, Call):
        return ToolCallPart(tool_name=decision.tool, args=dict(decision.arguments), tool_call_id=_call_id(messages))
    return TextPart(content=decision.text)


def _call_id(messages: Sequence[ModelMessage]) -> str:
    """Unique inside one history and the same for the same history."""
    made = sum(isinstance(part, ToolCallPart) for message in messages for part in message.parts)
    return f"call-{len(messages)}-{made + 1}"


def count_tokens(text: str) -> int:
    """Words and punctuation marks."""
    return len(_WORDS.findall(text))


def _prompt_tokens(messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> int:
    total = sum(
        count_tokens(tool.description or "") + len(tool.parameters_json_schema.get("properties", {}))
        for tool in parameters.function_tools
    )
    for message in messages:
        if isinstance(message, ModelRequest):
            total += count_tokens(message.instructions or "")
        for part in message.parts:
            content = getattr(part, "content", None) or getattr(part, "args", None)
            total += count_tokens(content if isinstance(content, str) else json.dumps(content, default=str)) if content else 0
    return total


@dataclass
class WordStream(StreamedResponse):
    """A finished response given out a few words at a time. Usage grows as they go out."""

    response: ModelResponse

    def __post_init__(self) -> None:
        self.provider_details = self.response.provider_details
        self.finish_reason = self.response.finish_reason
        self._usage = RequestUsage(input_tokens=self.response.usage.input_tokens)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for number, part in enumerate(self.response.parts):
            if isinstance(part, TextPart):
                for piece in _PIECES.findall(part.content):
                    self._usage += RequestUsage(output_tokens=count_tokens(piece))
                    for event in self._parts_manager.handle_text_delta(vendor_part_id=number, content=piece):
                        yield event
            else:
                yield self._parts_manager.handle_part(vendor_part_id=number, part=part)
        self._usage = self.response.usage

    async def close_stream(self) -> None:
        """There is no connection to close."""

    @property
    def model_name(self) -> str:
        return self.response.model_name or ""

    @property
    def provider_name(self) -> str | None:
        return self.response.provider_name

    @property
    def provider_url(self) -> str | None:
        return None

    @property
    def timestamp(self) -> datetime:
        return self.response.timestamp
