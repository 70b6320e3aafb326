"""A target that speaks the wire contract over HTTP: `http://host:port`. Turns are streamed, sandboxes used where the server offers them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

import httpx2
from pydantic import ValidationError

from assistant.wire import Event, EventAdapter, MetaEvent, SandboxRequest, TurnRequest
from evals.cards import Card
from evals.conversation import Speak, fixed
from evals.errors import TargetError
from evals.targets.stopped import BoundedTransport, Stopped, limited
from evals.transcript import Transcript, Turn, Visible, turn_from_events


class HttpTarget:
    deterministic = False

    def __init__(self, url: str, *, pack: str, timeout_s: float = 60.0) -> None:
        self._url = url.rstrip("/")
        self._pack = pack
        self._timeout_s = timeout_s
        self._client = httpx2.AsyncClient(
            base_url=self._url, timeout=timeout_s, transport=BoundedTransport(), headers={"Accept-Encoding": "identity"}
        )
        self.visible = Visible(route=True, tools=True, citations=True, outcome=True, state=False, timings=True)

    async def __aenter__(self) -> HttpTarget:
        """Raises `TargetError` when nobody answers at the address."""
        try:
            response = await self._client.get("/healthz")
            response.raise_for_status()
            sandboxes = await self._client.post("/v1/sandboxes", json={"pack": self._pack})
        except httpx2.HTTPError as error:
            await self._client.aclose()
            raise TargetError(
                f"{self._url}: no assistant answers there ({_plain(error)}); start it with `assay serve --sandboxes`"
            ) from error
        if sandboxes.is_success:
            self.visible = Visible(route=True, tools=True, citations=True, outcome=True, state=True, timings=True)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.aclose()

    async def play(self, card: Card, repeat: int) -> Transcript:
        return await self.talk(card, repeat, fixed(card))

    async def talk(self, card: Card, repeat: int, speak: Speak) -> Transcript:
        turns: list[Turn] = []
        thread: str | None = None
        stop: Stopped | None = None
        state: dict[str, Any] | None = None
        try:
            sandbox = await self._sandbox(card)
            while (message := await speak(turns, lambda: self._state(sandbox))) is not None:
                request = TurnRequest(message=message, user_id=card.user, thread_id=thread, sandbox=sandbox)
                turn, thread = await self._turn(request)
                turns.append(turn)
            state = await self._state(sandbox)
        except Stopped as stopped:
            stop = stopped
        broken: dict[str, Any] = {**stop.marks()} if stop else {}
        return Transcript(
            card=card.id,
            repeat=repeat,
            turns=turns,
            visible=self.visible,
            state=state,
            thread_id=thread,
            **broken,
        )

    async def _turn(self, request: TurnRequest) -> tuple[Turn, str | None]:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                events = [event async for event in self._events(request)]
        except (httpx2.TimeoutException, TimeoutError) as error:
            raise Stopped("timeout", f"no answer within {self._timeout_s:g} s") from error
        except httpx2.ConnectError as error:
            raise Stopped("infra_error", f"{self._url}: {_plain(error)}", again_in_s=1.0) from error
        except httpx2.HTTPError as error:
            raise Stopped("agent_error", _plain(error)) from error
        except ValidationError as error:
            raise Stopped("agent_error", f"an event does not fit the wire contract: {error.errors()[0]['msg']}") from error
        meta = next((event for event in events if isinstance(event, MetaEvent)), None)
        return turn_from_events(
            request.message, events, time.perf_counter() - started
        ), meta.thread_id if meta else request.thread_id

    async def _events(self, request: TurnRequest) -> AsyncIterator[Event]:
        headers = {"Accept": "text/event-stream"}
        body = request.model_dump(exclude_none=True)
        async with self._client.stream("POST", "/v1/turns", json=body, headers=headers) as response:
            if response.status_code == 429:
                raise limited(response, "the server limits requests; run fewer at once")
            if not response.is_success:
                await response.aread()
                raise Stopped("agent_error", f"HTTP {response.status_code}: {response.text[:200]}")
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                await response.aread()
                raise Stopped("agent_error", f"the answer is no event stream: {response.text[:200]}")
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    yield EventAdapter.validate_json(line.removeprefix("data:").strip())

    async def _sandbox(self, card: Card) -> str | None:
        if not self.visible.state:
            return None
        request = SandboxRequest(pack=self._pack, fixtures=card.fixtures, faults=card.faults)
        try:
            response = await self._client.post("/v1/sandboxes", json=request.model_dump())
            response.raise_for_status()
        except httpx2.HTTPError as error:
            raise Stopped("infra_error", f"no sandbox for the card: {_plain(error)}", again_in_s=1.0) from error
        return response.json()["sandbox"]

    async def _state(self, sandbox: str | None) -> dict[str, Any] | None:
        if sandbox is None:
            return None
        try:
            response = await self._client.get(f"/v1/sandboxes/{sandbox}/state")
            response.raise_for_status()
        except httpx2.HTTPError as error:
            raise Stopped("infra_error", f"the end state cannot be read: {_plain(error)}") from error
        return response.json()["state"]


def _plain(error: Exception) -> str:
    return str(error) or type(error).__name__
