"""What ends a play before its card does, and how much of an answer is read at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypedDict

import httpx2

MAX_BODY = 16 * 1024 * 1024
MAX_COMPRESSED_BODY = MAX_BODY // 64


class Marks(TypedDict):
    """The fields of a transcript that tell why a play stopped."""

    fault: str
    fault_reason: str
    again_in_s: float | None
    limited: bool


class Stopped(Exception):
    """One turn got no answer: `fault` is the state it gives the card; the other fields are those of `Transcript`."""

    def __init__(self, fault: str, reason: str, *, again_in_s: float | None = None, limited: bool = False) -> None:
        super().__init__(reason)
        self.fault = fault
        self.again_in_s = again_in_s
        self.limited = limited

    def marks(self) -> Marks:
        return Marks(fault=self.fault, fault_reason=str(self), again_in_s=self.again_in_s, limited=self.limited)


def limited(response: httpx2.Response, remedy: str) -> Stopped:
    """HTTP 429: not the assistant's fault, and to be tried again when the server says, or in a second."""
    try:
        pause_s = max(0.0, float(response.headers.get("retry-after", "")))
    except ValueError:
        pause_s = 1.0
    return Stopped("infra_error", f"HTTP 429: {remedy}", again_in_s=pause_s, limited=True)


class BoundedTransport(httpx2.AsyncHTTPTransport):
    """Reads at most 16 MiB of a body, 256 KiB of a compressed one: what an endless answer costs. Raises `Stopped` beyond."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        most = MAX_COMPRESSED_BODY if response.headers.get("content-encoding", "identity") != "identity" else MAX_BODY
        return httpx2.Response(
            status_code=response.status_code,
            headers=response.headers,
            stream=_Bounded(response.stream, most),
            extensions=response.extensions,
        )


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for piece in self._stream:
            read += len(piece)
            if read > self._most:
                raise Stopped("agent_error", f"the answer is longer than {self._most // 1024:,} KiB; the rest was not read")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
