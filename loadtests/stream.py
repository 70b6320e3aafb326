"""Stream: one turn over one blocking connection, with the time of every event.

Plain sockets on purpose: under gevent's patched sockets they yield to other turns, and they hand over bytes as soon as they arrive,
where buffered line readers hold back up to a kilobyte of words. A turn opens its own connection, so a server that closes
idle ones cannot fail it.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from assistant.wire import EventAdapter, TurnRequest
from loadtests.samples import OK

TURN_PATH = "/v1/turns"
READ_BYTES = 65_536
_DONE_HINT = b"done"


class SseSplitter:
    """Splits a byte stream into the data of its server-sent events, whatever the cuts between reads.

    Comments and fields other than `data` are skipped; several `data` lines of one event join with a line feed. Line ends may be
    `\\n`, `\\r\\n` or `\\r`.
    """

    def __init__(self) -> None:
        self._partial = b""
        self._after_return = False
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes, in order."""
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if chunk:
            self._after_return = chunk.endswith(b"\r")
        lines = (self._partial + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._partial = lines.pop()
        events: list[bytes] = []
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value[1:] if value.startswith(b" ") else value)


@dataclass(kw_only=True)
class Played:
    """What one turn brought. Times are those of `clock`; null means that it never happened."""

    outcome: str = OK
    status: int | None = None
    t_send: float | None = None
    t_first: float | None = None
    t_last: float | None = None
    t_done: float | None = None
    thread_id: str | None = None
    agent: str | None = None
    output_tokens: int | None = None
    text: str = ""
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    gaps_s: list[float] = field(default_factory=list[float])


@dataclass(frozen=True, kw_only=True)
class TurnClient:
    """Talks to one server. `base_url` is `http[s]://host[:port][/prefix]`."""

    base_url: str
    timeout_s: float
    turn_path: str = TURN_PATH
    clock: Callable[[], float] = time.monotonic

    def play(self, request: TurnRequest, played: Played) -> None:
        """Send one turn and read its stream to the end, filling `played` as it goes, so that a turn cut short keeps what it had.

        Every failure of the server or the network is an outcome, not an error.
        """
        arrived: list[tuple[float, bytes]] = []
        connection = self.connection(self.timeout_s)
        try:
            played.t_send = self.clock()
            played.outcome = self._exchange(connection, request, played, arrived)
        except TimeoutError:
            played.outcome = "timeout"
        except (OSError, http.client.HTTPException):
            played.outcome = "connect" if played.status is None else "stream_broken"
        finally:
            connection.close()
            _digest(played, arrived)

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        """A connection to the server, not yet opened."""
        url = urlsplit(self.base_url)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        return kind(url.hostname or "", url.port, timeout=timeout_s)

    def path(self, path: str) -> str:
        """The path below the prefix of `base_url`."""
        return urlsplit(self.base_url).path.rstrip("/") + path

    def _exchange(
        self, connection: http.client.HTTPConnection, request: TurnRequest, played: Played, arrived: list[tuple[float, bytes]]
    ) -> str:
        """Send, then collect events with their times until the terminal one; the outcome."""
        deadline = self.clock() + self.timeout_s
        connection.connect()
        sock: socket.socket = connection.sock
        body = request.model_dump_json(exclude_none=True).encode()
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        connection.request("POST", self.path(self.turn_path), body, headers)
        response = connection.getresponse()
        played.status = response.status
        if response.status != 200:
            return _status_class(response.status)
        splitter = SseSplitter()
        while True:
            remaining = deadline - self.clock()
            if remaining <= 0:
                return "timeout"
            sock.settimeout(remaining)
            chunk = response.read1(READ_BYTES)
            now = self.clock()
            if not chunk:
                return "stream_broken"
            for data in splitter.feed(chunk):
                arrived.append((now, data))
                if _DONE_HINT in data and _is_done(data):
                    return OK


def _status_class(status: int) -> str:
    if status == 429:
        return "http_429"
    return "http_5xx" if status >= 500 else "http_4xx"


def _is_done(data: bytes) -> bool:
    try:
        event = json.loads(data)
    except ValueError:
        return False
    return isinstance(event, dict) and event.get("type") == "done"


def _digest(played: Played, arrived: list[tuple[float, bytes]]) -> None:
    """Decode what arrived, once the clock no longer matters, and fill in what the events say."""
    t_words: list[float] = []
    words: list[str] = []
    valid = True
    for number, (moment, data) in enumerate(arrived, start=1):
        event = _decode(data)
        if event is None or event["id"] != number:
            valid = False
            continue
        played.events.append(event)
        match event["type"]:
            case "meta":
                played.thread_id = event["thread_id"]
            case "token" if event["text"]:
                t_words.append(moment)
                words.append(event["text"])
            case "restart":
                t_words, words = [], []
            case "usage":
                played.output_tokens = event["output_tokens"]
            case "done":
                played.t_done = moment
                played.agent = event["agent"]
                played.text = event["text"]
                if event["text"] and not t_words:
                    t_words = [moment]
                if event["outcome"] == "error" and played.outcome == OK:
                    played.outcome = "agent_error"
            case _:
                pass
    played.text = played.text or "".join(words)
    if t_words:
        played.t_first, played.t_last = t_words[0], t_words[-1]
        played.gaps_s = [after - before for before, after in zip(t_words, t_words[1:], strict=False)]
    if played.outcome == OK and not valid:
        played.outcome = "bad_payload"
    if played.outcome == OK and not t_words:
        played.outcome = "no_output"


def _decode(data: bytes) -> dict[str, Any] | None:
    """The event as JSON when it is one of the wire's, else null."""
    try:
        EventAdapter.validate_json(data)
    except ValidationError:
        return None
    return json.loads(data)
