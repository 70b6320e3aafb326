"""A conversation in a terminal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from rich.console import Console
from rich.markup import escape

from assistant.errors import RequestError
from assistant.service import Assistant
from assistant.wire import (
    CitationEvent,
    DoneEvent,
    ErrorEvent,
    Event,
    HandoffEvent,
    MetaEvent,
    RestartEvent,
    RouteEvent,
    TokenEvent,
    ToolCallEvent,
    ToolResultEvent,
    TurnRequest,
)

PROMPT = "[bold]you[/bold]  "
FAREWELLS = frozenset({"exit", "quit", ":q"})

ASIDES = (RouteEvent, HandoffEvent, ToolCallEvent)
"""What stands on a line of its own, also in the middle of an answer."""

Ask = Callable[[], Awaitable[str | None]]


class LineReader:
    """Reads lines of a file descriptor without a thread, so that nothing is left waiting for input after Ctrl-C."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read = b""

    async def line(self) -> str | None:
        """The next line without its end; null at the end of input."""
        while b"\n" not in self._read:
            await self._readable()
            chunk = os.read(self._descriptor, 65_536)
            if not chunk:
                rest, self._read = self._read, b""
                return rest.decode(errors="replace") if rest else None
            self._read += chunk
        line, _, self._read = self._read.partition(b"\n")
        return line.decode(errors="replace")

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except PermissionError:  # a regular file cannot be waited for and never has to be
            return
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)


def ask_at(console: Console, descriptor: int) -> Ask:
    """Prompts on the console and reads the answer from `descriptor`."""
    reader = LineReader(descriptor)

    async def ask() -> str | None:
        console.print(PROMPT, end="")
        return await reader.line()

    return ask


async def chat(
    assistant: Assistant, console: Console, *, ask: Ask, user_id: str = "anonymous", thread_id: str | None = None
) -> None:
    """Talk until the input ends or the user says exit. Cancelling it, as Ctrl-C under `asyncio.run` does, ends the running turn."""
    health = assistant.health()
    console.print(f"[dim]{escape(health.pack)} on {escape(health.model)} · exit or Ctrl-D ends[/dim]")
    while (line := await ask()) is not None:
        text = line.strip()
        if text.lower() in FAREWELLS:
            break
        if not text:
            continue
        try:
            async with aclosing(assistant.stream(TurnRequest(message=text, user_id=user_id, thread_id=thread_id))) as events:
                thread_id = await _show(events, console) or thread_id
        except RequestError as error:
            console.print(f"[red]{escape(str(error))}[/red]")
    console.print("[dim]bye[/dim]")


async def _show(events: AsyncGenerator[Event], console: Console) -> str | None:
    """Print a turn as it comes; its thread."""
    thread_id: str | None = None
    sources: list[CitationEvent] = []
    within_line = False
    async for event in events:
        if within_line and isinstance(event, ASIDES):
            console.print()
            within_line = False
        match event:
            case MetaEvent():
                thread_id = event.thread_id
            case TokenEvent():
                text = event.text if within_line else event.text.lstrip("\n")
                console.print(escape(text), end="", soft_wrap=True, highlight=False)
                within_line = within_line or text != ""
            case CitationEvent():
                sources.append(event)
            case DoneEvent():
                _close(event, sources, console)
            case _:
                _show_aside(event, console)
    return thread_id


def _show_aside(event: Event, console: Console) -> None:
    match event:
        case RouteEvent():
            console.print(f"[cyan]{escape(event.agent)}[/cyan] [dim]{event.confidence:.0%} {event.stage}[/dim]")
        case HandoffEvent():
            console.print(f"[dim]handed over from {escape(event.from_agent)}[/dim]")
        case ToolCallEvent():
            console.print(f"[dim]→ {escape(event.tool)} {escape(str(event.arguments))}[/dim]")
        case ToolResultEvent() if not event.ok:
            console.print(f"[yellow]✗ {escape(event.tool)} failed[/yellow]")
        case RestartEvent():
            console.print(f"\n[dim](starting again: {escape(event.reason)})[/dim]")
        case ErrorEvent():
            console.print(f"\n[red]error: {escape(event.message)}[/red]", end="")
        case _:
            pass


def _close(done: DoneEvent, sources: list[CitationEvent], console: Console) -> None:
    console.print()
    for source in sources:
        place = f"{source.document}#{source.passage}"
        told = f"“{source.title}: {source.quote}”" if source.exists else "(no such passage)"
        console.print(f"[dim]  {escape(f'[{place}]')} {escape(told)}[/dim]")
    if done.outcome != "answered":
        console.print(f"[yellow]{done.outcome}[/yellow]")
