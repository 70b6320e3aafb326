"""Turns over one WebSocket: a text frame in is a `TurnRequest`, the text frames out are the events of its turn.

Turns of a connection run one after the other, in the order they were sent. A request that is refused is answered with one `Problem`
frame and the connection stays open. A client that hangs up ends its running turn and those that wait.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from urllib.parse import urlsplit

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from assistant.errors import AssistantClosed, ReaderTooSlow, RequestError, StoreUnavailable
from assistant.server.loopback import require_local
from assistant.server.problems import Problem, ProblemDetail
from assistant.server.streaming import left_behind
from assistant.service import Assistant
from assistant.wire import Event, TurnRequest

TURNS_AHEAD = 8
"""Requests that may wait on one connection; a client that sends more is not read from until one is done."""
OPEN = "sockets_open"
POLICY_VIOLATION = 1008
SERVICE_RESTART = 1012

router = APIRouter()


@router.websocket("/v1/ws")
async def talk(socket: WebSocket) -> None:
    """Opens unless a browser page of another origin asks."""
    if not _same_origin(socket):
        await socket.close(POLICY_VIOLATION)
        return
    assistant = socket.app.state.assistant
    assert isinstance(assistant, Assistant)
    await socket.accept()
    assistant.telemetry.change(OPEN, 1)
    asked: asyncio.Queue[str | None] = asyncio.Queue(TURNS_AHEAD)
    answering = asyncio.create_task(_answer_all(socket, assistant, asked))
    try:
        await _read_all(socket, asked, answering)
    finally:
        answering.cancel()
        await asyncio.wait([answering])
        assistant.telemetry.change(OPEN, -1)
    if not answering.cancelled():
        answering.result()


async def _read_all(socket: WebSocket, asked: asyncio.Queue[str | None], answering: asyncio.Task[None]) -> None:
    """Take requests until the client hangs up or answering ends. Reading goes on during a turn: it is how a hang-up is noticed."""
    while not answering.done():
        reading = asyncio.create_task(socket.receive())
        await asyncio.wait({reading, answering}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            reading.cancel()
            return
        message = reading.result()
        if message["type"] == "websocket.disconnect":
            return
        putting = asyncio.create_task(asked.put(message.get("text")))
        await asyncio.wait({putting, answering}, return_when=asyncio.FIRST_COMPLETED)
        putting.cancel()


async def _answer_all(socket: WebSocket, assistant: Assistant, asked: asyncio.Queue[str | None]) -> None:
    try:
        while True:
            await _answer(socket, assistant, await asked.get())
    except WebSocketDisconnect:
        # A frame for a client that has just gone; reading notices the same.
        return
    except AssistantClosed:
        await socket.close(SERVICE_RESTART)


async def _answer(socket: WebSocket, assistant: Assistant, text: str | None) -> None:
    try:
        turn = _request(socket, text)
        async with aclosing(assistant.stream(turn)) as events:
            last: Event | None = None
            try:
                async for event in events:
                    last = event
                    await socket.send_text(event.model_dump_json())
            except ReaderTooSlow as error:
                if last is not None:
                    await socket.send_text(left_behind(last, error).model_dump_json())
    except (RequestError, StoreUnavailable) as error:
        await _refuse(socket, error.code, str(error))
    except ValidationError as error:
        await _refuse(socket, "invalid_request", _faults(error))


def _request(socket: WebSocket, text: str | None) -> TurnRequest:
    """Raises `ValidationError`, and `SandboxesClosed` for a sandbox named from another machine."""
    turn = TurnRequest.model_validate_json(text or "")
    if turn.sandbox is not None:
        require_local(socket)
    return turn


async def _refuse(socket: WebSocket, code: str, message: str) -> None:
    await socket.send_text(Problem(error=ProblemDetail(code=code, message=message)).model_dump_json())


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'frame'}: {fault['msg']}" for fault in error.errors())


def _same_origin(socket: WebSocket) -> bool:
    """A browser sends the origin of the page that asks; other clients send none."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")
