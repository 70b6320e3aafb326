"""Lines: how one conversation reaches its target, whatever the transport, and REST and OpenAI-compatible ones among them.

A line belongs to one conversation and plays its turns one after the other. Every failure of the server or the network is an outcome of
the turn, never an error.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from assistant.wire import TurnRequest
from loadtests.played import Played
from loadtests.samples import OK
from loadtests.sockets import SocketLine
from loadtests.stream import Body, SseSplitter, TurnClient, status_class
from loadtests.traffic import Transport

COMPLETIONS_PATH = "/chat/completions"


class Line(Protocol):
    def play(self, request: TurnRequest, played: Played) -> None:
        """Play one turn and fill `played` as it goes, so that a turn cut short keeps what it had."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where and how turns are sent. `model` and `api_key` are for OpenAI-compatible endpoints."""

    base_url: str
    transport: Transport
    timeout_s: float
    turn_path: str
    clock: Callable[[], float]
    model: str = ""
    api_key: str = ""

    def client(self) -> TurnClient:
        return TurnClient(base_url=self.base_url, timeout_s=self.timeout_s, turn_path=self.turn_path, clock=self.clock)

    def line(self) -> Line:
        """A line for one conversation; nothing is connected yet."""
        if self.transport == "websocket":
            return SocketLine(base_url=self.base_url, timeout_s=self.timeout_s, clock=self.clock)
        if self.transport == "rest":
            return RestLine(self.client())
        if self.transport == "openai":
            return CompletionLine(client=self.client(), model=self.model, api_key=self.api_key)
        return self.client()


@dataclass(frozen=True)
class RestLine:
    """Turns as plain JSON: the answer comes whole, so its first word is there when all of it is."""

    client: TurnClient

    def play(self, request: TurnRequest, played: Played) -> None:
        arrived: list[tuple[float, bytes]] = []

        def exchange(connection: http.client.HTTPConnection) -> str:
            body = request.model_dump_json(exclude_none=True).encode()
            connection.request(
                "POST",
                self.client.path(self.client.turn_path),
                body,
                {"Content-Type": "application/json", "Accept": "application/json"},
            )
            response = connection.getresponse()
            played.status = response.status
            data = response.read()
            now = self.client.clock()
            if response.status != 200:
                return status_class(response.status)
            events = _events_of(data)
            arrived.extend((now, json.dumps(event).encode()) for event in events)
            return OK if events else "bad_payload"

        self.client.attempt(played, exchange)
        played.digest(arrived)

    def close(self) -> None:
        """Every turn had a connection of its own."""


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
        chunks: list[tuple[float, bytes]] = []

        def exchange(connection: http.client.HTTPConnection) -> str:
            body = {"model": self.model, "messages": self._messages, "stream": True, "stream_options": {"include_usage": True}}
            headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
            if self.api_key:
                headers["Authorization"] = f"Bearer {self.api_key}"
            connection.request("POST", self.client.path(COMPLETIONS_PATH), json.dumps(body).encode(), headers)
            return self._read(connection, played, chunks)

        self.client.attempt(played, exchange)
        played.digest(_as_wire(chunks, self.model, ended=played.outcome == OK))
        self._messages.append({"role": "assistant", "content": played.text})

    def _read(self, connection: http.client.HTTPConnection, played: Played, chunks: list[tuple[float, bytes]]) -> str:
        deadline = self.client.clock() + self.client.timeout_s
        response = connection.getresponse()
        played.status = response.status
        if response.status != 200:
            return status_class(response.status)
        splitter, body = SseSplitter(), Body(response)
        while (remaining := deadline - self.client.clock()) > 0:
            if connection.sock is not None:
                connection.sock.settimeout(remaining)
            data = body.read()
            now = self.client.clock()
            if not data:
                return "stream_broken"
            for event in splitter.feed(data):
                chunks.append((now, event))
                if event == b"[DONE]":
                    return OK
        return "timeout"

    def close(self) -> None:
        """Every turn had a connection of its own."""


def _as_wire(chunks: list[tuple[float, bytes]], model: str, *, ended: bool) -> list[tuple[float, bytes]]:
    """Chunks of a completion as wire events at the same moments: a role or an empty piece is no word, and no `done` without `[DONE]`."""
    told: list[tuple[float, dict[str, Any]]] = []
    text = ""
    for moment, data in chunks:
        if not told:
            meta = {"type": "meta", "pack": "", "thread_id": "", "turn_id": "", "model": model}
            told.append((moment, meta))
        if data == b"[DONE]":
            break
        chunk = _object(data)
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
    numbered = ((moment, {"id": number, "t_s": 0.0, **event}) for number, (moment, event) in enumerate(told, start=1))
    return [(moment, json.dumps(event).encode()) for moment, event in numbered]


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
