"""The span of an exchange with a model's server holds the server's time and not its client's work."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from pydantic_ai.models.wrapper import WrapperModel

from assistant.models import resolve_model
from assistant.models.exchanges import TimedOpenAIProvider
from assistant.models.mock_server import MockProfile, create_mock_app
from assistant.spans import RECORDING, Spans
from assistant.wire import DoneEvent, TurnRequest

SERVER_S = 0.10 + 4 * 0.02
CLIENT_S = 0.15


@pytest.fixture(scope="module")
def model_server() -> Iterator[str]:
    app = create_mock_app(MockProfile(content="lorem", lorem_tokens=5, ttft_s=0.10, gap_s=0.02))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(5)


class Dawdling(WrapperModel):
    """A model client with much work of its own before it sends."""

    @asynccontextmanager
    async def request_stream(self, *given: Any, **more: Any) -> AsyncGenerator[Any]:
        await asyncio.sleep(CLIENT_S)
        async with super().request_stream(*given, **more) as response:
            yield response


async def timings(desk: Any) -> dict[str, float]:
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans"))
    assert reply.outcome == "answered"
    (done,) = [event for event in reply.events if isinstance(event, DoneEvent)]
    return done.timings


@pytest.mark.parametrize("name", ["openai-chat:mock", "ollama:mock"])
async def test_the_clients_own_work_is_in_the_models_span_and_not_in_the_exchange(
    desk: Any, model_server: str, name: str
) -> None:
    settings = SimpleNamespace(
        ollama_base_url=model_server,
        openai_base_url=f"{model_server}/v1",
        openai_api_key=None,
        max_output_tokens=64,
        request_timeout_s=5.0,
    )
    model: Any = resolve_model(name, encoder=None, settings=settings)  # type: ignore[arg-type]
    desk.model = Dawdling(model)
    try:
        found = await timings(desk)
    finally:
        await model.wrapped.client.close()
    assert SERVER_S <= found["wire_s"] < found["model_s"] - 0.9 * CLIENT_S
    assert found["overhead_s"] < found["total_s"] - found["wire_s"] - 0.9 * CLIENT_S


async def test_a_model_that_is_asked_over_no_wire_has_no_exchange(desk: Any) -> None:
    assert "wire_s" not in await timings(desk)


async def test_outside_of_a_turn_nothing_is_recorded(model_server: str) -> None:
    provider = TimedOpenAIProvider(base_url=f"{model_server}/v1", api_key="none")
    async with provider:
        assert [model.id async for model in provider.client.models.list()] == ["mock"]


def test_a_client_made_anew_for_another_event_loop_is_timed_too(model_server: str) -> None:
    provider = TimedOpenAIProvider(base_url=f"{model_server}/v1", api_key="none")

    async def asked() -> float:
        RECORDING.set(spans := Spans())
        async with provider:
            await provider.client.models.list()
        return spans.busy_s("wire")

    assert asyncio.run(asked()) > 0 and asyncio.run(asked()) > 0
