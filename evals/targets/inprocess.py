"""The assistant of this repository, played without a server in between. The only module of `evals` that imports it whole."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from assistant.build import Parts, load_parts, open_assistant
from assistant.pack import Pack
from assistant.service import Assistant
from assistant.settings import Settings
from assistant.wire import Event, MetaEvent, SandboxRequest, TurnRequest
from evals.cards import Card
from evals.conversation import Speak, fixed
from evals.targets.scripted import ALL_VISIBLE
from evals.transcript import Transcript, Turn, turn_from_events


@dataclass(frozen=True, kw_only=True)
class PackFacts:
    """What a pack holds, by name. `folder` is the pack's own, `cache_dir` the assistant's cache, `router` the model folder that serves
    instead of the pack's router."""

    agents: list[str]
    tools: list[str]
    documents: list[str]
    folder: Path
    cache_dir: Path
    encoder: Path | None
    router: Path | None


def pack_facts(pack: str, environ: Mapping[str, str]) -> PackFacts:
    """Read a pack. Raises what `Pack.load` and `Settings.from_environ` raise."""
    loaded, settings = Pack.load(pack), Settings.from_environ(environ)
    tools = {function.__name__ for agent in loaded.agents.values() for function in agent.tools}
    return PackFacts(
        agents=list(loaded.agents),
        tools=sorted(tools | {"search_knowledge"}),
        documents=sorted(path.stem for path in (loaded.folder / "knowledge").glob("*.md")),
        folder=loaded.folder,
        cache_dir=settings.cache_dir,
        encoder=settings.encoder,
        router=settings.router,
    )


@dataclass(frozen=True, kw_only=True)
class PackSource:
    """A pack with its loaded router and encoder, to open many assistants on variants of it."""

    pack: Pack
    environ: Mapping[str, str]
    now: datetime
    parts: Parts

    def target(self, pack: Pack) -> InProcessTarget:
        """An assistant on `pack`, which shares router and model; its knowledge is read from its own folder when that differs."""
        if pack.folder == self.pack.folder:
            return InProcessTarget(self.environ, pack=pack, now=self.now, parts=self.parts)
        fresh = load_parts(Settings.from_environ(self.environ), pack)
        return InProcessTarget(self.environ, pack=pack, now=self.now, parts=replace(self.parts, knowledge=fresh.knowledge))


def load_pack(pack: str, environ: Mapping[str, str], *, now: datetime) -> PackSource:
    """Raises what `Pack.load` and `load_parts` raise."""
    loaded = Pack.load(pack)
    return PackSource(pack=loaded, environ=environ, now=now, parts=load_parts(Settings.from_environ(environ), loaded))


class InProcessTarget:
    """`now` fixes the assistant's clock, so that dates in cards stay true."""

    visible = ALL_VISIBLE

    def __init__(self, environ: Mapping[str, str], *, pack: str | Pack, now: datetime, parts: Parts | None = None) -> None:
        settings = Settings.from_environ(environ)
        self.deterministic = settings.model == "embedded" and not settings.agent_models
        self._pack = pack if isinstance(pack, str) else pack.name
        self._opening = open_assistant(settings, pack=pack, sandboxes=True, now=lambda: now, parts=parts)
        self._assistant: Assistant | None = None

    async def __aenter__(self) -> InProcessTarget:
        self._assistant = await self._opening.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._opening.__aexit__(kind, error, trace)

    async def play(self, card: Card, repeat: int) -> Transcript:
        return await self.talk(card, repeat, fixed(card))

    async def talk(self, card: Card, repeat: int, speak: Speak) -> Transcript:
        sandbox = await self.sandbox(SandboxRequest(pack=self._pack, fixtures=card.fixtures, faults=card.faults))

        async def read_state() -> dict[str, Any]:
            return dict((await self._open.sandbox_state(sandbox)).state)

        turns: list[Turn] = []
        thread: str | None = None
        while (message := await speak(turns, read_state)) is not None:
            turn, thread = await self._turn(TurnRequest(message=message, user_id=card.user, thread_id=thread, sandbox=sandbox))
            turns.append(turn)
        state = await read_state()
        return Transcript(card=card.id, repeat=repeat, turns=turns, visible=self.visible, state=state, thread_id=thread)

    async def sandbox(self, request: SandboxRequest | None = None) -> str:
        """A fresh sandbox: the pack's seed state unless the request says otherwise."""
        return await self._open.create_sandbox(request or SandboxRequest(pack=self._pack))

    async def converse(self, messages: Sequence[str], *, user: str, sandbox: str | None) -> tuple[list[Turn], str | None]:
        """Say `messages` one after another in a new thread; the turns and the thread's id."""
        turns: list[Turn] = []
        thread: str | None = None
        for message in messages:
            turn, thread = await self._turn(TurnRequest(message=message, user_id=user, thread_id=thread, sandbox=sandbox))
            turns.append(turn)
        return turns, thread

    async def _turn(self, request: TurnRequest) -> tuple[Turn, str | None]:
        """One turn, and the thread it belongs to."""
        started = time.perf_counter()
        events: list[Event] = [event async for event in self._open.stream(request)]
        thread = next((event.thread_id for event in events if isinstance(event, MetaEvent)), request.thread_id)
        return turn_from_events(request.message, events, time.perf_counter() - started), thread

    @property
    def _open(self) -> Assistant:
        if self._assistant is None:
            raise RuntimeError("the target is not open: use `async with`")
        return self._assistant
