"""Lines: how one conversation reaches its target, whatever the transport, and REST and OpenAI-compatible ones among them.

A line belongs to one conversation and plays its turns one after the other. Every failure of the server or the network is an outcome of
the turn, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from assistant.wire import TurnRequest
from loadtests.connections import Address, BlockingConnection, Connections, Opens
from loadtests.played import Arrived, Played, decoded
from loadtests.samples import OK
from loadtests.sockets import SocketLine
from loadtests.stream import EVENT_STREAM, JSON, EventReading, TurnClient, WholeReading
from loadtests.traffic import Transport

COMPLETIONS_PATH = "/chat/completions"


class Line(Protocol):
    def play(self, request: TurnRequest, played: Played) -> None:
        """Play one turn and fill `played` as it goes, so that a turn cut short keeps what it had."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where and how turns are sent. `model` and `api_key` are for OpenAI-compatible endpoints, `opens` for the event loop in use.

    Conversations share connections: one that is idle carries the next turn, whoever's it is.
    """

    base_url: str
    transport: Transport
    timeout_s: float
    turn_path: str
    clock: Callable[[], float]
    model: str = ""
    api_key: str = ""
    opens: Opens = BlockingConnection.open

    @cached_property
    def connections(self) -> Connections:
        return Connections(address=Address.of(self.base_url), opens=self.opens)

    @cached_property
    def client(self) -> TurnClient:
        return TurnClient(
            base_url=self.base_url,
            timeout_s=self.timeout_s,
            turn_path=self.turn_path,
            clock=self.clock,
            shared=self.connections,
        )

    def close(self) -> None:
        """Close what the conversations shared."""
        self.connections.close()

    def line(self) -> Line:
        """A line for one conversation; nothing is connected yet."""
        if self.transport == "websocket":
            return SocketLine(base_url=self.base_url, timeout_s=self.timeout_s, clock=self.clock)
        if self.transport == "rest":
            return RestLine(self.client)
        if self.transport == "openai":
            return CompletionLine(client=self.client, model=self.model, api_key=self.api_key)
        return self.client


@dataclass(frozen=True)
class RestLine:
    """Turns as plain JSON: the answer comes whole, so its first word is there when all of it is."""

    client: TurnClient

    def play(self, request: TurnRequest, played: Played) -> None:
        reading = WholeReading(self.client.clock)
        body = request.model_dump_json(exclude_none=True).encode()
        self.client.attempt(self.client.post(self.client.turn_path, body, JSON), reading, played)
        events = _events_of(reading.body) if played.outcome == OK else []
        if played.outcome == OK and not events:
            played.outcome = "bad_payload"
        played.tell((reading.ended_at, event) for event in events)

    def close(self) -> None:
        self.client.close()


def _events_of(data: bytes) -> list[Any]:
    try:
        body = json.loads(data)
    except ValueError:
        return []
    events = body.get("events") if isinstance(body, dict) else None
    return events if isinstance(events, list) else []


@dataclass(kw_only=True)
class CompletionLine:
    """Turns as streamed chat completions, told as events of the wire. The history is the client's, as that interface wants it."""

    client: TurnClient
    model: str
    api_key: str = ""
    _messages: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def play(self, request: TurnRequest, played: Played) -> None:
        self._messages.append({"role": "user", "content": request.message})
        chunks: list[Arrived] = []
        body = {"model": self.model, "messages": self._messages, "stream": True, "stream_options": {"include_usage": True}}
        message = self.client.post(COMPLETIONS_PATH, json.dumps(body).encode(), EVENT_STREAM, self.api_key)
        try:
            self.client.attempt(message, EventReading(chunks, self.client.clock, _is_end, declared=False), played)
        finally:
            played.tell(_as_wire(chunks, self.model, ended=played.outcome == OK))
        self._messages.append({"role": "assistant", "content": played.text})

    def close(self) -> None:
        self.client.close()


def _is_end(data: bytes) -> bool:
    return data == b"[DONE]"


def _as_wire(chunks: list[Arrived], model: str, *, ended: bool) -> list[tuple[float, dict[str, Any]]]:
    """Chunks of a completion as wire events at the same moments: a role or an empty piece is no word, and no `done` without `[DONE]`."""
    told: list[tuple[float, dict[str, Any]]] = []
    text = ""
    for moment, data in chunks:
        if not told:
            meta = {"type": "meta", "pack": "", "thread_id": "", "turn_id": "", "model": model}
            told.append((moment, meta))
        if data == b"[DONE]":
            break
        plain = decoded(data)
        chunk: dict[str, Any] = plain if isinstance(plain, dict) else {}
        for choice in chunk.get("choices") or []:
            piece = (choice.get("delta") or {}).get("content")
            if piece:
                text += piece
                told.append((moment, {"type": "token", "text": piece}))
        usage = chunk.get("usage")
        if usage:
            counts = {"input_tokens": usage.get("prompt_tokens", 0), "output_tokens": usage.get("completion_tokens", 0)}
            told.append((moment, {"type": "usage", "model": model, **counts, "model_calls": 1, "cost_usd": None}))
    if ended and chunks:
        done = {"type": "done", "outcome": "answered", "agent": "", "text": text, "timings": {}}
        told.append((chunks[-1][0], done))
    return [(moment, {"id": number, "t_s": 0.0, **event}) for number, (moment, event) in enumerate(told, start=1)]
