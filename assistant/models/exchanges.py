"""Exchanges with a model's server, timed where the bytes go out and come in.

The span of a model holds its client's own work as well: building the request, reading the answer. That work is the assistant's. The span of
an exchange, kind `wire`, goes from the moment the HTTP client has a request to send until the last piece of the answer has come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from httpx2 import AsyncByteStream, AsyncClient, Request, Response
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider

from assistant.spans import RECORDING, Spans

_BEGAN = "assay.began_s"


class TimedOpenAIProvider(OpenAIProvider):
    """Whatever a turn sends through its HTTP client is in that turn's spans. The client stays the provider's own, which replaces it when
    it is used on another event loop."""

    def __init__(self, *, base_url: str | None = None, api_key: str | None) -> None:
        super().__init__(base_url=base_url, api_key=api_key)
        _time(self._own_http_client)

    def _set_http_client(self, http_client: Any) -> None:
        super()._set_http_client(http_client)
        _time(http_client)


class TimedOllamaProvider(OllamaProvider):
    """As `TimedOpenAIProvider`."""

    def __init__(self, *, base_url: str, api_key: str) -> None:
        super().__init__(base_url=base_url, api_key=api_key)
        _time(self._own_http_client)

    def _set_http_client(self, http_client: Any) -> None:
        super()._set_http_client(http_client)
        _time(http_client)


def _time(client: object) -> None:
    if isinstance(client, AsyncClient):
        hooks = client.event_hooks
        client.event_hooks = {"request": [*hooks["request"], _sent], "response": [*hooks["response"], _answered]}


async def _sent(request: Request) -> None:
    spans = RECORDING.get()
    if spans is not None:
        request.extensions[_BEGAN] = spans.clock()


async def _answered(response: Response) -> None:
    spans, began_s = RECORDING.get(), response.request.extensions.get(_BEGAN)
    if spans is not None and began_s is not None:
        response.stream = _TimedStream(cast("AsyncByteStream", response.stream), spans, began_s)


class _TimedStream(AsyncByteStream):
    """Passes the pieces on; when it is closed its span ends with the last of them."""

    def __init__(self, stream: AsyncByteStream, spans: Spans, began_s: float) -> None:
        self._stream = stream
        self._spans = spans
        self._began_s = began_s
        self._last_s = spans.clock()
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._last_s = self._spans.clock()
            yield piece

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._spans.add("wire", self._began_s, self._last_s)
        await self._stream.aclose()
