"""The endpoints. Every path speaks `assistant.wire`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from assistant.memory import Message
from assistant.server.loopback import require_local
from assistant.server.problems import RESPONSES
from assistant.server.streaming import EVENT_STREAM, streamed, while_connected
from assistant.service import Assistant
from assistant.telemetry import process_levels, render_metrics
from assistant.wire import (
    FeedbackRequest,
    Health,
    SandboxCreated,
    SandboxRequest,
    SandboxState,
    TurnRequest,
    TurnResponse,
    WireModel,
)

router = APIRouter(responses=RESPONSES)


class ThreadMessage(WireModel):
    turn_id: str
    role: str
    text: str
    agent: str | None
    outcome: str | None
    created_at: str


class ThreadMessages(WireModel):
    """Everything said in a thread, oldest first. A user message without an answer is one whose turn did not finish."""

    thread_id: str
    messages: list[ThreadMessage]


def _assistant(request: Request) -> Assistant:
    assistant = request.app.state.assistant
    assert isinstance(assistant, Assistant)
    return assistant


def _loopback(request: Request) -> None:
    require_local(request)


def _check_sandbox(request: Request, turn: TurnRequest) -> None:
    if turn.sandbox is not None:
        require_local(request)


def _text(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "Text.", "content": {media_type: {"schema": {"type": "string"}}}}}


Serving = Annotated[Assistant, Depends(_assistant)]


@router.post("/v1/turns", response_model=TurnResponse, responses=_text(EVENT_STREAM))
async def take_turn(request: Request, turn: TurnRequest, assistant: Serving) -> Response:
    """One turn: JSON, or an event stream when the client accepts `text/event-stream`."""
    _check_sandbox(request, turn)
    if EVENT_STREAM in request.headers.get("accept", ""):
        return await streamed(request, assistant, turn)
    reply = await while_connected(request, assistant.reply(turn))
    return Response(reply.model_dump_json(), media_type="application/json")


@router.post("/v1/turns/stream", response_model=None, responses=_text(EVENT_STREAM))
async def stream_turn(request: Request, turn: TurnRequest, assistant: Serving) -> StreamingResponse:
    """One turn as server-sent events: `id`, `event` and `data` hold a wire event's id, type and JSON."""
    _check_sandbox(request, turn)
    return await streamed(request, assistant, turn)


@router.get("/v1/threads/{thread_id}")
async def thread(
    thread_id: str, assistant: Serving, user_id: Annotated[str, Query(max_length=200)] = "anonymous"
) -> ThreadMessages:
    found = await assistant.thread_messages(thread_id, user_id)
    return ThreadMessages(thread_id=thread_id, messages=[_told(message) for message in found])


@router.post("/v1/feedback", status_code=204)
async def feedback(told: FeedbackRequest, assistant: Serving) -> None:
    """Thumbs up or down on an answered turn, kept with its events."""
    await assistant.give_feedback(told)


@router.post("/v1/sandboxes", dependencies=[Depends(_loopback)])
async def create_sandbox(sandbox: SandboxRequest, assistant: Serving) -> SandboxCreated:
    """Only from this machine, and only where sandboxes are on."""
    return SandboxCreated(sandbox=await assistant.create_sandbox(sandbox))


@router.get("/v1/sandboxes/{sandbox}/state", dependencies=[Depends(_loopback)])
async def sandbox_state(sandbox: str, assistant: Serving) -> SandboxState:
    return await assistant.sandbox_state(sandbox)


@router.get("/healthz")
async def healthz(assistant: Serving) -> Health:
    return assistant.health()


@router.get("/metrics", response_model=None, responses=_text("text/plain"))
async def metrics(assistant: Serving) -> PlainTextResponse:
    """Counters, levels and timings as Prometheus reads them."""
    return PlainTextResponse(render_metrics(assistant.telemetry, process_levels()), media_type="text/plain; version=0.0.4")


def _told(message: Message) -> ThreadMessage:
    return ThreadMessage(
        turn_id=message.turn_id,
        role=message.role,
        text=message.text,
        agent=message.agent,
        outcome=message.outcome,
        created_at=message.created_at,
    )
