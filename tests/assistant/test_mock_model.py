"""The mock model server over a real socket, through the `openai` client and through pydantic-ai."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from fastapi import FastAPI
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelAPIError

from assistant.models import describe_model, resolve_model
from assistant.models.capped import CappedModel
from assistant.models.mock_profile import asked_delay_s
from assistant.models.mock_server import MockProfile, _Pacing, create_mock_app
from assistant.models.planted import PlantedFaults


@dataclass(frozen=True, kw_only=True)
class Here:
    """Settings that point at one server."""

    ollama_base_url: str | None
    openai_base_url: str | None
    openai_api_key: str | None = None
    max_output_tokens: int = 16
    request_timeout_s: float = 5.0


@dataclass(kw_only=True)
class Server:
    app: FastAPI
    url: str
    client: openai.AsyncOpenAI

    @property
    def settings(self) -> Here:
        return Here(ollama_base_url=self.url, openai_base_url=f"{self.url}/v1")

    @property
    def requests(self) -> list[dict[str, Any]]:
        return self.app.state.requests


NO_ENCODER: Any = None
Start = Callable[..., Server]
Resolve = Callable[[str, Here], Any]


@pytest.fixture
async def start(serve_app: Callable[[FastAPI], str]) -> AsyncIterator[Start]:
    clients: list[openai.AsyncOpenAI] = []

    def begin(profile: MockProfile, faults: PlantedFaults | None = None) -> Server:
        app = create_mock_app(profile, faults=faults)
        url = serve_app(app)
        clients.append(openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0))
        return Server(app=app, url=url, client=clients[-1])

    yield begin
    for client in clients:
        await client.close()


@pytest.fixture
async def resolve() -> AsyncIterator[Resolve]:
    """Models by their string, whose connections are closed at the end."""
    made: list[Any] = []

    def make(name: str, settings: Here) -> Any:
        made.append(resolve_model(name, encoder=NO_ENCODER, settings=settings))
        return made[-1]

    yield make
    for model in made:
        await model.wrapped.client.close()


def asked(text: str = "one two three four five six") -> list[Any]:
    return [{"role": "user", "content": text}]


async def test_it_echoes_with_usage(start: Start) -> None:
    server = start(MockProfile())
    answer = await server.client.chat.completions.create(model="mock", messages=asked())
    assert answer.choices[0].message.content == "one two three four five six"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 6)


async def test_a_stream_ends_with_usage_when_asked_for(start: Start) -> None:
    server = start(MockProfile())
    stream = await server.client.chat.completions.create(
        model="mock", messages=asked(), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two three four five six"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 6


async def test_a_stream_without_the_option_has_no_usage(start: Start) -> None:
    server = start(MockProfile())
    stream = await server.client.chat.completions.create(model="mock", messages=asked(), stream=True)
    assert all(chunk.usage is None for chunk in [chunk async for chunk in stream])


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_both_limits_hold_on_a_server_that_knows_both(start: Start, name: str) -> None:
    server = start(MockProfile())
    answer = await server.client.chat.completions.create(model="mock", messages=asked(), extra_body={name: 2})
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("one two", "length")


async def test_an_ollama_like_server_ignores_max_completion_tokens(start: Start) -> None:
    server = start(MockProfile(ignores_max_completion_tokens=True))
    answer = await server.client.chat.completions.create(model="mock", messages=asked(), max_completion_tokens=2)
    assert answer.choices[0].message.content == "one two three four five six"


async def test_the_cap_reaches_an_ollama_like_server_through_a_model_string(start: Start, resolve: Resolve) -> None:
    server = start(MockProfile(content="lorem", lorem_tokens=400, ignores_max_completion_tokens=True))
    model = resolve("ollama:mock", server.settings)
    result = await Agent(model).run("talk")
    assert len(result.output.split()) == 16
    assert "max_completion_tokens" not in server.requests[0]
    assert server.requests[0]["max_tokens"] == 16


async def test_the_planted_trap_is_real_without_the_profile(start: Start) -> None:
    """What pydantic-ai's own Ollama model sends is ignored: the answer is 25 times longer than allowed."""
    from pydantic_ai.models.ollama import OllamaModel
    from pydantic_ai.providers.ollama import OllamaProvider
    from pydantic_ai.settings import ModelSettings

    server = start(MockProfile(content="lorem", lorem_tokens=400, ignores_max_completion_tokens=True))
    provider = OllamaProvider(base_url=f"{server.url}/v1", api_key="none")
    result = await Agent(OllamaModel("mock", provider=provider), model_settings=ModelSettings(max_tokens=16)).run("talk")
    await provider.client.close()
    assert len(result.output.split()) == 400


