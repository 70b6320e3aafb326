"""Stream: one turn as a request and its answer, with the time of every event.

Bytes are handed over as soon as they arrive, where buffered line readers hold back up to a kilobyte of words.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import urlsplit

from pydantic import ValidationError

from assistant.wire import SandboxCreated, SandboxRequest, TurnRequest
from loadtests.answers import Answer, Malformed
from loadtests.connections import Address, Connections
from loadtests.played import Arrived, Played, decoded
from loadtests.samples import OK

TURN_PATH = "/v1/turns"
SANDBOX_PATH = "/v1/sandboxes"
HEALTH_PATH = "/healthz"
SANDBOX_TIMEOUT_S = 10.0
EVENT_STREAM = "text/event-stream"
JSON = "application/json"
_MADE = frozenset({200, 201})
_NO_SANDBOXES = frozenset({404, 405, 501})


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
        if chunk[:6] == b"data: " and chunk[-2:] == b"\n\n" and b"\r" not in chunk and self._between():
            # Whole events of one line each, as most servers send them; another line end would be one too many.
            events = chunk[6:-2].split(b"\n\ndata: ")
            if chunk.count(b"\n") == 2 * len(events):
                return events
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if chunk:
            self._after_return = chunk.endswith(b"\r")
        lines = (self._partial + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._partial = lines.pop()
        events = []
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        return events

    def _between(self) -> bool:
        return not self._partial and not self._data and not self._after_return

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value[1:] if value.startswith(b" ") else value)


class Reading:
    """The answer to one request as it comes. `outcome` is what the exchange came to."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.outcome = "stream_broken"
        self._greeted = False

    def take(self, data: bytes) -> bool:
        """Bytes that have just come, none at the end of the stream; whether the exchange is over. Raises `ConnectionResetError` when it
        ended before there was a status, and `Malformed`."""
        answer = self.answer
        if not data:
            if answer.status is None:
                raise ConnectionResetError("closed without an answer")
            answer.close()
            return self.ended()
        body = answer.feed(data)
        if not self._greeted:
            if answer.status is None:
                return False
            self._greeted = True
            if not self.welcome(answer.status):
                # A body that nobody wants may be endless; its connection goes with it.
                answer.keeps = answer.keeps and answer.complete
                return True
        return (body != b"" and self.read(body)) or (answer.complete and self.ended())

    def welcome(self, status: int) -> bool:
        """The head is there; whether the body is wanted."""
        self.outcome = OK if status == 200 else status_class(status)
        return status == 200

    def read(self, body: bytes) -> bool:
        """More of the body; whether it is enough."""
        raise NotImplementedError

    def ended(self) -> bool:
        """Nothing more will come. Always true."""
        raise NotImplementedError


class EventReading(Reading):
    """A stream of events up to the one that `last` knows, each with the moment at which its last byte was there."""

    def __init__(
        self, arrived: list[Arrived], clock: Callable[[], float], last: Callable[[bytes], bool], *, declared: bool = True
    ) -> None:
        """`declared`: a body that does not say that it is an event stream is none."""
        super().__init__()
        self._arrived = arrived
        self._clock = clock
        self._last = last
        self._declared = declared
        self._splitter = SseSplitter()
        self._now = 0.0

    def take(self, data: bytes) -> bool:
        self._now = self._clock()
        return super().take(data)

    def welcome(self, status: int) -> bool:
        welcome = super().welcome(status)
        if welcome:
            welcome = not self._declared or self.answer.content_type == EVENT_STREAM
            self.outcome = "stream_broken" if welcome else "bad_payload"
        return welcome

    def read(self, body: bytes) -> bool:
        for event in self._splitter.feed(body):
            self._arrived.append((self._now, event))
            if self._last(event):
                self.outcome = OK
                return True
        return False

    def ended(self) -> bool:
        return True


