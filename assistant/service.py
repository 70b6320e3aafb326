"""The assistant: takes a request, gives its events or its reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter
from weakref import WeakValueDictionary

import psutil

from assistant.errors import AssistantClosed, ReaderTooSlow, UnknownThread, UnknownTurn, WrongPack
from assistant.event_queue import EventQueue
from assistant.memory import Message, StoredEvent
from assistant.spans import Spans
from assistant.telemetry import Telemetry
from assistant.turn import Turn, Workings
from assistant.turn_log import TurnLog
from assistant.wire import (
    DoneEvent,
    Event,
    FeedbackRequest,
    Health,
    MetaEvent,
    SandboxRequest,
    SandboxState,
    TurnRequest,
    TurnResponse,
)

EVENTS_AHEAD = 256
"""How far a turn may run ahead of whoever reads its events."""
READER_PATIENCE_S = 1.0
"""How long a turn waits in all for a reader that is that far behind, before it goes on without it."""
IN_FLIGHT = "turns_in_flight"


class Assistant:
    """Open with `assistant.build.open_assistant`. Turns of one thread run one after the other, others side by side."""

    def __init__(self, workings: Workings) -> None:
        self._workings = workings
        self._turns: set[asyncio.Task[None]] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def stream(self, request: TurnRequest) -> AsyncGenerator[Event]:
        """The events of one turn, ending with `done`. A reader that leaves early ends the turn; the message stays kept.

        Raises `RequestError` before the first event, `AssistantClosed` when the assistant is closed meanwhile, and `ReaderTooSlow`
        after the last event that a reader who stayed behind can have; that turn goes on and is kept.
        """
        started = perf_counter()
        queue = EventQueue(EVENTS_AHEAD, patience_s=READER_PATIENCE_S)
        task = asyncio.create_task(self._play(request, queue, started))
        self._turns.add(task)
        self.telemetry.change(IN_FLIGHT, 1)
        task.add_done_callback(self._ended)
        try:
            async for event in queue.read():
                yield event
            await asyncio.wait([task])
            if task.cancelled():
                raise AssistantClosed
            task.result()
            if queue.left_behind:
                raise ReaderTooSlow
        finally:
            task.cancel()

    async def reply(self, request: TurnRequest) -> TurnResponse:
        """The whole turn at once. Raises `RequestError`."""
        events = [event async for event in self.stream(request)]
        meta, done = events[0], events[-1]
        assert isinstance(meta, MetaEvent) and isinstance(done, DoneEvent)
        return TurnResponse(
            thread_id=meta.thread_id,
            turn_id=meta.turn_id,
            agent=done.agent,
            outcome=done.outcome,
            text=done.text,
            events=events,
        )

    async def create_sandbox(self, request: SandboxRequest) -> str:
        """Raises `SandboxesClosed`, `WrongPack`."""
        if request.pack != self._workings.pack.name:
            raise WrongPack(request.pack, self._workings.pack.name)
        return await self._workings.sandboxes.create(request)

    async def sandbox_state(self, sandbox: str) -> SandboxState:
        """Seed, fixtures and everything written since. Raises `SandboxesClosed`, `UnknownSandbox`."""
        return SandboxState(sandbox=sandbox, state=await self._workings.sandboxes.merged(sandbox))

    async def thread_messages(self, thread_id: str, user_id: str) -> list[Message]:
        """Everything said in a user's thread, oldest first. Raises `UnknownThread`."""
        thread = await self._workings.threads.find(thread_id)
        if thread is None or thread.user_id != user_id:
            raise UnknownThread(thread_id)
        return await self._workings.threads.messages(thread_id)

    async def turn_events(self, turn_id: str) -> list[StoredEvent]:
        """What a finished turn told, without tokens and without `done`; empty for a turn that is unknown or unfinished."""
        return await self._workings.threads.events(turn_id)

    async def give_feedback(self, told: FeedbackRequest) -> None:
        """Keep what a person thinks of an answered turn of theirs. Raises `UnknownTurn`."""
        data = told.model_dump(include={"thumbs_up", "reason", "comment"})
        if not await self._workings.threads.add_feedback(told.turn_id, told.user_id, data, self._workings.now()):
            raise UnknownTurn(told.turn_id)

    def health(self) -> Health:
        return Health(
            status="ok",
            pack=self._workings.pack.name,
            model=self._workings.model_name,
            memory_bytes=psutil.Process().memory_info().rss,
        )

    @property
    def telemetry(self) -> Telemetry:
        return self._workings.telemetry

    async def close(self) -> None:
        """End the turns still running."""
        running = [task for task in self._turns if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._turns.discard(task)
        self.telemetry.change(IN_FLIGHT, -1)
        if task.cancelled():
            self.telemetry.count("turns_cancelled")

    async def _play(self, request: TurnRequest, queue: EventQueue, started: float) -> None:
        async with AsyncExitStack() as held:
            held.callback(queue.close)

            async def send(event: Event) -> None:
                # The first event tells the id of a new thread, so from then on another turn may ask for it.
                if request.thread_id is None and isinstance(event, MetaEvent):
                    await held.enter_async_context(self._alone_in(event.thread_id))
                await queue.send(event)

            if request.thread_id is not None:
                await held.enter_async_context(self._alone_in(request.thread_id))
            log = TurnLog(send, lambda: perf_counter() - started)
            await Turn(workings=self._workings, request=request, log=log, spans=Spans()).play()

    @asynccontextmanager
    async def _alone_in(self, thread_id: str) -> AsyncGenerator[None]:
        lock = self._locks.setdefault(thread_id, asyncio.Lock())
        async with lock:
            yield
