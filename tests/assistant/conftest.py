"""A library desk: a two-agent pack made for tests, with a scripted router and scripted models in place of the trained ones."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from pydantic_ai import ModelMessage, ModelRequest, ToolReturnPart, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from assistant.build import Parts, open_assistant
from assistant.choosing import whole
from assistant.deps import Passage
from assistant.pack import Pack
from assistant.routing import NO_AGENT, Decision, RouteContext
from assistant.service import Assistant
from assistant.settings import Settings

PACK_YAML = """\
name: desk
title: Library desk
version: 1
safest_agent: loans
out_of_scope_reply: I can only help with the library.
greeting_reply: Hello, what are you looking for?
variables: {branch: Elm Street}
agents:
  loans:
    description: Lends books.
    prompt: loans.md
    tools: [lend_book, count_books]
  rooms:
    description: Books rooms.
    prompt: rooms.md
    model_settings: {temperature: 0.5}
    tools: [book_room]
"""

TOOLS = '''\
"""Tools of the library desk."""

from dataclasses import dataclass

from pydantic_ai import RunContext

from assistant.deps import TurnDeps


@dataclass(frozen=True, kw_only=True)
class LoansDeps(TurnDeps):
    pass


@dataclass(frozen=True, kw_only=True)
class RoomsDeps(TurnDeps):
    pass


AGENT_DEPS = {"loans": LoansDeps, "rooms": RoomsDeps}


async def lend_book(ctx: RunContext[LoansDeps], title: str) -> dict:
    """Lend a book."""
    book = await ctx.deps.state.get("books", title)
    if book is None:
        raise LookupError("secret internals")
    await ctx.deps.state.put("books", title, {**book, "lent_to": ctx.deps.user_id, "on": ctx.deps.now().date().isoformat()})
    return {"summary": f"{title} is yours.", "title": title}


async def count_books(ctx: RunContext[LoansDeps]) -> dict:
    """Count the books."""
    found = await ctx.deps.state.items("books")
    return {"summary": f"{len(found)} books.", "count": len(found)}


async def book_room(ctx: RunContext[RoomsDeps], seats: int) -> dict:
    """Book a room."""
    question = {"tool": "book_room", "argument": "seats", "question": "How many seats?"}
    return {"summary": "Which size?", "next": question} if seats == 0 else {"summary": f"Booked for {seats}."}
'''

SEED = """\
books:
  Emma: {shelf: A1}
  Dune: {shelf: B2}
"""

PASSAGE = Passage(
    document="fees", passage="late", title="Fees", heading="Late", text="Late books cost 10 cents a day.", version=1, score=0.5
)


@pytest.fixture(scope="session")
def machine_cache() -> Path:
    """What set-up keeps on this machine, named by its sources: the encoder's graph, the router and the vectors of the shipped pack."""
    return Settings.from_environ(os.environ).cache_dir


@pytest.fixture
def desk_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    (folder / "prompts").mkdir(parents=True)
    (folder / "pack.yaml").write_text(PACK_YAML, encoding="utf-8")
    (folder / "tools.py").write_text(TOOLS, encoding="utf-8")
    (folder / "seed.yaml").write_text(SEED, encoding="utf-8")
    (folder / "prompts/loans.md").write_text("You are {{ agent }} of {{ pack }} at {{ branch }}. Today is {{ today }}.", "utf-8")
    (folder / "prompts/rooms.md").write_text("You book rooms for {{ user_id }}.", encoding="utf-8")
    return folder


@dataclass
class ScriptedRouter:
    """Sends a message to the agent named by its first word, or stays; remembers the contexts it was given."""

    contexts: list[RouteContext] = field(default_factory=list)

    def decide(self, text: str, context: RouteContext) -> Decision:
        self.contexts.append(context)
        word = text.split(maxsplit=1)[0]
        agent = {"loans": "loans", "rooms": "rooms", "weather": NO_AGENT, "hello": NO_AGENT, "ghost": "ghost"}.get(word)
        return Decision(
            agent=agent or context.current_agent or "loans",
            intent="greeting" if word == "hello" else "asking",
            confidence=0.9,
            alternatives=[("rooms" if agent == "loans" else "loans", 0.1)],
            stage="head" if agent else "sticky",
            duration_s=0.001,
        )


class OneShelf:
    """A knowledge base of one passage."""

    def search(self, query: str, *, limit: int = 5, agent: str | None = None) -> list[Passage]:
        return [PASSAGE][:limit]

    def passage(self, document: str, passage: str) -> Passage | None:
        return PASSAGE if (document, passage) == ("fees", "late") else None


Said = AsyncIterator[str | DeltaToolCalls]
Script = Callable[[str, list[ToolReturnPart]], list[str | DeltaToolCall]]


def asked(messages: list[ModelMessage]) -> str:
    """The newest user message."""
    prompts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    return str(prompts[-1].content)


def returned(messages: list[ModelMessage]) -> list[ToolReturnPart]:
    """The tool results of the newest turn."""
    results: list[ToolReturnPart] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            if any(isinstance(part, UserPromptPart) for part in message.parts):
                results = []
            results += [part for part in message.parts if isinstance(part, ToolReturnPart)]
    return results


def scripted(script: Script, seen: list[tuple[list[ModelMessage], AgentInfo]]) -> FunctionModel:
    """A streaming model that says what `script` gives for (user message, tool results so far)."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Said:
        seen.append((list(messages), info))
        for index, said in enumerate(script(asked(messages), returned(messages))):
            yield {index: said} if isinstance(said, DeltaToolCall) else said

    return FunctionModel(stream_function=stream, model_name="scripted")


def echo(text: str, results: list[ToolReturnPart]) -> list[str | DeltaToolCall]:
    return ["You said ", text]


@dataclass
class Desk:
    """Everything a test may want to change before it opens the assistant."""

    settings: Settings
    pack: Pack
    router: ScriptedRouter = field(default_factory=ScriptedRouter)
    script: Script = echo
    seen: list[tuple[list[ModelMessage], AgentInfo]] = field(default_factory=list)
    model: Model | None = None
    now: datetime = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    split: Callable[[str], Sequence[str]] = whole
    others: Mapping[str, Model] = field(default_factory=dict[str, Model])

    @property
    def parts(self) -> Parts:
        """Every model string is the scripted model, but for those of `others`."""
        model = self.model or scripted(self.script, self.seen)
        resolve = {**self.others}
        return Parts(router=self.router, knowledge=OneShelf(), resolve=lambda name: resolve.get(name, model), split=self.split)

    def configure(self, **changes: object) -> None:
        self.settings = replace(self.settings, **changes)

    @asynccontextmanager
    async def open(self, *, sandboxes: bool = True) -> AsyncGenerator[Assistant]:
        now = self.now
        async with open_assistant(
            self.settings, pack=self.pack, sandboxes=sandboxes, now=lambda: now, parts=self.parts
        ) as assistant:
            yield assistant


@pytest.fixture
def desk(desk_folder: Path, tmp_path: Path) -> Desk:
    settings = Settings.from_environ({"ASSAY_STATE_DIR": f"{tmp_path}/data", "ASSAY_CACHE_DIR": f"{tmp_path}/cache"})
    return Desk(settings=settings, pack=Pack.load(desk_folder))


@pytest.fixture
def serve_app() -> Iterator[Callable[[FastAPI], str]]:
    """Serves an application over loopback until the test ends; its address."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def begin(app: FastAPI) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        running.append((server, thread))
        while not server.started:
            time.sleep(0.005)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield begin
    for server, thread in running:
        server.should_exit = True
        thread.join(timeout=5)
