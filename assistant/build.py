"""The composition root: puts an assistant together from settings and a pack."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic_ai.models import Model

from assistant.agents.factory import build_specialists
from assistant.agents.opinion import SecondOpinion
from assistant.choosing import Chooser, ChoosesAgent, whole
from assistant.deps import PassageSearch
from assistant.memory import Sandboxes, ThreadStore, open_database
from assistant.pack import Pack
from assistant.service import Assistant
from assistant.settings import Settings
from assistant.telemetry import Telemetry
from assistant.turn import Workings

Now = Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What is slow to load and may be replaced: the router, the knowledge, how a model string becomes a model and a message its requests."""

    router: ChoosesAgent
    knowledge: PassageSearch
    resolve: Callable[[str], Model]
    split: Callable[[str], Sequence[str]] = whole


def load_parts(settings: Settings, pack: Pack) -> Parts:
    """Load the encoder and what stands on it. The first call on a machine takes seconds; later ones read its caches."""
    # An assistant whose parts are handed in needs none of these, nor the seconds they take to import.
    from assistant.encoder import KnownTexts, SentenceEncoder
    from assistant.knowledge import Library
    from assistant.models import passage_texts, resolve_model
    from assistant.routing.serving import serving_router
    from assistant.routing.several import Splitter

    encoder = SentenceEncoder.load(settings.encoder, cache_dir=settings.cache_dir)
    knowledge = Library.load(pack.knowledge, encoder, settings.cache_dir, fusion=pack.fusion)
    known = KnownTexts(encoder, passage_texts([asdict(passage) for passage in knowledge.passages]), settings.cache_dir)

    def resolve(name: str) -> Model:
        return resolve_model(name, encoder=known, settings=settings)

    router = serving_router(pack.folder, list(pack.agents), encoder, settings.cache_dir, settings.router)
    return Parts(router=router, knowledge=knowledge, resolve=resolve, split=Splitter(router).split)


@asynccontextmanager
async def open_assistant(
    settings: Settings,
    *,
    pack: str | Path | Pack,
    sandboxes: bool = False,
    now: Now | None = None,
    parts: Parts | None = None,
) -> AsyncGenerator[Assistant]:
    """An assistant ready to answer, and its database closed at the end.

    `now` is the clock that tools see (default: `settings.fixed_now`, else the wall clock in UTC).
    Raises `PackError`, `StoreError`, `EncoderError`, `RoutingDataError`, `ModelError`, `KnowledgeError`, `ModelNameError`.
    """
    served = pack if isinstance(pack, Pack) else Pack.load(pack)
    loaded = parts or await asyncio.to_thread(load_parts, settings, served)
    telemetry = Telemetry()
    specialists = build_specialists(served, settings, loaded.resolve)
    async with open_database(settings.database_url, telemetry) as database:
        workings = Workings(
            pack=served,
            model_name=settings.model,
            timeout_s=settings.request_timeout_s,
            chooser=_chooser(settings, served, loaded),
            knowledge=loaded.knowledge,
            specialists=specialists,
            threads=ThreadStore(database),
            sandboxes=Sandboxes(database, pack=served.name, seed=served.seed, enabled=sandboxes),
            telemetry=telemetry,
            now=now or _clock(settings.fixed_now),
        )
        assistant = Assistant(workings)
        try:
            with settled_memory():
                yield assistant
        finally:
            await assistant.close()


def _chooser(settings: Settings, pack: Pack, parts: Parts) -> Chooser:
    opinion = None
    if settings.router_model:
        opinion = SecondOpinion(parts.resolve(settings.router_model), pack, timeout_s=settings.router_timeout_s)
    unsure_below = pack.unsure_below if settings.router_unsure_below is None else settings.router_unsure_below
    return Chooser(pack=pack, router=parts.router, split=parts.split, opinion=opinion, unsure_below=unsure_below)


@contextmanager
def settled_memory() -> Generator[None]:
    """What is loaded by now stays: searching it for garbage again and again would stall turns for a tenth of a second."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _clock(fixed: datetime | None) -> Now:
    return (lambda: fixed) if fixed else (lambda: datetime.now(UTC))