async def test_a_server_that_keeps_no_limit_is_cut_on_this_side_while_streaming(start: Start) -> None:
    server = start(MockProfile(content="lorem", lorem_tokens=400, gap_s=0.001, ignores_max_completion_tokens=True))
    inner = resolve_model(
        "openai-chat:mock",
        encoder=NO_ENCODER,
        settings=Here(ollama_base_url=None, openai_base_url=server.url, max_output_tokens=9999),
    )
    assert isinstance(inner, CappedModel)
    async with Agent(_Unlimited(inner.wrapped, 16)).run_stream("talk") as result:
        text = await result.get_output()
    assert 16 <= len(text.split()) <= 20
    assert result.response.finish_reason == "length"


async def test_a_server_that_keeps_no_limit_is_cut_on_this_side_when_whole(start: Start, resolve: Resolve) -> None:
    server = start(MockProfile(content="lorem", lorem_tokens=400))
    inner = resolve("openai-chat:mock", server.settings)
    assert isinstance(inner, CappedModel)
    result = await Agent(_Unlimited(inner.wrapped, 16)).run("talk")
    assert len(result.output) == 16 * 8
    assert result.response.finish_reason == "length"


class _Unlimited(CappedModel):
    """Caps on this side only: the server is never told."""

    def _capped(self, settings: Any) -> Any:
        return {key: value for key, value in (settings or {}).items() if key != "max_tokens"}


async def test_a_request_may_ask_for_fewer_tokens_but_never_for_more(start: Start, resolve: Resolve) -> None:
    server = start(MockProfile(content="lorem"))
    model = resolve("openai-chat:mock", server.settings)
    await Agent(model).run("talk", model_settings={"max_tokens": 4})
    await Agent(model).run("talk", model_settings={"max_tokens": 400})
    assert [request["max_tokens"] for request in server.requests] == [4, 16]


async def test_a_capped_stream_below_its_cap_passes_whole(start: Start, resolve: Resolve) -> None:
    server = start(MockProfile())
    model = resolve("openai-chat:mock", server.settings)
    async with Agent(model).run_stream("one two three") as result:
        assert await result.get_output() == "one two three"
    assert result.response.finish_reason == "stop"
    assert result.usage.output_tokens == 3


async def test_a_tool_call_is_made_once_and_then_answered(start: Start, resolve: Resolve) -> None:
    server = start(MockProfile(content="tool", tool_call=("add", {"a": 2, "b": 3}), reply="five it is"))
    agent = Agent(resolve("openai-chat:mock", server.settings))
    sums: list[int] = []

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        sums.append(a + b)
        return a + b

    assert (await agent.run("what is two and three")).output == "five it is"
    async with agent.run_stream("again") as result:
        assert await result.get_output() == "five it is"
    assert sums == [5, 5]


async def test_rate_limits_carry_retry_after(start: Start) -> None:
    server = start(MockProfile(rate_limited_rate=1.0, retry_after_s=7))
    with pytest.raises(openai.RateLimitError) as caught:
        await server.client.chat.completions.create(model="mock", messages=asked())
    assert caught.value.response.headers["retry-after"] == "7"


