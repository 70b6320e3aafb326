"""Turns over HTTP for clients that may be slow or gone: a turn ends when its client hangs up, and never waits for one that does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Message

from assistant.errors import ReaderTooSlow
from assistant.server.problems import ClientGone
from assistant.service import Assistant
from assistant.wire import ErrorEvent, Event, TurnRequest

EVENT_STREAM = "text/event-stream"
TOO_SLOW = "reader_too_slow"
Result = TypeVar("Result")


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled as soon as the client hangs up. The request's body must have been read.

    Raises `ClientGone`, and whatever `work` raises.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_hang_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.wait({task, gone})


async def _hang_up(request: Request) -> None:
    message: Message = {}
    while message.get("type") != "http.disconnect":
        message = await request.receive()


async def streamed(request: Request, assistant: Assistant, turn: TurnRequest) -> StreamingResponse:
    """The turn as server-sent events. The first one is awaited before the status line is sent, so that an unknown thread is still a
    404. Raises `RequestError` and `ClientGone`.
    """
    events = assistant.stream(turn)
    try:
        first = await while_connected(request, _next(events))
    except ClientGone:
        await events.aclose()
        raise
    return StreamingResponse(_lines(first, events), media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})


async def _next(events: AsyncGenerator[Event]) -> Event:
    return await anext(events)


async def _lines(first: Event, rest: AsyncGenerator[Event]) -> AsyncIterator[bytes]:
    last = first
    try:
        yield _line(first)
        async for event in rest:
            last = event
            yield _line(event)
    except ReaderTooSlow as error:
        yield _line(left_behind(last, error))
    finally:
        await rest.aclose()


def left_behind(last: Event, error: ReaderTooSlow) -> ErrorEvent:
    """The last event of a stream whose reader was too slow; no `done` follows."""
    return ErrorEvent(id=last.id + 1, t_s=last.t_s, code=TOO_SLOW, message=str(error), retryable=False)


def _line(event: Event) -> bytes:
    return format_sse_event(data_str=event.model_dump_json(), event=event.type, id=str(event.id))
