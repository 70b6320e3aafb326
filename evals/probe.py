"""Asking an HTTP API one thing at a time, without sending more than was allowed or reading more than is needed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx2

from evals.errors import TargetError
from evals.openapi import Document, Operation, Request, read_document

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
TOO_LONG = "(too long to check)"
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How to ask. `examples` allows POST, PUT and PATCH whose body has a declared example; `unsafe` allows everything."""

    document_path: str = "/openapi.json"
    examples: bool = False
    unsafe: bool = False
    token: str | None = None
    timeout_s: float = 10.0

    def may_send(self, operation: Operation) -> bool:
        exemplary = self.examples and operation.method != "DELETE" and operation.body_example is not None
        return operation.method in SAFE or self.unsafe or exemplary


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`body` is parsed JSON, `text` what came; `fault` says why nothing came. `checkable`: the whole body was read and is JSON."""

    status: int | None
    text: str = ""
    body: Any = None
    checkable: bool = False
    fault: str = ""


class Probe:
    """Sends one request at a time and reads no more of an answer than a check needs."""

    def __init__(self, client: httpx2.AsyncClient, base: str, manner: Manner) -> None:
        self._client = client
        self._base = base
        self.manner = manner

    async def document(self, *, required: bool) -> Document | None:
        """Raises `TargetError` when nobody answers, the document is damaged, or it is required and absent."""
        place = self._base + self.manner.document_path
        answer = await self.ask("GET", self.manner.document_path, most=20 * _MOST_BYTES)
        if answer.status is None:
            raise TargetError(f"{place}: {answer.fault}; start the server or correct the address")
        if answer.status in {404, 405} and not required:
            return None
        if answer.status != 200 or not answer.checkable:
            raise TargetError(f"{place}: HTTP {answer.status}, no OpenAPI document; name its place with --document")
        try:
            return read_document(answer.body)
        except ValueError as error:
            raise TargetError(f"{place}: {error}; name its place with --document") from error
        except (AttributeError, TypeError) as error:
            raise TargetError(f"{place}: is a damaged OpenAPI document ({error}); correct it") from error

    async def ask(self, method: str, path: str, *, most: int = _MOST_BYTES) -> Answer:
        return await self.send(Request(method=method, path=path, headers={}), most=most)

    async def send(self, request: Request, *, most: int = _MOST_BYTES) -> Answer:
        body = {} if request.body is None else {"json": request.body}
        try:
            async with asyncio.timeout(self.manner.timeout_s):
                async with self._client.stream(
                    request.method, self._base + request.path, headers=dict(request.headers), **body
                ) as response:
                    return await _read(response, most)
        except (httpx2.TimeoutException, TimeoutError):
            return Answer(status=None, fault=f"no answer within {self.manner.timeout_s:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return Answer(status=None, fault=f"no answer ({str(error) or type(error).__name__})")


async def _read(response: httpx2.Response, most: int) -> Answer:
    """The status, and the body where it is JSON or short text. An event stream is not waited for."""
    kind = response.headers.get("content-type", "")
    if "event-stream" in kind:
        return Answer(status=response.status_code, text=TOO_LONG)
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > most:
            return Answer(status=response.status_code, text=TOO_LONG)
    text = data.decode("utf-8", errors="replace")
    if "json" not in kind:
        return Answer(status=response.status_code, text=text)
    try:
        return Answer(status=response.status_code, text=text, body=json.loads(text), checkable=True)
    except ValueError:
        return Answer(status=response.status_code, text=text)
