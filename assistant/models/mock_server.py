"""A model server without a model: the OpenAI chat dialect and a little of Ollama's, with seeded delays and planted faults.

`create_mock_app(MockProfile(...))` is a FastAPI app. The n-th chat request of an app draws its delays and its fault from
`(seed, n)` alone, so a run is repeatable whatever arrives at the same time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from assistant.models.mock_profile import Draw, Fault, MockProfile, asked_delay_s, draw_of
from assistant.models.planted import Name, PlantedFaults, Sleep

__all__ = ["ChatRequest", "MockProfile", "create_mock_app"]

LOREM: list[str] = str.split(
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua ut enim ad "
    "minim veniam quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat"
)


class ChatRequest(BaseModel):
    """The parts of a chat request the server reads; real clients send more, which is ignored as real servers do."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: list[dict[str, Any]]
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None


_PLANTED: Mapping[Name, Fault] = {"error": "server_error", "rate_limited": "rate_limited", "cut": "cut"}


def create_mock_app(profile: MockProfile, *, sleep: Sleep = asyncio.sleep, faults: PlantedFaults | None = None) -> FastAPI:
    """The app. `faults` come and go beside those of the profile. `app.state.requests` lists the bodies of the chat requests it got, `app.state.cancelled` counts abandoned streams."""
    app = FastAPI(title="Mock model server", openapi_url=None)
    server = _Server(profile=profile, sleep=sleep, app=app, faults=faults)
    app.state.requests = []
    app.state.cancelled = 0
    app.post("/v1/chat/completions")(server.chat)
    app.get("/v1/models")(server.models)
    app.get("/api/tags")(server.tags)
    app.post("/api/show")(server.show)
    app.get("/api/show")(server.show)
    app.get("/api/ps")(server.running)
    return app


@dataclass(frozen=True, kw_only=True)
class _Server:
    profile: MockProfile
    sleep: Sleep
    app: FastAPI
    faults: PlantedFaults | None = None
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def chat(self, request: ChatRequest, authorization: Annotated[str | None, Header()] = None) -> Response:
        if self._refuses(authorization):
            return _error(401, "invalid_api_key", "The key is not right.", {})
        pacing, number = _Pacing(sleep=self.sleep), next(self.numbers)
        self.app.state.requests.append(request.model_dump(exclude_unset=True))
        draw = self._draw(number)
        await pacing.wait(draw.ttft_s + asked_delay_s(request.model))
        await self._stalled(pacing)
        if draw.fault == "rate_limited":
            return _error(429, "rate_limit_exceeded", "Too many requests.", {"Retry-After": str(self.profile.retry_after_s)})
        if draw.fault == "server_error":
            return _error(500, "server_error", "The server had an error.", {})
        if draw.fault == "garbage" and not request.stream:
            return PlainTextResponse("<html>Bad gateway</html>", media_type="application/json")
        answer = _Answer.make(self.profile, request, number)
        if request.stream:
            return StreamingResponse(self._stream(request, answer, draw, pacing), media_type="text/event-stream")
        await pacing.wait(sum(draw.gaps_s() for _ in answer.pieces[1:]))
        if draw.fault == "cut":
            return PlainTextResponse(json.dumps(answer.whole())[:-20], media_type="application/json")
        return JSONResponse(answer.whole())

    async def _stream(self, request: ChatRequest, answer: _Answer, draw: Draw, pacing: _Pacing) -> AsyncIterator[str]:
        try:
            for number, chunk in enumerate(answer.chunks()):
                if number:
                    await pacing.wait(draw.gaps_s())
                await self._stalled(pacing)
                if draw.fault == "cut" and number == min(draw.cut_after, len(answer.pieces)):
                    raise ConnectionResetError("planted: the stream is cut")
                if draw.fault == "garbage" and number == 1:
                    yield "data: {not json\n\n"
                yield _event(chunk)
            if self.profile.sends_usage and (request.stream_options or {}).get("include_usage"):
                yield _event(answer.usage_chunk())
            yield "data: [DONE]\n\n"
        except (GeneratorExit, asyncio.CancelledError):
            self.app.state.cancelled += 1
            raise

    def _draw(self, number: int) -> Draw:
        draw = draw_of(self.profile, number)
        planted = self.faults.now() if self.faults is not None else None
        if planted is None:
            return draw
        factor = planted.factor if planted.name == "slow" else 1.0
        fault = _PLANTED.get(planted.name, draw.fault)
        return replace(draw, fault=fault, ttft_s=draw.ttft_s * factor, gaps_s=lambda: draw.gaps_s() * factor)

    async def _stalled(self, pacing: _Pacing) -> None:
        if self.faults is not None:
            await pacing.held(self.faults.stalled(self.sleep))

    def _refuses(self, authorization: str | None) -> bool:
        return self.profile.api_key is not None and authorization != f"Bearer {self.profile.api_key}"

    async def models(self, authorization: Annotated[str | None, Header()] = None) -> Any:
        if self._refuses(authorization):
            return _error(401, "invalid_api_key", "The key is not right.", {})
        return {"object": "list", "data": [{"id": self.profile.model, "object": "model", "created": 0, "owned_by": "mock"}]}

    async def tags(self) -> dict[str, Any]:
        return {
            "models": [
                {
                    "name": self.profile.model,
                    "model": self.profile.model,
                    "size": 0,
                    "digest": "mock",
                    "details": {"family": "mock"},
                }
            ]
        }

    async def show(self) -> dict[str, Any]:
        return {
            "modelfile": "FROM mock",
            "parameters": "num_ctx 4096",
            "details": {"family": "mock"},
            "model_info": {"mock.context_length": 4096},
        }

    async def running(self) -> dict[str, Any]:
        return {"models": [{"name": self.profile.model, "model": self.profile.model, "size_vram": 0, "context_length": 4096}]}


