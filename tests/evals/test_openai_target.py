"""The OpenAI target against the shipped mock server over a real socket: what is sent, what is seen, who is blamed."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse

from assistant.models.mock_server import MockProfile, create_mock_app
from evals.cards import Card
from evals.errors import TargetError, UsageError
from evals.targets.openai import OpenAITarget, parse_endpoint
from evals.targets.opening import open_target, parse_target
from evals.transcript import Transcript


@contextmanager
def served(app: FastAPI) -> Generator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


async def play(url: str, card: Card, timeout_s: float = 5.0) -> Transcript:
    async with OpenAITarget(f"{url}/v1", "mock", timeout_s=timeout_s) as target:
        return await target.play(card, 3)


async def test_every_turn_carries_the_conversation_so_far(make_card: Callable[..., Card], tmp_path: Path) -> None:
    app = create_mock_app(MockProfile(api_key="sk-right"))
    environ = {"OPENAI_API_KEY": "sk-right"}
    with served(app) as url:
        spec = parse_target(f"openai:{url}#llama3.2")
        async with open_target(spec, pack="qsr", environ=environ, store=tmp_path) as target:
            transcript = await target.play(make_card(), 3)
    first, second = [turn.user for turn in make_card().turns]
    assert [request["messages"] for request in app.state.requests] == [
        [{"role": "user", "content": first}],
        [
            {"role": "user", "content": first},
            {"role": "assistant", "content": first},
            {"role": "user", "content": second},
        ],
    ]
    assert {request["model"] for request in app.state.requests} == {"llama3.2"}
    assert (transcript.card, transcript.repeat, transcript.fault) == ("hold-chicken", 3, None)
    assert [turn.text for turn in transcript.turns] == [first, second]
    assert [turn.usage and turn.usage["output_tokens"] for turn in transcript.turns] == [6, 5]
    assert all(turn.duration_s and turn.duration_s > 0 for turn in transcript.turns)
    assert not transcript.visible.tools and not transcript.visible.route


@pytest.mark.parametrize(
    ("profile", "fault", "words"),
    [
        (MockProfile(server_error_rate=1), "agent_error", "HTTP 500"),
        (MockProfile(rate_limited_rate=1), "infra_error", "limits requests"),
        (MockProfile(garbage_rate=1), "agent_error", "not a chat completion"),
        (MockProfile(cut_rate=1), "agent_error", "not a chat completion"),
        (MockProfile(ttft_s=1), "timeout", "no answer within 0.3 s"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_stops_a_play_is_blamed_on_the_right_one_and_sent_once(
    profile: MockProfile, fault: str, words: str, make_card: Callable[..., Card]
) -> None:
    app = create_mock_app(profile)
    with served(app) as url:
        transcript = await play(url, make_card(), timeout_s=0.3)
    assert transcript.fault == fault and words in transcript.fault_reason
    assert (len(app.state.requests), list(transcript.turns)) == (1, [])


async def test_a_refused_key_stops_before_anything_is_played_and_is_never_shown() -> None:
    with served(create_mock_app(MockProfile(api_key="sk-right"))) as url:
        target = parse_endpoint(f"{url}#m", {"ASSAY_OPENAI_API_KEY": "sk-wrong-secret"})
        with pytest.raises(TargetError, match="refuses the key") as stop:
            await target.__aenter__()
    assert "sk-wrong-secret" not in str(stop.value)


async def test_nobody_there_is_said_before_anything_is_played() -> None:
    with pytest.raises(TargetError, match="no model server answers there"):
        async with parse_endpoint("http://127.0.0.1:9#m", {}):
            pass


async def test_a_server_that_dies_is_asked_again_a_bounded_number_of_times(make_card: Callable[..., Card]) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    target = OpenAITarget(url, "m", sleep=pause)
    transcript = await target.play(make_card(), 0)
    await target.__aexit__(None, None, None)
    assert transcript.fault == "infra_error" and "(3 attempts)" in transcript.fault_reason
    assert len(pauses) == 2


async def test_a_connection_cut_in_the_answer_is_the_endpoints_failure_and_not_sent_again(make_card: Callable[..., Card]) -> None:
    asked: list[int] = []

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.append(1)
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = OpenAITarget(f"http://127.0.0.1:{port}/v1", "m")
    transcript = await target.play(make_card(), 0)
    await target.__aexit__(None, None, None)
    server.close()
    await server.wait_closed()
    assert transcript.fault == "agent_error" and "broke off" in transcript.fault_reason
    assert asked == [1]


def answering(status: int, body: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    def models() -> PlainTextResponse:
        return PlainTextResponse("no such list", 404)

    @app.post("/v1/chat/completions")
    def chat() -> JSONResponse:
        return JSONResponse(body, status)

    return app


def completion(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


async def test_a_server_without_usage_or_model_list_is_played_and_its_tokens_are_unknown(make_card: Callable[..., Card]) -> None:
    with served(answering(200, completion(content="Keep it at 135 F."))) as url:
        transcript = await play(url, make_card())
    assert [(turn.text, turn.usage) for turn in transcript.turns] == [("Keep it at 135 F.", None)] * 2


async def test_a_refusal_is_the_text_of_the_answer(make_card: Callable[..., Card]) -> None:
    with served(answering(200, completion(content=None, refusal="I will not."))) as url:
        transcript = await play(url, make_card())
    assert transcript.turns[0].text == "I will not."


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (200, {"object": "chat.completion", "choices": []}, "agent_error"),
        (200, {"error": "out of memory"}, "agent_error"),
        (400, {"error": {"message": "context too long"}}, "agent_error"),
        (404, {"error": {"message": "no such model"}}, "infra_error"),
        (408, {}, "timeout"),
    ],
)
async def test_odd_answers_have_an_owner(status: int, body: Any, fault: str, make_card: Callable[..., Card]) -> None:
    with served(answering(status, body)) as url:
        transcript = await play(url, make_card())
    assert transcript.fault == fault


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:8000", "http://127.0.0.1:8000#", "ftp://x#m", "#m", "http://[::1#m", "http://host:99999#m", "nothing"],
)
def test_an_address_that_cannot_be_one_is_said_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="write openai:URL#MODEL"):
        parse_endpoint(text, {})


@pytest.mark.parametrize("text", ["http://user:hunter2@host#m", "https://host/v1?key=hunter2#m"])
def test_secrets_in_the_address_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(UsageError, match="no secrets") as stop:
        parse_endpoint(text, os.environ)
    assert "hunter2" not in str(stop.value)
