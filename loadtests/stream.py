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
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import ValidationError

from assistant.wire import SandboxCreated, SandboxRequest, TurnRequest
from loadtests.played import Played
from loadtests.samples import OK

TURN_PATH = "/v1/turns"
SANDBOX_PATH = "/v1/sandboxes"
SANDBOX_TIMEOUT_S = 10.0
READ_BYTES = 65_536
_NO_SANDBOXES = frozenset({404, 405, 501})
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


class Body:
    """The body of a response as it arrives: one read of the connection at a time, freed of its chunked coding at a fraction of what
    `http.client` takes for that, which is most of what a word costs the client.
    """

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._read = response.fp.read1
        self._chunked = response.chunked
        self._raw = b""
        self._left = 0

    def read(self) -> bytes:
        """Some bytes; none at the end of the body. Raises `OSError`, and `HTTPException` for a coding that is none."""
        if not self._chunked:
            return self._read(READ_BYTES)
        while True:
            data = self._read(READ_BYTES)
            if not data:
                return b""
            ended, found = self._dechunk(self._raw + data if self._raw else data)
            if found or ended:
                return found

    def _dechunk(self, data: bytes) -> tuple[bool, bytes]:
        """Whether the last chunk is there, and the payload in `data`; what is not yet complete is kept for the next read."""
        parts: list[bytes] = []
        at = 0
        while True:
            if self._left > CRLF:
                part = data[at : at + self._left - CRLF]
                parts.append(part)
                self._left -= len(part)
                at += len(part)
            if self._left:
                skipped = min(self._left, len(data) - at) if self._left <= CRLF else 0
                self._left -= skipped
                at += skipped
                if self._left:
                    break
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            size = _chunk_size(data[at:end])
            at = end + CRLF
            if size == 0:
                return True, b"".join(parts)
            self._left = size + CRLF
        self._raw = data[at:]
        return False, b"".join(parts)


CRLF = 2


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.split(b";", 1)[0], 16)
    except ValueError:
        raise http.client.IncompleteRead(line) from None


class SandboxFailed(Exception):
    """The server has sandboxes but did not make this one."""


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
        try:
            self.attempt(played, lambda connection: self._exchange(connection, request, played, arrived))
        finally:
            played.digest(arrived)

    def attempt(self, played: Played, exchange: Callable[[http.client.HTTPConnection], str]) -> None:
        """Let `exchange` play a turn over a connection of its own and keep its outcome, or the class of what went wrong."""
        connection = self.connection(self.timeout_s)
        try:
            played.t_send = self.clock()
            played.outcome = exchange(connection)
        except TimeoutError:
            played.outcome = "timeout"
        except (OSError, http.client.HTTPException):
            played.outcome = "connect" if played.status is None else "stream_broken"
        finally:
            connection.close()

    def make_sandbox(self, request: SandboxRequest) -> str | None:
        """A new sandbox, null when the server has none. Raises `SandboxFailed`."""
        connection = self.connection(SANDBOX_TIMEOUT_S)
        try:
            connection.request(
                "POST", self.path(SANDBOX_PATH), request.model_dump_json().encode(), {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            if response.status in _NO_SANDBOXES:
                return None
            if response.status not in {200, 201}:
                raise SandboxFailed(f"status {response.status}")
            return SandboxCreated.model_validate_json(response.read()).sandbox
        except (OSError, http.client.HTTPException, ValidationError) as error:
            raise SandboxFailed(type(error).__name__) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Every turn had a connection of its own."""

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
            return status_class(response.status)
        if response.headers.get_content_type() != "text/event-stream":
            return "bad_payload"
        splitter = SseSplitter()
        body_of = Body(response)
        while True:
            remaining = deadline - self.clock()
            if remaining <= 0:
                return "timeout"
            sock.settimeout(remaining)
            chunk = body_of.read()
            now = self.clock()
            if not chunk:
                return "stream_broken"
            for data in splitter.feed(chunk):
                arrived.append((now, data))
                if _DONE_HINT in data and is_done(data):
                    return OK


def status_class(status: int) -> str:
    """The error class of an HTTP status that is not 200."""
    if status == 429:
        return "http_429"
    return "http_5xx" if status >= 500 else "http_4xx"


def is_done(data: bytes) -> bool:
    """Whether an event is the last one of its turn."""
    try:
        event = json.loads(data)
    except ValueError:
        return False
    return isinstance(event, dict) and event.get("type") == "done"
