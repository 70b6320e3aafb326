"""Carries a turn's events from the task that makes them to whoever reads them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from assistant.wire import Event


class EventQueue:
    """One writer, one reader. The writer waits once `limit` events are unread, and never otherwise: handing over an event
    costs no trip through the event loop, which would be most of the price of a token."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False

    async def send(self, event: Event) -> None:
        while len(self._events) >= self._limit:
            self._room.clear()
            await self._room.wait()
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
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()
