"""One SQL database behind one door: pooled reads, serialised writes, every query timed by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from assistant.errors import StoreError
from assistant.memory.migrate import upgrade_schema
from assistant.telemetry import Telemetry

SQLITE_PRAGMAS = ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=5000", "synchronous=NORMAL")
POOL_SIZE = 8


class Database:
    """Open with `open_database`. `read` and `write` give a connection; the name they take labels the recorded duration.

    Writes of this process go one after the other: SQLite has one writer, and waiting in line is faster and fairer than
    its busy loop. Another process may write too; it is waited for up to 5 s.
    """

    def __init__(self, engine: AsyncEngine, telemetry: Telemetry) -> None:
        self._engine = engine
        self._telemetry = telemetry
        self._one_writer = asyncio.Lock()

    @asynccontextmanager
    async def read(self, name: str) -> AsyncGenerator[AsyncConnection]:
        with self._telemetry.timed(f"query.{name}"):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, name: str) -> AsyncGenerator[AsyncConnection]:
        """One transaction: all of it or nothing."""
        async with self._one_writer:
            with self._telemetry.timed(f"query.{name}"):
                async with self._engine.begin() as connection:
                    await _begin(connection)
                    yield connection

    def query_durations(self) -> list[tuple[str, float]]:
        """`(query name, seconds)` of the newest queries, in the order they ended."""
        prefix = "query."
        return [(name.removeprefix(prefix), seconds) for name, seconds in self._telemetry.durations() if name.startswith(prefix)]


async def _begin(connection: AsyncConnection) -> None:
    # SQLite would otherwise read first and fail to become the writer later.
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql("BEGIN IMMEDIATE")


@asynccontextmanager
async def open_database(url: str, telemetry: Telemetry) -> AsyncGenerator[Database]:
    """Connect, migrate to this build's schema, and close at the end. Raises `StoreError`."""
    engine = _engine(url)
    try:
        await _migrate(engine, upgrade_schema)
        yield Database(engine, telemetry)
    finally:
        await engine.dispose()


def _engine(url: str) -> AsyncEngine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return create_async_engine(parsed, pool_size=POOL_SIZE, pool_pre_ping=True)
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        # No connection goes back with a transaction open, so rolling back once more would be a wasted trip to its thread.
        engine = create_async_engine(parsed, pool_reset_on_return=None)
    except ModuleNotFoundError as error:
        raise StoreError(f"the database driver {error.name!r} is not installed; install it or use sqlite+aiosqlite") from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError("the database URL cannot be read; give one such as sqlite+aiosqlite:////folder/assay.db") from error
    except OSError as error:
        raise StoreError(f"the folder of the database cannot be made ({error.strerror}); set ASSAY_DATA_DIR") from error
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions of its own: reads run alone and writes begin with BEGIN IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def _migrate(engine: AsyncEngine, upgrade: Callable[[Connection], None]) -> None:
    try:
        async with engine.begin() as connection:
            await _begin(connection)
            await connection.run_sync(upgrade)
    except (DatabaseError, DBAPIError, OSError) as error:
        reason = str(error.orig) if isinstance(error, DBAPIError) else str(error.strerror)
        raise StoreError(f"the database cannot be opened ({reason}); check ASSAY_DATABASE_URL") from error
