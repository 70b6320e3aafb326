"""A target around any OpenAI-compatible chat endpoint: `openai:URL#MODEL`.

The whole conversation so far is sent each turn, as such endpoints keep none. Nothing but text, tokens and time can be seen. What stops a
play: no answer in time is `timeout`; a server that fails (5xx), cuts the answer or answers something else than a completion is
`agent_error`; what says nothing about the answers (unreachable, 429, a refused key, an unknown model) is `infra_error`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, OpenAIError
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from evals.cards import Card
from evals.conversation import Speak, fixed, no_state
from evals.errors import TargetError, UsageError
from evals.targets.stopped import BoundedTransport, Stopped, limited
from evals.transcript import Transcript, Turn, Visible

KEY_NAMES = ("ASSAY_OPENAI_API_KEY", "OPENAI_API_KEY")
_NO_KEY = "none"
_PAUSES_S = (0.2, 0.8)
_OURS = {
    401: f"check {' or '.join(KEY_NAMES)}",
    403: f"check {' or '.join(KEY_NAMES)}",
    404: "check the address and the model's name",
    429: "the endpoint limits requests; run fewer at once or raise its limit",
}
Sleep = Callable[[float], Awaitable[None]]


class OpenAITarget:
    """Refused connections are tried again after each of `pauses_s`; nothing that reached the server is ever sent twice."""

    visible = Visible(timings=True)
    deterministic = False

    def __init__(
        self, url: str, model: str, *, key: str | None = None, timeout_s: float = 60.0, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._url = url
        self._model = model
        self._timeout_s = timeout_s
        self._sleep = sleep
        transport = httpx2.AsyncClient(transport=BoundedTransport(), timeout=timeout_s, headers={"Accept-Encoding": "identity"})
        self._client = AsyncOpenAI(base_url=url, api_key=key or _NO_KEY, timeout=timeout_s, max_retries=0, http_client=transport)

    async def __aenter__(self) -> OpenAITarget:
        """Raises `TargetError` when nobody answers at the address or the key is refused."""
        fault: str | None = None
        try:
            await self._client.models.list()
        except APIStatusError as error:
            if error.status_code in {401, 403}:
                fault = f"refuses the key (HTTP {error.status_code}); {_OURS[error.status_code]}"
        except APIConnectionError as error:
            fault = f"no model server answers there ({_plain(error)}); start it or correct the address"
        except (OpenAIError, json.JSONDecodeError):
            pass  # a list of models is not needed to chat
        if fault:
            await self._client.close()
            raise TargetError(f"{self._url}: {fault}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.close()

    async def play(self, card: Card, repeat: int) -> Transcript:
        return await self.talk(card, repeat, fixed(card))

    async def talk(self, card: Card, repeat: int, speak: Speak) -> Transcript:
        turns: list[Turn] = []
        messages: list[ChatCompletionMessageParam] = []
        stop: Stopped | None = None
        try:
            while (message := await speak(turns, no_state)) is not None:
                messages.append({"role": "user", "content": message})
                turn = await self._turn(message, messages)
                turns.append(turn)
                messages.append({"role": "assistant", "content": turn.text})
        except Stopped as stopped:
            stop = stopped
        broken: dict[str, Any] = {**stop.marks()} if stop else {}
        return Transcript(card=card.id, repeat=repeat, turns=turns, visible=self.visible, **broken)

    async def _turn(self, user: str, messages: list[ChatCompletionMessageParam]) -> Turn:
        for pause_s in _PAUSES_S:
            try:
                return await self._ask(user, messages)
            except APIConnectionError:
                await self._sleep(pause_s)
        try:
            return await self._ask(user, messages)
        except APIConnectionError as error:
            raise Stopped(
                "infra_error", f"{self._url}: {_plain(error)} ({len(_PAUSES_S) + 1} attempts)", again_in_s=1.0
            ) from error

    async def _ask(self, user: str, messages: list[ChatCompletionMessageParam]) -> Turn:
        """One attempt. Lets `APIConnectionError` through only where the request cannot have reached the server."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                completion = await self._client.chat.completions.create(model=self._model, messages=messages)
        except APIStatusError as error:
            raise _status_fault(error) from error
        except (APIConnectionError, TimeoutError) as error:
            if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout):
                raise
            if isinstance(error, APITimeoutError | TimeoutError):
                raise Stopped("timeout", f"no answer within {self._timeout_s:g} s") from error
            raise Stopped("agent_error", f"the answer broke off: {_plain(error)}") from error
        except (OpenAIError, json.JSONDecodeError) as error:
            raise Stopped("agent_error", f"the answer is not a chat completion ({type(error).__name__})") from error
        return _turn_from(user, completion, time.perf_counter() - started)


def parse_endpoint(rest: str, environ: Mapping[str, str]) -> OpenAITarget:
    """The target of `openai:REST`, REST being URL#MODEL. An address without a path gets `/v1`. Raises `UsageError`."""
    url, _, model = rest.partition("#")
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
        parts = urlsplit("")
    if not known or not model:
        raise UsageError("--target openai: write openai:URL#MODEL, for example openai:http://127.0.0.1:8000/v1#llama3.2")
    if parts.username or parts.password or parts.query:
        raise UsageError(f"--target openai: the address must hold no secrets; give the key in {KEY_NAMES[0]}")
    base = url if parts.path.strip("/") else f"{url.rstrip('/')}/v1"
    key = next((environ[name] for name in KEY_NAMES if environ.get(name)), None)
    return OpenAITarget(base, model, key=key)


def _status_fault(error: APIStatusError) -> Stopped:
    status = error.status_code
    if status == 408:
        return Stopped("timeout", "the endpoint gave up waiting (HTTP 408)")
    if status == 429:
        return limited(error.response, _OURS[429])
    if status in _OURS:
        return Stopped("infra_error", f"HTTP {status}: {_OURS[status]}")
    return Stopped("agent_error", f"HTTP {status}: {error.response.text[:200]}")


def _turn_from(user: str, completion: ChatCompletion, duration_s: float) -> Turn:
    # Servers are not held to the declared types: `choices`, `message` and `usage` may be absent or null.
    message: Any = next((getattr(choice, "message", None) for choice in getattr(completion, "choices", None) or ()), None)
    if message is None:
        raise Stopped("agent_error", f"the answer is not a chat completion: {str(completion)[:200]}")
    usage: Any = getattr(completion, "usage", None)
    spent = None
    if usage is not None:
        spent = {
            "model": completion.model,
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.completion_tokens,
            "model_calls": 1,
            "cost_usd": None,
        }
    text = getattr(message, "content", None) or getattr(message, "refusal", None) or ""
    return Turn(user=user, text=text, usage=spent, duration_s=duration_s)


def _plain(error: BaseException) -> str:
    return str(error.__cause__ or error) or type(error).__name__
