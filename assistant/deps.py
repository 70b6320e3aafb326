"""What a tool may touch during one turn: pack state, knowledge, the clock. Tools get it as `RunContext.deps`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from pydantic import JsonValue

Fusion = Literal["ranks", "scores"]
"""How a search joins what words and meaning find: by reciprocal ranks, or by adding scores, which tells a clear winner from a narrow one."""


class PackState(Protocol):
    """Rows of the pack-state table seen by one user in one sandbox. Values are JSON objects."""

    async def get(self, collection: str, key: str) -> dict[str, JsonValue] | None: ...

    async def put(self, collection: str, key: str, value: Mapping[str, JsonValue]) -> None: ...

    async def delete(self, collection: str, key: str) -> None: ...

    async def items(self, collection: str) -> dict[str, dict[str, JsonValue]]:
        """All rows of a collection, in key order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One section of one document. `score` is the fused retrieval score, higher is better."""

    document: str
    passage: str
    title: str
    heading: str
    text: str
    version: int
    score: float


class PassageSearch(Protocol):
    def search(self, query: str, *, limit: int = 5, agent: str | None = None) -> list[Passage]: ...

    def passage(self, document: str, passage: str) -> Passage | None: ...


@dataclass(frozen=True, kw_only=True)
class TurnDeps:
    """Handed to every tool of a turn. A pack subclasses it once per agent, so that each agent's tools have a type of their own."""

    state: PackState
    knowledge: PassageSearch
    user_id: str
    thread_id: str
    now: Callable[[], datetime]
