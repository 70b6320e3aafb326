"""State in memory, a fixed clock, and calls of the pack's tools as an agent makes them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest
from pydantic import JsonValue
from pydantic_ai import RunContext
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RunUsage

from assistant.deps import Passage, TurnDeps
from assistant.pack import Pack

NOW = datetime(2026, 6, 15, 10, 0, tzinfo=timezone(timedelta(hours=-4)))


@dataclass(kw_only=True)
class MemoryState:
    """Pack state kept in a dict; rows are copied in and out, as a database does."""

    rows: dict[str, dict[str, dict[str, JsonValue]]] = field(default_factory=dict[str, dict[str, dict[str, JsonValue]]])

    async def get(self, collection: str, key: str) -> dict[str, JsonValue] | None:
        return copy.deepcopy(self.rows.get(collection, {}).get(key))

    async def put(self, collection: str, key: str, value: Mapping[str, JsonValue]) -> None:
        self.rows.setdefault(collection, {})[key] = copy.deepcopy(dict(value))

    async def delete(self, collection: str, key: str) -> None:
        self.rows.get(collection, {}).pop(key, None)

    async def items(self, collection: str) -> dict[str, dict[str, JsonValue]]:
        return copy.deepcopy(dict(sorted(self.rows.get(collection, {}).items())))


class NoKnowledge:
    def search(self, query: str, *, limit: int = 5, agent: str | None = None) -> list[Passage]:
        return []

    def passage(self, document: str, passage: str) -> Passage | None:
        return None


@dataclass(kw_only=True)
class Store:
    """The pack's tools on a state of their own: `await store.call("get_stock", item="buns")`."""

    pack: Pack
    state: MemoryState
    user_id: str = "maria-lopez"
    thread_id: str = "thread-1"

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        agent, function = next((a, f) for a in self.pack.agents.values() for f in a.tools if f.__name__ == tool)
        deps = agent.deps_type(
            state=self.state, knowledge=NoKnowledge(), user_id=self.user_id, thread_id=self.thread_id, now=lambda: NOW
        )
        context = RunContext[TurnDeps](deps=deps, model=TestModel(), usage=RunUsage())
        return cast("dict[str, Any]", await function(context, **arguments))

    async def says(self, tool: str, **arguments: Any) -> str:
        return (await self.call(tool, **arguments))["summary"]

    def rows(self, collection: str) -> dict[str, dict[str, Any]]:
        return self.state.rows.get(collection, {})


@pytest.fixture(scope="session")
def qsr() -> Pack:
    return Pack.load("qsr")


@pytest.fixture
def store(qsr: Pack) -> Store:
    return Store(pack=qsr, state=MemoryState(rows=cast("Any", copy.deepcopy(qsr.seed))))


@pytest.fixture
def empty_store(qsr: Pack) -> Store:
    return Store(pack=qsr, state=MemoryState())
