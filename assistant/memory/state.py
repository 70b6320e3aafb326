"""Pack state in the database: what was written, over what the pack starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select

from assistant.errors import StateReadOnly
from assistant.faults import Faults
from assistant.memory.database import Database
from assistant.memory.tables import PACK_STATE
from assistant.wire import Collections

SHARED = ""
"""The sandbox of the state that all users of a pack share, and the user whose rows everyone sees."""


class StoredState:
    """A `PackState`: rows of (pack, sandbox) over the pack's seed. A removed key hides the seed's.

    Raises `StateReadOnly` on a write that the sandbox's faults forbid.
    """

    def __init__(self, database: Database, *, pack: str, sandbox: str, seed: Collections, faults: Faults) -> None:
        self._database = database
        self._pack = pack
        self._sandbox = sandbox
        self._seed = seed
        self._faults = faults

    async def get(self, collection: str, key: str) -> dict[str, JsonValue] | None:
        query = select(PACK_STATE.c.value).where(self._row(collection, key))
        found = await self._database.read("state.get", lambda connection: connection.execute(query).first())
        value = self._seed.get(collection, {}).get(key) if found is None else found[0]
        return None if value is None else _copy(value)

    async def put(self, collection: str, key: str, value: Mapping[str, JsonValue]) -> None:
        await self._write(collection, key, dict(value))

    async def delete(self, collection: str, key: str) -> None:
        await self._write(collection, key, None)

    async def items(self, collection: str) -> dict[str, dict[str, JsonValue]]:
        query = select(PACK_STATE.c.key, PACK_STATE.c.value).where(self._below(), PACK_STATE.c.collection == collection)
        rows = await self._database.read("state.items", lambda connection: connection.execute(query).all())
        written = {key: value for key, value in rows}
        merged = {**self._seed.get(collection, {}), **written}
        return {key: _copy(merged[key]) for key in sorted(merged) if merged[key] is not None}

    async def merged(self) -> Collections:
        """The whole state as tools see it, in order of collection and key; empty collections are left out."""
        query = select(PACK_STATE.c.collection, PACK_STATE.c.key, PACK_STATE.c.value).where(self._below())
        rows = await self._database.read("state.merged", lambda connection: connection.execute(query).all())
        merged: Collections = {collection: dict(found) for collection, found in self._seed.items()}
        for collection, key, value in rows:
            merged.setdefault(collection, {})[key] = value
        kept: Collections = {
            collection: {key: value for key, value in sorted(found.items()) if value is not None}
            for collection, found in sorted(merged.items())
        }
        return {collection: found for collection, found in kept.items() if found}

    async def overlay(self, fixtures: Collections) -> None:
        """Write `fixtures` over what is there, key by key; a null value removes its key."""
        rows = [self._values(collection, key, value) for collection, found in fixtures.items() for key, value in found.items()]
        if not rows:
            return
        await self._database.write("state.overlay", lambda connection: connection.execute(insert(PACK_STATE), rows))

    async def _write(self, collection: str, key: str, value: dict[str, JsonValue] | None) -> None:
        if self._faults.take("store_read_only"):
            raise StateReadOnly
        row, values = self._row(collection, key), self._values(collection, key, value)

        def replace(connection: Connection) -> None:
            connection.execute(delete(PACK_STATE).where(row))
            connection.execute(insert(PACK_STATE).values(values))

        await self._database.write("state.put", replace)

    def _values(self, collection: str, key: str, value: JsonValue) -> dict[str, JsonValue]:
        place: dict[str, JsonValue] = {"pack": self._pack, "sandbox": self._sandbox, "user_id": SHARED}
        return {**place, "collection": collection, "key": key, "value": value}

    def _below(self) -> ColumnElement[bool]:
        return and_(PACK_STATE.c.pack == self._pack, PACK_STATE.c.sandbox == self._sandbox, PACK_STATE.c.user_id == SHARED)

    def _row(self, collection: str, key: str) -> ColumnElement[bool]:
        return and_(self._below(), PACK_STATE.c.collection == collection, PACK_STATE.c.key == key)


def _copy(value: JsonValue) -> dict[str, JsonValue]:
    # Tools may change what they get; the seed must not change with it.
    return _deep(cast("dict[str, JsonValue]", value))


def _deep(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: _plain(item) for key, item in value.items()}


def _plain(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return _deep(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value