class _Pacing:
    """The delays of one request, counted from its arrival: what handling a word costs delays no later one."""

    def __init__(self, *, sleep: Sleep, clock: Callable[[], float] = time.monotonic) -> None:
        self._sleep = sleep
        self._clock = clock
        self._due = clock()

    async def wait(self, seconds: float) -> None:
        """Until so many seconds after what was waited for before."""
        self._due += seconds
        await self._sleep(max(0.0, self._due - self._clock()))

    async def held(self, pause: Awaitable[None]) -> None:
        """What this takes delays everything that follows."""
        began = self._clock()
        await pause
        self._due += self._clock() - began


@dataclass(frozen=True, kw_only=True)
class _Answer:
    number: int
    model: str
    pieces: list[str]
    tool: tuple[str, Mapping[str, Any]] | None
    finish: str
    usage: dict[str, int]

    @classmethod
    def make(cls, profile: MockProfile, request: ChatRequest, number: int) -> _Answer:
        limit = request.max_tokens
        if limit is None and not profile.ignores_max_completion_tokens:
            limit = request.max_completion_tokens
        prompt = sum(len(str(message.get("content") or "").split()) for message in request.messages)
        calls = profile.content == "tool" and not any(message.get("role") == "tool" for message in request.messages)
        tool = profile.tool_call if calls else None
        pieces = [] if tool else _words(profile, request)
        cut = limit is not None and len(pieces) > limit
        kept = pieces[:limit] if cut else pieces
        spent = len(kept) if tool is None else len(json.dumps(tool[1]).split()) + 1
        usage = {"prompt_tokens": prompt, "completion_tokens": spent, "total_tokens": prompt + spent}
        return cls(
            number=number,
            model=request.model,
            pieces=kept,
            tool=tool,
            finish="tool_calls" if tool else "length" if cut else "stop",
            usage=usage,
        )

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None if self.tool else "".join(self.pieces)}
        if self.tool:
            message["tool_calls"] = [self._tool_call()]
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage}

    def chunks(self) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}] if not self.pieces else []
        deltas += [
            {"role": "assistant", "content": piece} if not at else {"content": piece} for at, piece in enumerate(self.pieces)
        ]
        if self.tool:
            deltas = [{"role": "assistant", "tool_calls": [{"index": 0, **self._tool_call()}]}]
        choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": self.finish})
        return [{**self._head("chat.completion.chunk"), "choices": [choice]} for choice in choices]

    def usage_chunk(self) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.number}", "object": kind, "created": 0, "model": self.model}

    def _tool_call(self) -> dict[str, Any]:
        name, arguments = self.tool or ("", {})
        return {"id": f"call_{self.number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def _words(profile: MockProfile, request: ChatRequest) -> list[str]:
    if profile.content == "lorem":
        words = [LOREM[at % len(LOREM)] for at in range(profile.lorem_tokens)]
    elif profile.content == "echo":
        said = [message for message in request.messages if message.get("role") == "user"]
        words = _text(said[-1].get("content") if said else "").split()
    else:
        words = profile.reply.split()
    return [word if not at else f" {word}" for at, word in enumerate(words)]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _event(chunk: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


def _error(status: int, code: str, message: str, headers: Mapping[str, str]) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": code, "code": code}}, status_code=status, headers=dict(headers))
