"""Holding: WebSockets that stay open and say nothing but pings. Locust's side of the wall: imports gevent."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import gevent

from loadtests.connections import READ_BYTES
from loadtests.histogram import Histogram
from loadtests.sockets import CLOSE, PING, PONG, FrameSplitter, SocketRefused, frame, open_socket
from loadtests.traffic import Hold

CONNECT_TIMEOUT_S = 10.0
WATCH_S = 0.05


@dataclass(kw_only=True)
class Held:
    """How `planned` connections fared: `failed` never opened, `lost` were closed by the other side or answered no ping, `least` is the
    fewest that were open at a time in the measured window, null before it."""

    planned: int
    opened: int = 0
    failed: int = 0
    lost: int = 0
    open: int = 0
    least: int | None = None
    pings: int = 0
    pongs: int = 0
    connect_s: Histogram = field(default_factory=Histogram)
    ping_rtt_s: Histogram = field(default_factory=Histogram)

    def as_json(self) -> dict[str, Any]:
        plain = {name: value for name, value in asdict(self).items() if not isinstance(value, Histogram)}
        return plain | {"connect_s": self.connect_s.as_json(), "ping_rtt_s": self.ping_rtt_s.as_json()}


class Holder:
    """Opens a worker's share of the connections at an even pace and keeps them, each in a greenlet of its own."""

    def __init__(self, hold: Hold, base_url: str, clock: Callable[[], float], *, worker: int, workers: int) -> None:
        share = len(range(worker, hold.connections, workers))
        self.held = Held(planned=share)
        self._hold = hold
        self._base_url = base_url
        self._clock = clock
        self._pace_s = workers / hold.connect_per_s
        self._keepers: list[gevent.Greenlet[..., None]] = []

    def run(self) -> None:
        """Open all connections and keep them until killed."""
        begin = self._clock()
        try:
            for number in range(self.held.planned):
                gevent.sleep(max(0.0, begin + number * self._pace_s - self._clock()))
                self._keepers.append(gevent.spawn(self._keep))
            gevent.joinall(self._keepers)
        finally:
            gevent.killall(self._keepers)

    def watch(self, start: float, end: float) -> None:
        """Note the fewest open connections from `start` to `end`. Blocks that long."""
        gevent.sleep(max(0.0, start - self._clock()))
        while self._clock() < end:
            self.held.least = self.held.open if self.held.least is None else min(self.held.least, self.held.open)
            gevent.sleep(WATCH_S)

    def _keep(self) -> None:
        held = self.held
        started = self._clock()
        try:
            sock, rest = open_socket(self._base_url, timeout_s=CONNECT_TIMEOUT_S)
        except (OSError, SocketRefused):
            held.failed += 1
            return
        held.opened += 1
        held.open += 1
        held.connect_s.add(self._clock() - started)
        try:
            with suppress(OSError):
                self._beat(sock, rest)
            held.lost += 1
        finally:
            held.open -= 1
            sock.close()

    def _beat(self, sock: socket.socket, rest: bytes) -> None:
        """Answer pings, send own ones and time their pongs; returns when the other side is gone."""
        splitter = FrameSplitter()
        splitter.feed(rest)
        # The first ping comes at a moment of its own, so that pings of all connections are spread.
        due = self._clock() + self._hold.ping_every_s * int.from_bytes(os.urandom(2), "big") / 65_536
        sent: float | None = None
        while True:
            if self._clock() >= due:
                if sent is not None:
                    return
                sent = self._clock()
                due += self._hold.ping_every_s
                sock.sendall(frame(PING, b"assay"))
                self.held.pings += 1
            sock.settimeout(max(0.001, due - self._clock()))
            try:
                data = sock.recv(READ_BYTES)
            except TimeoutError:
                continue
            if not data:
                return
            for opcode, payload in splitter.feed(data):
                if opcode == PING:
                    sock.sendall(frame(PONG, payload))
                elif opcode == PONG and sent is not None:
                    self.held.ping_rtt_s.add(self._clock() - sent)
                    self.held.pongs += 1
                    sent = None
                elif opcode == CLOSE:
                    return
