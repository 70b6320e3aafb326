"""A model whose requests are timed, and which fails or dawdles when the sandbox says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai import ModelMessage, ModelResponse, RunContext
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from assistant.agents.broken import CutStream, garbage, rate_limited, server_error, whole
from assistant.faults import Faults
from assistant.spans import Spans


class WatchedModel(WrapperModel):
    """One turn's view of a model. `before` runs ahead of every request, outside its span."""

    def __init__(self, wrapped: Model, *, spans: Spans, faults: Faults, before: Callable[[], Awaitable[None]]) -> None:
        super().__init__(wrapped)
        self._spans = spans
        self._faults = faults
        self._before = before

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        await self._before()
        with self._spans.during("model"):
            await self._refuse()
            if self._faults.take("model_garbage"):
                return garbage(self.model_name)
            return await self.wrapped.request(messages, model_settings, model_request_parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        await self._before()
        with self._spans.during("model"):
            await self._refuse()
            if self._faults.take("model_garbage"):
                yield whole(garbage(self.model_name), model_request_parameters)
                return
            async with self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context) as response:
                cut = self._faults.take("model_cut") is not None
                yield CutStream(model_request_parameters=model_request_parameters, stream=response) if cut else response

    async def _refuse(self) -> None:
        if fault := self._faults.take("model_slow"):
            await asyncio.sleep(fault.delay_s)
        if fault := self._faults.take("model_error"):
            await asyncio.sleep(fault.delay_s)
            raise server_error(self.model_name)
        if fault := self._faults.take("model_rate_limited"):
            await asyncio.sleep(fault.delay_s)
            raise rate_limited(self.model_name)
