"""One SQL database behind one door: every query is one trip to a worker thread, serialised when it writes, timed by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from assistant.errors import StoreError, StoreUnavailable
from assistant.memory.migrate import upgrade_schema
from assistant.telemetry import Telemetry

SQLITE_PRAGMAS = ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=5000", "synchronous=NORMAL")
READERS = 4
QUERY = "query."

Result = TypeVar("Result")


class Database:
    """Open with `open_database`. The name of a query labels its recorded duration, which includes waiting in line.

    A query is a function of a connection, run as a whole in a thread: an asynchronous SQLite driver makes several trips to its
    thread for every statement, which costs four times the processor time and, on a busy machine, thirty times the delay.
    Both ways of asking raise `StoreUnavailable` while the database does not answer; the next query after that tries again.
    Writes of this process go one after the other, for SQLite has one writer. Another process is waited for up to 5 s.
    """

    def __init__(self, engine: Engine, telemetry: Telemetry) -> None:
        self._engine = engine
        self._telemetry = telemetry
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="assay-read")
        self._writers = ThreadPoolExecutor(1 if _is_sqlite(engine) else READERS, thread_name_prefix="assay-write")

    async def read(self, name: str, query: Callable[[Connection], Result]) -> Result:
        def run() -> Result:
            with self._engine.connect() as connection:
                return query(connection)

        return await self._timed(name, self._readers, run)

    async def write(self, name: str, query: Callable[[Connection], Result]) -> Result:
        """One transaction: all of it or nothing. A caller cancelled meanwhile leaves it to end by itself."""

        def run() -> Result:
            with _transaction(self._engine) as connection:
                return query(connection)

        return await self._timed(name, self._writers, run)

    def query_durations(self) -> list[tuple[str, float]]:
        """`(query name, seconds)` of the newest queries, in the order they ended."""
        return [(name.removeprefix(QUERY), spent) for name, spent in self._telemetry.durations() if name.startswith(QUERY)]

    async def close(self) -> None:
        """Wait for the queries still running."""
        for workers in (self._readers, self._writers):
            await asyncio.to_thread(workers.shutdown)

    async def _timed(self, name: str, workers: ThreadPoolExecutor, run: Callable[[], Result]) -> Result:
        started = perf_counter()
        try:
            return await asyncio.get_running_loop().run_in_executor(workers, run)
        except OperationalError as error:
            raise StoreUnavailable(f"{name}: {' '.join(str(error.orig).split())}") from error
        finally:
            self._telemetry.record(QUERY + name, perf_counter() - started)


@asynccontextmanager
async def open_database(url: str, telemetry: Telemetry) -> AsyncGenerator[Database]:
    """Connect, migrate to this build's schema, and close at the end. Raises `StoreError`."""
    engine = await asyncio.to_thread(_open, url)
    database = Database(engine, telemetry)
    try:
        yield database
    finally:
        await database.close()
        engine.dispose()


def _open(url: str) -> Engine:
    engine = _engine(url)
    try:
        with _transaction(engine) as connection:
            upgrade_schema(connection)
    except DBAPIError as error:
        engine.dispose()
        raise StoreError(f"the database cannot be opened ({error.orig}); check ASSAY_DATABASE_URL") from error
    except StoreError:
        engine.dispose()
        raise
    return engine


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return create_engine(parsed, pool_size=2 * READERS, pool_pre_ping=True)
        Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
        # No connection goes back with a transaction open, so there is nothing to roll back when it does.
        engine = create_engine(parsed.set(drivername="sqlite"), pool_reset_on_return=None)
    except ModuleNotFoundError as error:
        raise StoreError(f"the database driver {error.name!r} is not installed; install it or use sqlite") from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError("the database URL cannot be read; give one such as sqlite:////folder/assay.db") from error
    except OSError as error:
        raise StoreError(f"the folder of the database cannot be made ({error.strerror}); set ASSAY_STATE_DIR") from error
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


@contextmanager
def _transaction(engine: Engine) -> Generator[Connection]:
    with engine.begin() as connection:
        if _is_sqlite(engine):
            # SQLite would otherwise read first and fail to become the writer later.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


def _is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions of its own: reads run alone and writes begin with BEGIN IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
