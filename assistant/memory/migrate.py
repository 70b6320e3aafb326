"""Brings a database to this build's schema."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, select, table
from sqlalchemy.sql import column

from assistant.errors import StoreError
from assistant.memory.migrations import HEAD

FOLDER = Path(__file__).parent / "migrations"


def upgrade_schema(connection: Connection) -> None:
    """Run what is missing. Costs one query when the schema is current. Raises `StoreError` for a schema of a newer build."""
    found = _revision(connection)
    if found == HEAD:
        return
    # Alembic takes a quarter of a second to import, which a current database need not pay.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"the database has schema {found!r}, which this build does not know (it knows {HEAD!r}); use the newer build"
        ) from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version = table("alembic_version", column("version_num"))
    return connection.execute(select(version.c.version_num)).scalar_one_or_none()
