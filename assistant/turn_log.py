"""The events of one turn, numbered and dated as they are sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypedDict

from assistant.memory.threads import StoredEvent
from assistant.wire import Event


class Stamp(TypedDict):
    """The fields every event has."""

    id: int
    t_s: float


class TurnLog:
    """Sends each event on and keeps those worth storing. `now` gives seconds since the turn was accepted."""

    def __init__(self, send: Callable[[Event], Awaitable[None]], now: Callable[[], float]) -> None:
        self.now = now
        self._send = send
        self._last_id = 0
        self._kept: list[StoredEvent] = []

    def stamp(self) -> Stamp:
        """Number and date of the next event; build it and emit it before anything else is awaited."""
        self._last_id += 1
        return Stamp(id=self._last_id, t_s=self.now())

    async def emit(self, event: Event) -> None:
        if event.type != "token":
            data = event.model_dump(mode="json", exclude={"id", "t_s", "type"})
            self._kept.append(StoredEvent(event_id=event.id, type=event.type, t_s=event.t_s, data=data))
        await self._send(event)

    def kept(self) -> list[StoredEvent]:
        """What was sent so far, without tokens."""
        return list(self._kept)
