"""Connections: open ways to one server, kept between the requests of a process.

A connection belongs to one exchange at a time. One that is idle is used again, the newest first, unless the server has closed it, or it
has been idle so long that the server may be about to.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol
from urllib.parse import urlsplit

from loadtests.answers import Answer, Malformed

READ_BYTES = 65_536
MOST_IDLE_S = 4.0
"""Servers close what has been idle, many after five seconds."""


class Reads(Protocol):
    """What is done with the bytes of an answer."""

    answer: Answer

    def take(self, data: bytes) -> bool:
        """Bytes that have just come, none at the end of the stream; whether the exchange is over."""
        ...


class Connection(Protocol):
    def exchange(self, request: bytes, reading: Reads, timeout_s: float) -> None:
        """Send a request and hand over what comes until `reading` says that it is over. Raises `OSError`, among them `TimeoutError`, and
        what `reading` raises."""
        ...

    def ready(self) -> bool:
        """Whether it can carry another request: the last answer is whole, nothing follows it, and the server has not closed."""
        ...

    def close(self) -> None: ...


Opens = Callable[["Address", float], Connection]
"""Opens a connection to an address within so many seconds. Raises `OSError`."""


@dataclass(frozen=True)
class Address:
    host: str
    port: int
    secure: bool = False

    @classmethod
    def of(cls, base_url: str) -> Address:
        url = urlsplit(base_url)
        secure = url.scheme == "https"
        return cls(url.hostname or "", url.port or (443 if secure else 80), secure)

    @property
    def header(self) -> bytes:
        """The value of the `Host` field."""
        host = self.host.encode("ascii" if self.host.isascii() else "idna")
        host = b"[%b]" % host if b":" in host else host
        return host if self.port == (443 if self.secure else 80) else b"%b:%d" % (host, self.port)

    @cached_property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def connect(self, timeout_s: float) -> socket.socket:
        """A connected socket, encrypted where the address says so."""
        sock = socket.create_connection((self.host, self.port), timeout=timeout_s)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self.tls.wrap_socket(sock, server_hostname=self.host) if self.secure else sock
        except BaseException:
            sock.close()
            raise


class BlockingConnection:
    """Reads with calls that block; under gevent's patched sockets they let others go on."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._answer = Answer()

    @classmethod
    def open(cls, address: Address, timeout_s: float) -> BlockingConnection:
        return cls(address.connect(timeout_s))

    def exchange(self, request: bytes, reading: Reads, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        self._answer = reading.answer
        self._sock.settimeout(timeout_s)
        self._sock.sendall(request)
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            self._sock.settimeout(remaining)
            if reading.take(self._sock.recv(READ_BYTES)):
                return

    def ready(self) -> bool:
        self._sock.settimeout(0.0)
        return is_ready(self._answer, self._sock.recv)

    def close(self) -> None:
        self._sock.close()


def is_ready(answer: Answer, recv: Callable[[int], bytes]) -> bool:
    """Read what is left of an answer without waiting, and say whether its connection can carry another request."""
    try:
        while answer.keeps:
            whole = answer.complete
            data = recv(READ_BYTES)
            if whole or not data:
                return False
            answer.feed(data)
    except (BlockingIOError, ssl.SSLWantReadError):
        return answer.complete
    except (OSError, Malformed):
        return False
    return False


@dataclass(kw_only=True)
class Connections:
    """The connections of one process to one server. `opened`, `kept` and `reopened` count exchanges: over a connection of their own, over a kept one, and
    those that had to be sent again because the server closed the kept one without a word."""

    address: Address
    opens: Opens = BlockingConnection.open
    clock: Callable[[], float] = time.monotonic
    opened: int = 0
    kept: int = 0
    reopened: int = 0
    _idle: deque[tuple[float, Connection]] = field(default_factory=deque[tuple[float, Connection]])

    def exchange(self, request: bytes, reading: Reads, timeout_s: float) -> None:
        """One request and its answer. Raises `OSError`, among them `TimeoutError`, and `Malformed`.

        A server may close an idle connection at the very moment at which it is used again. Then nothing of an answer comes, and the
        request is sent once more over a new connection.
        """
        deadline = self.clock() + timeout_s
        connection = self._kept()
        if connection is not None:
            self.kept += 1
            try:
                self._over(connection, request, reading, timeout_s)
                return
            except ConnectionError:
                if reading.answer.begun:
                    raise
            self.reopened += 1
        self.opened += 1
        connection = self.opens(self.address, max(0.001, deadline - self.clock()))
        self._over(connection, request, reading, max(0.001, deadline - self.clock()))

    @property
    def counts(self) -> dict[str, int]:
        return {"opened": self.opened, "kept": self.kept, "reopened": self.reopened}

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def __del__(self) -> None:
        self.close()

    def _over(self, connection: Connection, request: bytes, reading: Reads, timeout_s: float) -> None:
        try:
            connection.exchange(request, reading, timeout_s)
        except BaseException:
            connection.close()
            raise
        if reading.answer.keeps:
            self._idle.append((self.clock(), connection))
        else:
            connection.close()

    def _kept(self) -> Connection | None:
        """The connection that has been idle for the shortest time and can be used; the others that cannot are closed."""
        too_old = self.clock() - MOST_IDLE_S
        while self._idle and self._idle[0][0] < too_old:
            self._idle.popleft()[1].close()
        while self._idle:
            connection = self._idle.pop()[1]
            if connection.ready():
                return connection
            connection.close()
        return None
