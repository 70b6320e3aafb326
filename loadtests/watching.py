"""Watching: connections whose bytes are taken and timed in the event loop itself, without a switch to their turn's greenlet for each word.
Locust's side of the wall: imports gevent.

A greenlet that reads word by word pays for each one: a try that finds nothing, a timer, a watcher and two switches. Here one watcher stays with
the connection, and the greenlet wakes up once, at the end of its turn.
"""

from __future__ import annotations

import _socket
import time
from typing import Any

from gevent.hub import Waiter, get_hub
from gevent.socket import wait_write

from loadtests.answers import Answer
from loadtests.connections import READ_BYTES, Address, BlockingConnection, Connection, Reads, is_ready

READABLE = 1


def open_connection(address: Address, timeout_s: float) -> Connection:
    """A connection that is watched; an encrypted one blocks its greenlet instead, for bytes on its socket are not yet words."""
    if address.secure:
        return BlockingConnection.open(address, timeout_s)
    return WatchedConnection(address.connect(timeout_s).detach())


class WatchedConnection:
    """Owns the open socket of this descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._sock = _socket.socket(fileno=descriptor)
        self._sock.setblocking(False)
        self._loop: Any = get_hub().loop
        self._watcher: Any = self._loop.io(descriptor, READABLE)
        self._answer = Answer()
        self._reading: Reads | None = None
        self._waiter: Waiter[None] = Waiter()
        self._closed = False
        self._watcher.start(self._readable)

    def exchange(self, request: bytes, reading: Reads, timeout_s: float) -> None:
        self._answer, self._reading, self._waiter = reading.answer, reading, Waiter()
        timer = self._loop.timer(timeout_s)
        timer.start(self._over, TimeoutError())
        try:
            self._send(request, timeout_s)
            self._waiter.get()
        finally:
            self._reading = None
            timer.close()

    def ready(self) -> bool:
        return not self._closed and is_ready(self._answer, self._sock.recv)

    def close(self) -> None:
        self._watcher.close()
        self._sock.close()

    def _send(self, request: bytes, timeout_s: float) -> None:
        """A request nearly always fits; what does not waits for room, and for no longer than the turn."""
        deadline = time.monotonic() + timeout_s
        sent = self._sock.send(request)
        while sent < len(request):
            wait_write(self._sock.fileno(), timeout=max(0.001, deadline - time.monotonic()))
            sent += self._sock.send(request[sent:])

    def _readable(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
            if self._reading is None:
                self._idle(data)
            elif self._reading.take(data):
                self._over()
        except BlockingIOError:
            return
        except Exception as error:  # noqa: BLE001  it belongs to the greenlet of the turn, not to the event loop
            self._stop()
            self._over(error)
            return
        if not data:
            self._stop()

    def _idle(self, data: bytes) -> None:
        """Between exchanges only the end of the last answer may come."""
        if self._answer.complete or not data:
            self._stop()
        else:
            self._answer.feed(data)

    def _stop(self) -> None:
        self._closed = True
        self._watcher.stop()

    def _over(self, error: Exception | None = None) -> None:
        """Wake the greenlet up, but not before everything that is readable by now has its time."""
        if self._reading is not None:
            self._reading = None
            wake = self._waiter.switch if error is None else self._waiter.throw
            self._loop.run_callback(wake, error)
