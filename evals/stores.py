"""Stores of own servers that a load run can strike: an SQLite file in a folder of its own, or a database made on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from evals.errors import TargetError, UsageError


class PostgresDatabase:
    """One database on a PostgreSQL server, which can be taken away from its users and given back. Raises `TargetError` when the server
    does not let it."""

    def __init__(self, server: URL, name: str) -> None:
        self._server = server
        self._name = name

    @property
    def url(self) -> str:
        return self._server.set(database=self._name).render_as_string(hide_password=False)

    def create(self) -> None:
        self._do(f'CREATE DATABASE "{self._name}"')

    def drop(self) -> None:
        self._do(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')

    def take_away(self) -> None:
        """Let nobody connect, and end the connections that are there."""
        self._do(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS false')
        self._do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name", name=self._name)

    def give_back(self) -> None:
        self._do(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS true')

    def _do(self, statement: str, **values: str) -> None:
        engine = create_engine(self._server, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                _execute(connection, statement, values)
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise TargetError(
                f"--database {self._server.render_as_string()}: {cause}; the role must be able to make databases"
            ) from error
        finally:
            engine.dispose()


def _execute(connection: Connection, statement: str, values: dict[str, str]) -> None:
    connection.execute(text(statement), values)


@contextmanager
def fresh_database(url: str) -> Generator[PostgresDatabase]:
    """A new database on the PostgreSQL server of `url`, dropped at the end. Raises `UsageError` and `TargetError`."""
    try:
        server = make_url(url)
        if server.get_backend_name() != "postgresql":
            raise UsageError(
                f"--database {server.render_as_string()}: is no PostgreSQL server; give postgresql+psycopg://user@host/postgres"
            )
        database = PostgresDatabase(server, f"assay_load_{uuid4().hex}")
        database.create()
    except (ArgumentError, NoSuchModuleError):
        raise UsageError("--database: cannot be read; give postgresql+psycopg://user@host/postgres") from None
    except ModuleNotFoundError as error:
        raise UsageError(f"--database: the driver {error.name!r} is not installed; pip install 'assay[postgres]'") from None
    try:
        yield database
    finally:
        database.drop()