async def test_server_errors_are_500(start: Start) -> None:
    server = start(MockProfile(server_error_rate=1.0))
    with pytest.raises(openai.InternalServerError):
        await server.client.chat.completions.create(model="mock", messages=asked())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("rates", [{"cut_rate": 1.0}, {"garbage_rate": 1.0}])
async def test_cut_and_garbled_answers_fail_in_the_client(start: Start, rates: dict[str, float], stream: bool) -> None:
    server = start(MockProfile(content="lorem", **rates))
    with pytest.raises((httpx2.HTTPError, openai.OpenAIError, json.JSONDecodeError, AttributeError, TypeError)):
        if stream:
            chunks = await server.client.chat.completions.create(model="mock", messages=asked(), stream=True)
            _ = [chunk async for chunk in chunks]
        else:
            answer = await server.client.chat.completions.create(model="mock", messages=asked())
            _ = answer.choices[0].message.content


async def test_faults_come_at_their_rate_and_repeat_with_the_seed(start: Start) -> None:
    async def statuses(seed: int) -> list[int]:
        server = start(MockProfile(seed=seed, server_error_rate=0.3))
        body = {"model": "mock", "messages": asked()}
        async with httpx2.AsyncClient(base_url=server.url) as client:
            return [(await client.post("/v1/chat/completions", json=body)).status_code for _ in range(16)]

    first = await statuses(1)
    assert first == await statuses(1)
    assert first != await statuses(2)
    assert 1 <= first.count(500) <= 10


async def test_a_stall_and_the_first_token_delay_are_waited(start: Start) -> None:
    server = start(MockProfile(ttft_s=0.05, stall_s=0.1, stall_rate=1.0, jitter=0.1))
    started = time.perf_counter()
    await server.client.chat.completions.create(model="mock", messages=asked("hi"))
    assert time.perf_counter() - started >= 0.14


async def test_a_request_may_ask_for_a_model_that_is_slower_by_a_known_time(start: Start) -> None:
    server = start(MockProfile())
    took: dict[str, float] = {}
    for name in ("mock", "mock+250ms"):
        started = time.perf_counter()
        await server.client.chat.completions.create(model=name, messages=asked("hi"))
        took[name] = time.perf_counter() - started
    assert 0.2 < took["mock+250ms"] - took["mock"] < 2.0
    assert [asked_delay_s(name) for name in ("m", "m+20ms", "m+2.5ms", "m+ms", "+20ms more")] == [0.0, 0.02, 0.0025, 0.0, 0.0]


async def test_what_handling_a_word_costs_delays_no_later_one() -> None:
    now, slept = 0.0, list[float]()

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(round(seconds, 6))
        now += seconds

    async def stall() -> None:
        await sleep(2.0)

    pacing = _Pacing(sleep=sleep, clock=lambda: now)
    now += 0.03
    await pacing.wait(0.1)
    now += 0.02
    await pacing.wait(0.05)
    now += 0.2
    await pacing.wait(0.05)
    assert slept == [0.07, 0.03, 0.0]
    await pacing.held(stall())
    await pacing.wait(0.2)
    assert slept[3:] == [2.0, 0.05], "a stall is made up for by nobody, the late word is"


async def test_an_abandoned_stream_stops_on_the_server(start: Start) -> None:
    server = start(MockProfile(content="lorem", lorem_tokens=2000, gap_s=0.01))
    stream = await server.client.chat.completions.create(model="mock", messages=asked(), stream=True)
    async for _ in stream:
        break
    await stream.close()
    until = time.monotonic() + 5
    while not server.app.state.cancelled and time.monotonic() < until:
        time.sleep(0.02)
    assert server.app.state.cancelled == 1


async def test_a_failing_server_is_an_api_error_for_pydantic_ai(start: Start, resolve: Resolve) -> None:
    server = start(MockProfile(server_error_rate=1.0))
    model = resolve("openai-chat:mock", server.settings)
    model.wrapped.client.max_retries = 0  # pyright: ignore
    with pytest.raises(ModelAPIError):
        await Agent(model).run("hello")


