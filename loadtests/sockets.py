"""Sockets: turns over a WebSocket, and one that is only held open. RFC 6455, the client's half, without extensions.

Plain blocking sockets: under gevent they let other turns go on, and what has arrived is handed over at once.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha1
from urllib.parse import urlsplit

from assistant.wire import TurnRequest
from loadtests.connections import READ_BYTES
from loadtests.played import Played
from loadtests.samples import OK
from loadtests.stream import is_done, status_class

SOCKET_PATH = "/v1/ws"
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_CONTINUED = 0x0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MOST_HEAD_BYTES = 65_536


class SocketRefused(Exception):
    """The server answered the request for a WebSocket with something else. `status` is its HTTP status, 0 if it had none."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"the server answered {status} instead of opening a WebSocket")


class FrameSplitter:
    """Splits a byte stream into messages of (opcode, payload), whatever the cuts between reads and between fragments."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._opcode = TEXT
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        self._bytes += chunk
        messages: list[tuple[int, bytes]] = []
        while (frame := self._frame()) is not None:
            final, opcode, payload = frame
            if opcode >= CLOSE:
                messages.append((opcode, payload))
                continue
            if opcode != _CONTINUED:
                self._opcode, self._parts = opcode, []
            self._parts.append(payload)
            if final:
                messages.append((self._opcode, b"".join(self._parts)))
        return messages

    def _frame(self) -> tuple[bool, int, bytes] | None:
        data = self._bytes
        if len(data) < 2:
            return None
        length, start = data[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(data) < start:
                return None
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            return None
        final, opcode = bool(data[0] & 0x80), data[0] & 0x0F
        payload = bytes(data[start : start + length])
        del data[: start + length]
        return final, opcode, payload


def frame(opcode: int, payload: bytes) -> bytes:
    """One final frame of the client, masked as the protocol demands."""
    size = len(payload)
    head = bytes([0x80 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65_536:
        head += b"\xfe" + struct.pack("!H", size)
    else:
        head += b"\xff" + struct.pack("!Q", size)
    key = os.urandom(4)
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return head + key + (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")


def open_socket(base_url: str, *, timeout_s: float) -> tuple[socket.socket, bytes]:
    """An open WebSocket to `base_url` and what already came over it. Raises `SocketRefused` and `OSError`."""
    url = urlsplit(base_url)
    secure = url.scheme == "https"
    host, port = url.hostname or "", url.port or (443 if secure else 80)
    sock = socket.create_connection((host, port), timeout=timeout_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        return sock, _handshake(sock, f"{host}:{port}", url.path.rstrip("/") + SOCKET_PATH)
    except BaseException:
        sock.close()
        raise


def _handshake(sock: socket.socket, host: str, path: str) -> bytes:
    key = base64.b64encode(os.urandom(16))
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(READ_BYTES)
        if not chunk or len(data) > MOST_HEAD_BYTES:
            raise SocketRefused(0)
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    accept = base64.b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    if status != 101 or accept not in head:
        raise SocketRefused(status)
    return rest


@dataclass(kw_only=True)
class SocketLine:
    """One conversation's WebSocket, opened with its first turn and opened anew when the server has closed it meanwhile."""

    base_url: str
    timeout_s: float
    clock: Callable[[], float]
    _sock: socket.socket | None = None
    _splitter: FrameSplitter = field(default_factory=FrameSplitter)
    _waiting: deque[tuple[float, int, bytes]] = field(default_factory=deque[tuple[float, int, bytes]])

    def play(self, request: TurnRequest, played: Played) -> None:
        """Send one turn and read its events to the end. A failure closes the socket: what is left on it would be another turn's."""
        arrived: list[tuple[float, bytes]] = []
        try:
            played.t_send = self.clock()
            played.outcome = self._exchange(request, played, arrived)
        except TimeoutError:
            played.outcome = "timeout"
        except SocketRefused as error:
            played.status = error.status or None
            played.outcome = status_class(error.status) if error.status >= 400 else "bad_payload"
        except OSError:
            played.outcome = "connect" if played.status is None else "stream_broken"
        finally:
            if played.outcome != OK:
                self.close()
            played.digest(arrived)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _exchange(self, request: TurnRequest, played: Played, arrived: list[tuple[float, bytes]]) -> str:
        deadline = self.clock() + self.timeout_s
        text = request.model_dump_json(exclude_none=True).encode()
        if not self._still_open():
            self._open()
        played.status = 101
        assert self._sock is not None
        self._sock.settimeout(self.timeout_s)
        self._sock.sendall(frame(TEXT, text))
        while (remaining := deadline - self.clock()) > 0:
            while self._waiting:
                moment, opcode, payload = self._waiting.popleft()
                if opcode == CLOSE:
                    return "stream_broken"
                if opcode != TEXT:
                    continue
                if payload.startswith(b'{"error"'):
                    return "http_4xx"
                arrived.append((moment, payload))
                if b"done" in payload and is_done(payload):
                    return OK
            self._sock.settimeout(remaining)
            if not self._receive():
                return "stream_broken"
        return "timeout"

    def _open(self) -> None:
        self.close()
        self._splitter = FrameSplitter()
        self._waiting.clear()
        self._sock, rest = open_socket(self.base_url, timeout_s=self.timeout_s)
        self._take(rest)

    def _still_open(self) -> bool:
        """Answer pings that came between turns; false when there is no socket or the server has closed it."""
        if self._sock is None:
            return False
        try:
            self._sock.settimeout(0.0)
            while self._receive():
                pass
        except (BlockingIOError, TimeoutError):
            return not any(opcode == CLOSE for _, opcode, _ in self._waiting)
        except OSError:
            return False
        return False

    def _receive(self) -> bool:
        """Read once; false at the end of the stream."""
        assert self._sock is not None
        data = self._sock.recv(READ_BYTES)
        self._take(data)
        return bool(data)

    def _take(self, data: bytes) -> None:
        moment = self.clock()
        for opcode, payload in self._splitter.feed(data):
            if opcode == PING and self._sock is not None:
                self._sock.sendall(frame(PONG, payload))
            self._waiting.append((moment, opcode, payload))
