"""The five tables of the store. `assistant/memory/migrations` brings a database to this shape; a test compares the two."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

USERS = Table(
    "users",
    METADATA,
    Column("user_id", String(200), primary_key=True),
    Column("created_at", String(40), nullable=False),
)

THREADS = Table(
    "threads",
    METADATA,
    Column("thread_id", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("pack", String(64), nullable=False),
    Column("agent", String(64)),
    Column("pending", JSON(none_as_null=True)),
    Column("previous_text", Text),
    Column("created_at", String(40), nullable=False),
)

MESSAGES = Table(
    "messages",
    METADATA,
    Column("message_id", Integer, primary_key=True, autoincrement=True),
    Column("thread_id", ForeignKey("threads.thread_id", ondelete="CASCADE"), nullable=False),
    Column("turn_id", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("agent", String(64)),
    Column("outcome", String(16)),
    Column("model_messages", Text),
    Column("created_at", String(40), nullable=False),
    Index(None, "thread_id", "message_id"),
)

EVENTS = Table(
    "events",
    METADATA,
    Column("turn_id", String(64), primary_key=True),
    Column("event_id", Integer, primary_key=True),
    Column("thread_id", ForeignKey("threads.thread_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("type", String(32), nullable=False),
    Column("t_s", Float, nullable=False),
    Column("data", JSON, nullable=False),
)

PACK_STATE = Table(
    "pack_state",
    METADATA,
    Column("pack", String(64), primary_key=True),
    Column("sandbox", String(64), primary_key=True),
    Column("user_id", String(200), primary_key=True),
    Column("collection", String(120), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("value", JSON(none_as_null=True)),
)
"""`sandbox` is empty for the shared state. A null `value` says that the key was removed from what lies below."""
