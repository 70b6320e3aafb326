"""Users, threads, messages, events, pack state."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", sa.String(200), nullable=False),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_users"),
    )
    op.create_table(
        "threads",
        sa.Column("thread_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(200), nullable=False),
        sa.Column("pack", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64)),
        sa.Column("pending", sa.JSON()),
        sa.Column("previous_text", sa.Text()),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("thread_id", name="pk_threads"),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_threads_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_threads_user_id", "threads", ["user_id"])
    _create_messages()
    _create_events()
    op.create_table(
        "pack_state",
        sa.Column("pack", sa.String(64), nullable=False),
        sa.Column("sandbox", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(200), nullable=False),
        sa.Column("collection", sa.String(120), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("value", sa.JSON()),
        sa.PrimaryKeyConstraint("pack", "sandbox", "user_id", "collection", "key", name="pk_pack_state"),
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.String(64), nullable=False),
        sa.Column("turn_id", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("agent", sa.String(64)),
        sa.Column("outcome", sa.String(16)),
        sa.Column("model_messages", sa.Text()),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_messages"),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.thread_id"], name="fk_messages_thread_id", ondelete="CASCADE"),
    )
    op.create_index("ix_messages_thread_id_message_id", "messages", ["thread_id", "message_id"])


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("turn_id", sa.String(64), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("t_s", sa.Float(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("turn_id", "event_id", name="pk_events"),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.thread_id"], name="fk_events_thread_id", ondelete="CASCADE"),
    )
    op.create_index("ix_events_thread_id", "events", ["thread_id"])


def downgrade() -> None:
    for table in ("pack_state", "events", "messages", "threads", "users"):
        op.drop_table(table)
