"""Conversations: who said what in which thread, and what the models said to each other meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import JsonValue
from pydantic_ai import Conversation, ModelMessage, ModelMessagesTypeAdapter
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.memory.database import Database
from assistant.memory.tables import EVENTS, MESSAGES, THREADS, USERS

HISTORY_TURNS = 50
Question = Mapping[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class Message:
    """`agent` and `outcome` are null for what the user said."""

    turn_id: str
    role: Literal["user", "assistant"]
    text: str
    agent: str | None
    outcome: str | None
    created_at: str


@dataclass(frozen=True, kw_only=True)
class Thread:
    """`agent` is who answered last, `pending` the open question of that answer, `previous_text` what the user said before."""

    thread_id: str
    user_id: str
    pack: str
    agent: str | None
    pending: Question | None
    previous_text: str | None


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    event_id: int
    type: str
    t_s: float
    data: Mapping[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class FinishedTurn:
    """What a turn leaves behind. `thread_agent` and `pending` become the thread's."""

    thread_id: str
    turn_id: str
    text: str
    agent: str
    outcome: str
    messages: Sequence[ModelMessage]
    thread_agent: str | None
    pending: Question | None
    events: Sequence[StoredEvent]


class ThreadStore:
    """Threads in a database. Times are ISO 8601."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, thread_id: str) -> Thread | None:
        async with self._database.read("thread.find") as connection:
            row = (await connection.execute(select(THREADS).where(THREADS.c.thread_id == thread_id))).mappings().one_or_none()
            if row is None:
                return None
            said = await connection.scalar(
                select(MESSAGES.c.text)
                .where(MESSAGES.c.thread_id == thread_id, MESSAGES.c.role == "user")
                .order_by(MESSAGES.c.message_id.desc())
                .limit(1)
            )
        return Thread(
            thread_id=thread_id,
            user_id=row["user_id"],
            pack=row["pack"],
            agent=row["agent"],
            pending=row["pending"],
            previous_text=said,
        )

    async def accept(self, thread: Thread, *, turn_id: str, text: str, now: datetime, new: bool) -> None:
        """Keep what the user said, with the thread and the user when `new`. After this returns, it cannot be lost."""
        at = now.isoformat()
        async with self._database.write("turn.accept") as connection:
            if new:
                await _ensure_user(connection, thread.user_id, at)
                row = {"thread_id": thread.thread_id, "user_id": thread.user_id, "pack": thread.pack, "created_at": at}
                await connection.execute(insert(THREADS).values(row))
            said = {"thread_id": thread.thread_id, "turn_id": turn_id, "role": "user", "text": text, "created_at": at}
            await connection.execute(insert(MESSAGES).values(said))

    async def finish(self, turn: FinishedTurn, now: datetime) -> None:
        """Keep the answer, the model messages, the events and the thread's new standing, all or nothing."""
        answer = {
            "thread_id": turn.thread_id,
            "turn_id": turn.turn_id,
            "role": "assistant",
            "text": turn.text,
            "agent": turn.agent,
            "outcome": turn.outcome,
            "model_messages": ModelMessagesTypeAdapter.dump_json(list(turn.messages)).decode(),
            "created_at": now.isoformat(),
        }
        events = [
            {
                "turn_id": turn.turn_id,
                "event_id": event.event_id,
                "thread_id": turn.thread_id,
                "type": event.type,
                "t_s": event.t_s,
                "data": dict(event.data),
            }
            for event in turn.events
        ]
        standing = {"agent": turn.thread_agent, "pending": None if turn.pending is None else dict(turn.pending)}
        async with self._database.write("turn.finish") as connection:
            await connection.execute(insert(MESSAGES).values(answer))
            if events:
                await connection.execute(insert(EVENTS), events)
            await connection.execute(update(THREADS).where(THREADS.c.thread_id == turn.thread_id).values(standing))

    async def conversation(self, thread_id: str, *, turns: int = HISTORY_TURNS) -> Conversation:
        """The newest `turns` answered turns as a conversation that an agent can continue, oldest first."""
        async with self._database.read("thread.load") as connection:
            rows = await connection.execute(
                select(MESSAGES.c.model_messages)
                .where(MESSAGES.c.thread_id == thread_id, MESSAGES.c.role == "assistant")
                .order_by(MESSAGES.c.message_id.desc())
                .limit(turns)
            )
            stored = [text for (text,) in rows.all() if text]
        messages = [message for text in reversed(stored) for message in ModelMessagesTypeAdapter.validate_json(text)]
        return Conversation(messages=messages, conversation_id=thread_id)

    async def messages(self, thread_id: str) -> list[Message]:
        """Everything said in the thread, oldest first."""
        columns = (
            MESSAGES.c.turn_id,
            MESSAGES.c.role,
            MESSAGES.c.text,
            MESSAGES.c.agent,
            MESSAGES.c.outcome,
            MESSAGES.c.created_at,
        )
        async with self._database.read("thread.messages") as connection:
            query = select(*columns).where(MESSAGES.c.thread_id == thread_id).order_by(MESSAGES.c.message_id)
            return [Message(**row) for row in (await connection.execute(query)).mappings()]

    async def events(self, turn_id: str) -> list[StoredEvent]:
        """The stored events of a turn in order; tokens and `done` are not stored, the answer is."""
        columns = (EVENTS.c.event_id, EVENTS.c.type, EVENTS.c.t_s, EVENTS.c.data)
        async with self._database.read("turn.events") as connection:
            query = select(*columns).where(EVENTS.c.turn_id == turn_id).order_by(EVENTS.c.event_id)
            return [StoredEvent(**row) for row in (await connection.execute(query)).mappings()]


async def _ensure_user(connection: AsyncConnection, user_id: str, at: str) -> None:
    known = await connection.scalar(select(USERS.c.user_id).where(USERS.c.user_id == user_id))
    if known is None:
        await connection.execute(insert(USERS).values(user_id=user_id, created_at=at))
