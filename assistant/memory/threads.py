"""Conversations: who said what in which thread, and what the models said to each other meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import uuid4

from pydantic import JsonValue
from pydantic_ai import Conversation, ModelMessage, ModelMessagesTypeAdapter
from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from assistant.memory.database import Database
from assistant.memory.tables import EVENTS, MESSAGES, THREADS, USERS

HISTORY_TURNS = 50
Question = Mapping[str, JsonValue]
THREAD_COLUMNS = tuple(THREADS.c[name] for name in ("thread_id", "user_id", "pack", "agent", "pending", "previous_text"))


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
    """`agent` is who answered last, `pending` the open question of that answer, `previous_text` what that answer was to."""

    thread_id: str
    user_id: str
    pack: str
    agent: str | None
    pending: Question | None
    previous_text: str | None


@dataclass(frozen=True, kw_only=True)
class Said:
    """A user message to keep. Without `thread_id` it starts a thread."""

    thread_id: str | None
    turn_id: str
    user_id: str
    pack: str
    text: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A thread as it was before the message. `stored` holds the model messages of its newest turns, newest first."""

    thread: Thread
    stored: Sequence[str]

    def history(self) -> list[ModelMessage]:
        """What the agents of the thread read: at most 50 turns, oldest first."""
        return _parsed(self.stored)


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    event_id: int
    type: str
    t_s: float
    data: Mapping[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class FinishedTurn:
    """What a turn leaves behind. `thread_agent`, `pending` and `previous_text` become the thread's. Without `messages` no agent took part."""

    thread_id: str
    turn_id: str
    text: str
    agent: str
    outcome: str
    messages: Sequence[ModelMessage]
    thread_agent: str | None
    pending: Question | None
    previous_text: str | None
    events: Sequence[StoredEvent]


class ThreadStore:
    """Threads in a database. Times are ISO 8601."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # The first use builds a schema for a tenth of a second, which no turn should wait for.
        ModelMessagesTypeAdapter.dump_json([])

    async def find(self, thread_id: str) -> Thread | None:
        return await self._database.read("thread.find", lambda connection: _thread(connection, thread_id))

    async def accept(self, said: Said) -> Opened | None:
        """Keep what the user said and read the thread as it was before, all in one transaction.

        After this returns the message cannot be lost. Null, and nothing kept, when the user has no such thread in this pack.
        """
        return await self._database.write("turn.accept", lambda connection: _accept(connection, said))

    async def finish(self, turn: FinishedTurn, now: datetime) -> None:
        """Keep the answer, the model messages, the events and the thread's new standing, all or nothing."""
        answer = {
            "thread_id": turn.thread_id,
            "turn_id": turn.turn_id,
            "role": "assistant",
            "text": turn.text,
            "agent": turn.agent,
            "outcome": turn.outcome,
            "model_messages": ModelMessagesTypeAdapter.dump_json(list(turn.messages)).decode() if turn.messages else None,
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
        standing = {
            "agent": turn.thread_agent,
            "pending": None if turn.pending is None else dict(turn.pending),
            "previous_text": turn.previous_text,
        }

        def write(connection: Connection) -> None:
            connection.execute(insert(MESSAGES).values(answer))
            if events:
                connection.execute(insert(EVENTS), events)
            connection.execute(update(THREADS).where(THREADS.c.thread_id == turn.thread_id).values(standing))

        await self._database.write("turn.finish", write)

    async def conversation(self, thread_id: str, *, turns: int = HISTORY_TURNS) -> Conversation:
        """The newest `turns` turns that an agent took, as a conversation another can continue, oldest first."""
        stored = await self._database.read("thread.load", lambda connection: _stored(connection, thread_id, turns))
        return Conversation(messages=_parsed(stored), conversation_id=thread_id)

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
        query = select(*columns).where(MESSAGES.c.thread_id == thread_id).order_by(MESSAGES.c.message_id)
        rows = await self._database.read("thread.messages", lambda connection: connection.execute(query).mappings().all())
        return [Message(**row) for row in rows]

    async def add_feedback(self, turn_id: str, user_id: str, data: Mapping[str, object], now: datetime) -> bool:
        """Keep a `feedback` event with an answered turn, timed from its answer; false when the user has no such turn."""
        return await self._database.write(
            "turn.feedback", lambda connection: _add_feedback(connection, turn_id, user_id, data, now)
        )

    async def events(self, turn_id: str) -> list[StoredEvent]:
        """The stored events of a turn in order; tokens and `done` are not stored, the answer is."""
        columns = (EVENTS.c.event_id, EVENTS.c.type, EVENTS.c.t_s, EVENTS.c.data)
        query = select(*columns).where(EVENTS.c.turn_id == turn_id).order_by(EVENTS.c.event_id)
        rows = await self._database.read("turn.events", lambda connection: connection.execute(query).mappings().all())
        return [StoredEvent(**row) for row in rows]


def _add_feedback(connection: Connection, turn_id: str, user_id: str, event: Mapping[str, object], now: datetime) -> bool:
    ours = THREADS.c.thread_id == MESSAGES.c.thread_id
    answered = select(MESSAGES.c.thread_id, MESSAGES.c.created_at).join(THREADS, ours)
    answered = answered.where(MESSAGES.c.turn_id == turn_id, MESSAGES.c.role == "assistant", THREADS.c.user_id == user_id)
    # The row is held so that two words at a time get two numbers.
    found = connection.execute(answered.with_for_update(of=MESSAGES)).one_or_none()
    if found is None:
        return False
    newest = connection.execute(select(func.max(EVENTS.c.event_id)).where(EVENTS.c.turn_id == turn_id)).scalar() or 0
    after_s = (now - datetime.fromisoformat(found.created_at)).total_seconds()
    row = {"turn_id": turn_id, "event_id": newest + 1, "thread_id": found.thread_id, "type": "feedback", "t_s": max(0.0, after_s)}
    connection.execute(insert(EVENTS).values(**row, data=dict(event)))
    return True


def _accept(connection: Connection, said: Said) -> Opened | None:
    if said.thread_id is None:
        thread = _create(connection, said)
    else:
        found = _thread(connection, said.thread_id)
        if found is None or (found.user_id, found.pack) != (said.user_id, said.pack):
            return None
        thread = found
    message = {"thread_id": thread.thread_id, "turn_id": said.turn_id, "role": "user", "text": said.text}
    connection.execute(insert(MESSAGES).values(**message, created_at=said.at.isoformat()))
    return Opened(thread=thread, stored=_stored(connection, thread.thread_id, HISTORY_TURNS) if thread.agent else [])


def _thread(connection: Connection, thread_id: str) -> Thread | None:
    row = connection.execute(select(*THREAD_COLUMNS).where(THREADS.c.thread_id == thread_id)).mappings().one_or_none()
    return None if row is None else Thread(**row)


def _create(connection: Connection, said: Said) -> Thread:
    at = said.at.isoformat()
    _know(connection, said.user_id, at)
    thread_id = uuid4().hex
    row = {"thread_id": thread_id, "user_id": said.user_id, "pack": said.pack, "created_at": at}
    connection.execute(insert(THREADS).values(row))
    return Thread(thread_id=thread_id, user_id=said.user_id, pack=said.pack, agent=None, pending=None, previous_text=None)


def _know(connection: Connection, user_id: str, at: str) -> None:
    """Two first turns of one user may come at once, so the database decides who was first."""
    dialect_insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(dialect_insert(USERS).values(user_id=user_id, created_at=at).on_conflict_do_nothing())


def _stored(connection: Connection, thread_id: str, turns: int) -> list[str]:
    rows = connection.execute(
        select(MESSAGES.c.model_messages)
        .where(MESSAGES.c.thread_id == thread_id, MESSAGES.c.model_messages.is_not(None))
        .order_by(MESSAGES.c.message_id.desc())
        .limit(turns)
    )
    return [text for (text,) in rows.all()]


def _parsed(newest_first: Sequence[str]) -> list[ModelMessage]:
    return [message for text in reversed(newest_first) for message in ModelMessagesTypeAdapter.validate_json(text)]