class WholeReading(Reading):
    """A body that is read as one, of any status with `every`. `ended_at` is when all of it was there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, every: bool = False) -> None:
        super().__init__()
        self.body = b""
        self.ended_at = 0.0
        self._clock = clock
        self._every = every

    def welcome(self, status: int) -> bool:
        return super().welcome(status) or self._every

    def read(self, body: bytes) -> bool:
        self.body += body
        return False

    def ended(self) -> bool:
        self.ended_at = self._clock()
        if not self.answer.complete:
            self.outcome = "stream_broken"
        return True


class SandboxFailed(Exception):
    """The server has sandboxes but did not make this one."""


@lru_cache(maxsize=64)
def request_head(base_url: str, path: str, accept: str, bearer: str = "") -> bytes:
    """The head of a POST of JSON to a path below `base_url`, up to the number of its content length."""
    lines = [
        b"POST " + path_below(base_url, path).encode() + b" HTTP/1.1",
        b"Host: " + Address.of(base_url).header,
        b"Accept: " + accept.encode(),
        b"Accept-Encoding: identity",
        b"Content-Type: " + JSON.encode(),
        *([b"Authorization: Bearer " + bearer.strip().encode()] if bearer else []),
        b"Content-Length: ",
    ]
    return b"\r\n".join(lines)


def path_below(base_url: str, path: str) -> str:
    """The path below the prefix of `base_url`."""
    return urlsplit(base_url).path.rstrip("/") + path


@dataclass(frozen=True, kw_only=True)
class TurnClient:
    """Talks to one server. `base_url` is `http[s]://host[:port][/prefix]`. `shared`: connections that others use too; null for some of its own."""

    base_url: str
    timeout_s: float
    turn_path: str = TURN_PATH
    clock: Callable[[], float] = time.monotonic
    shared: Connections | None = None

    @cached_property
    def connections(self) -> Connections:
        return self.shared or Connections(address=Address.of(self.base_url))

    def play(self, request: TurnRequest, played: Played) -> None:
        """Send one turn and read its stream to the end, filling `played` as it goes, so that a turn cut short keeps what it had.

        Every failure of the server or the network is an outcome, not an error.
        """
        arrived: list[Arrived] = []
        message = self.post(self.turn_path, request.model_dump_json(exclude_none=True).encode(), EVENT_STREAM)
        try:
            self.attempt(message, EventReading(arrived, self.clock, is_done), played)
        finally:
            played.digest(arrived)

    def attempt(self, message: bytes, reading: Reading, played: Played) -> None:
        """Send a turn and keep its outcome, or the class of what went wrong."""
        played.t_send = self.clock()
        try:
            self.connections.exchange(message, reading, self.timeout_s)
            played.outcome = reading.outcome
        except TimeoutError:
            played.outcome = "timeout"
        except (OSError, Malformed):
            played.outcome = "connect" if reading.answer.status is None else "stream_broken"
        finally:
            played.status = reading.answer.status

    def make_sandbox(self, request: SandboxRequest) -> str | None:
        """A new sandbox, null when the server has none. Raises `SandboxFailed`."""
        reading = WholeReading(every=True)
        try:
            self.connections.exchange(
                self.post(SANDBOX_PATH, request.model_dump_json().encode(), JSON), reading, SANDBOX_TIMEOUT_S
            )
            status = reading.answer.status
            if status in _NO_SANDBOXES:
                return None
            if status not in _MADE:
                raise SandboxFailed(f"status {status}")
            return SandboxCreated.model_validate_json(reading.body).sandbox
        except (OSError, Malformed, ValidationError) as error:
            raise SandboxFailed(type(error).__name__) from error

    def is_there(self) -> bool:
        """Whether the server answers at all, whatever it says."""
        address = Address.of(self.base_url)
        message = b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (path_below(self.base_url, HEALTH_PATH).encode(), address.header)
        try:
            self.connections.exchange(message, WholeReading(every=True), self.timeout_s)
        except (OSError, Malformed):
            return False
        return True

    def post(self, path: str, body: bytes, accept: str, bearer: str = "") -> bytes:
        """A request with JSON, whole."""
        return b"%b%d\r\n\r\n%b" % (request_head(self.base_url, path, accept, bearer), len(body), body)

    def close(self) -> None:
        """Close connections of its own; shared ones stay."""
        if self.shared is None:
            self.connections.close()


def status_class(status: int) -> str:
    """The error class of an HTTP status that is not 200."""
    if status == 429:
        return "http_429"
    return "http_5xx" if status >= 500 else "http_4xx"


def is_done(data: bytes) -> bool:
    """Whether an event is the last one of its turn."""
    if b"done" not in data:
        return False
    event = decoded(data)
    return isinstance(event, dict) and event.get("type") == "done"
