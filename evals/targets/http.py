"""A target that speaks the wire contract over HTTP: `http://host:port`. Turns are streamed, sandboxes used where the server offers them."""

from __future__ import annotations

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
from evals.transcript import Transcript, Turn, Visible, turn_from_events


class TurnFault(Exception):
    """One turn got no answer: `fault` is the state it gives the card."""

    def __init__(self, fault: str, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


class HttpTarget:
    deterministic = False

    def __init__(self, url: str, *, pack: str, timeout_s: float = 60.0) -> None:
        self._url = url.rstrip("/")
        self._pack = pack
        self._timeout_s = timeout_s
        self._client = httpx2.AsyncClient(base_url=self._url, timeout=timeout_s)
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
        fault, reason, state = None, "", None
        try:
            sandbox = await self._sandbox(card)
            while (message := await speak(turns, lambda: self._state(sandbox))) is not None:
                request = TurnRequest(message=message, user_id=card.user, thread_id=thread, sandbox=sandbox)
                turn, thread = await self._turn(request)
                turns.append(turn)
            state = await self._state(sandbox)
        except TurnFault as stopped:
            fault, reason = stopped.fault, str(stopped)
        return Transcript(
            card=card.id,
            repeat=repeat,
            turns=turns,
            visible=self.visible,
            state=state,
            thread_id=thread,
            fault=fault,
            fault_reason=reason,
        )

    async def _turn(self, request: TurnRequest) -> tuple[Turn, str | None]:
        started = time.perf_counter()
        try:
            events = [event async for event in self._events(request)]
        except httpx2.TimeoutException as error:
            raise TurnFault("timeout", f"no answer within {self._timeout_s:g} s") from error
        except httpx2.ConnectError as error:
            raise TurnFault("infra_error", f"{self._url}: {_plain(error)}") from error
        except httpx2.HTTPError as error:
            raise TurnFault("agent_error", _plain(error)) from error
        except ValidationError as error:
            raise TurnFault("agent_error", f"an event does not fit the wire contract: {error.errors()[0]['msg']}") from error
        meta = next((event for event in events if isinstance(event, MetaEvent)), None)
        return turn_from_events(
            request.message, events, time.perf_counter() - started
        ), meta.thread_id if meta else request.thread_id

    async def _events(self, request: TurnRequest) -> AsyncIterator[Event]:
        headers = {"Accept": "text/event-stream"}
        body = request.model_dump(exclude_none=True)
        async with self._client.stream("POST", "/v1/turns", json=body, headers=headers) as response:
            if not response.is_success:
                await response.aread()
                raise TurnFault("agent_error", f"HTTP {response.status_code}: {response.text[:200]}")
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
            raise TurnFault("infra_error", f"no sandbox for the card: {_plain(error)}") from error
        return response.json()["sandbox"]

    async def _state(self, sandbox: str | None) -> dict[str, Any] | None:
        if sandbox is None:
            return None
        try:
            response = await self._client.get(f"/v1/sandboxes/{sandbox}/state")
            response.raise_for_status()
        except httpx2.HTTPError as error:
            raise TurnFault("infra_error", f"the end state cannot be read: {_plain(error)}") from error
        return response.json()["state"]


def _plain(error: Exception) -> str:
    return str(error) or type(error).__name__
