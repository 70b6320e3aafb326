"""Bounded concurrency that gives way when the target asks for it."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Throttle:
    """At most `most` at once. `slow_down` halves what is allowed, and it grows by one after as many good plays as are allowed.

    Additive increase and multiplicative decrease, as in TCP (Chiu and Jain 1989): it settles just below what the target takes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.allowed = most
        """How many may be under way now, at least 1."""
        self.lowest = most
        self._active = 0
        self._good = 0
        self._room = asyncio.Condition()

    async def __aenter__(self) -> Throttle:
        async with self._room:
            await self._room.wait_for(lambda: self._active < self.allowed)
            self._active += 1
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        async with self._room:
            self._active -= 1
            self._room.notify_all()

    def slow_down(self) -> None:
        self.allowed = max(1, self.allowed // 2)
        self.lowest = min(self.lowest, self.allowed)
        self._good = 0

    def went_well(self) -> None:
        self._good += 1
        if self._good >= self.allowed < self._most:
            self.allowed += 1
            self._good = 0