async def test_the_ollama_side_lists_shows_and_runs(start: Start) -> None:
    server = start(MockProfile(model="tiny"))
    async with httpx2.AsyncClient(base_url=server.url) as client:
        tags, shown, running = (
            (await client.get("/api/tags")).json(),
            (await client.post("/api/show")).json(),
            (await client.get("/api/ps")).json(),
        )
    assert [row["name"] for row in tags["models"]] == ["tiny"]
    assert shown["model_info"] == {"mock.context_length": 4096}
    assert running["models"][0]["context_length"] == 4096


async def test_message_parts_are_read_as_text(start: Start) -> None:
    server = start(MockProfile())
    content = [{"type": "text", "text": "part one"}, {"type": "text", "text": "part two"}]
    answer = await server.client.chat.completions.create(model="mock", messages=[{"role": "user", "content": content}])  # pyright: ignore
    assert answer.choices[0].message.content == "part one part two"


async def test_a_key_is_checked_when_one_is_set(start: Start, resolve: Resolve) -> None:
    server = start(MockProfile(api_key="s3cret"))
    with pytest.raises(openai.AuthenticationError):
        await server.client.chat.completions.create(model="mock", messages=asked())
    assert "s3cret" not in repr(MockProfile(api_key="s3cret"))
    right = Here(ollama_base_url=None, openai_base_url=server.url, openai_api_key="s3cret")
    assert (await Agent(resolve("openai-chat:mock", right)).run("hi")).output == "hi"
    wrong = describe_model("openai-chat:mock", Here(ollama_base_url=None, openai_base_url=server.url, openai_api_key="wr0ng"))
    assert "refuses the key" in wrong[0]
    assert "wr0ng" not in "".join(wrong)


async def test_what_the_server_says_is_told_in_sentences(start: Start) -> None:
    server = start(MockProfile(model="tiny"))
    assert describe_model("openai-chat:tiny", server.settings)[:2] == [
        f"The server at {server.url} answers.",
        "It has the model tiny.",
    ]
    assert "does not list the model big (it lists tiny)" in describe_model("openai-chat:big", server.settings)[1]
    told = describe_model("ollama:tiny", server.settings)
    assert told[:2] == [f"Ollama at {server.url} answers.", "It has the model tiny."]
    assert any("tool_choice" in line for line in told)
    assert "ollama pull big" in describe_model("ollama:big", server.settings)[1]


def test_an_impossible_profile_names_every_fault() -> None:
    with pytest.raises(
        ValueError, match=r"cut_rate must be from 0 to 1, not 2; .*together must not exceed 1; content 'tool' needs"
    ):
        MockProfile(cut_rate=2, content="tool")


async def test_faults_come_and_go_by_a_file(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    server = start(MockProfile(gap_s=0.001, content="lorem", lorem_tokens=8), PlantedFaults(file))

    async def asked() -> tuple[float, str]:
        started, said = time.monotonic(), ""
        chunks = await server.client.chat.completions.create(
            model="mock", messages=[{"role": "user", "content": "x"}], stream=True
        )
        async for chunk in chunks:
            said += chunk.choices[0].delta.content or ""
        return time.monotonic() - started, said

    def plant(fault: str, for_s: float = 60.0, factor: float = 1.0) -> None:
        file.write_text(json.dumps({"fault": fault, "until": time.monotonic() + for_s, "factor": factor}))

    whole = (await asked())[1]
    plant("error")
    with pytest.raises(openai.InternalServerError):
        await asked()
    plant("rate_limited")
    with pytest.raises(openai.RateLimitError):
        await asked()
    plant("cut")
    with pytest.raises((openai.APIConnectionError, httpx2.HTTPError)):
        await asked()
    plant("stall", for_s=0.3)
    took, said = await asked()
    assert said == whole and took > 0.25
    plant("slow", factor=50)
    took, said = await asked()
    assert said == whole and took > 7 * 0.050
    file.unlink()
    assert (await asked())[1] == whole
