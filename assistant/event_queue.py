"""Carries a turn's events from the task that makes them to whoever reads them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from time import monotonic

from assistant.wire import Event


class EventQueue:
    """One writer, one reader. Handing over an event costs no trip through the event loop, which would be most of the price of a
    token. Once `limit` events are unread the writer waits for its reader, `patience_s` seconds in all; after that the reader is
    left behind: it still gets what lies there, and the writer goes on without it, holding neither its model nor its thread.
    """

    def __init__(self, limit: int, *, patience_s: float) -> None:
        self._limit = limit
        self._patience_s = patience_s
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False
        self.left_behind = False

    async def send(self, event: Event) -> None:
        if len(self._events) >= self._limit and not self.left_behind:
            await self._wait_for_room()
        if not self.left_behind:
            self._events.append(event)
            self._news.set()

    def close(self) -> None:
        """No more events: the reader ends when it has read what is there."""
        self._closed = True
        self._news.set()

    async def read(self) -> AsyncGenerator[Event]:
        while True:
            while self._events:
                yield self._events.popleft()
                self._room.set()
            if self._closed or self.left_behind:
                return
            self._news.clear()
            await self._news.wait()

    async def _wait_for_room(self) -> None:
        started = monotonic()
        try:
            async with asyncio.timeout(self._patience_s):
                while len(self._events) >= self._limit:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            self.left_behind = True
        self._patience_s = max(0.0, self._patience_s - (monotonic() - started))
