"""Reads the turns that assistants stored, without writing a byte to their databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import isfinite
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import ColumnElement, Connection, Engine, NullPool, create_engine, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from assistant.memory.tables import EVENTS, MESSAGES
from evals.errors import EvidenceError, UsageError
from reports.ops_turns import UNKNOWN, StoredTurn, ToolUse

TOLD_BY = ("meta", "route", "tool_call", "tool_result", "usage", "error", "feedback")
STILL_RUNNING = timedelta(minutes=2)
"""A message without an answer that is younger may still get one; it is left out."""
STORES = ("assay.db", "store*/assay.db", "*/store*/assay.db")

Data = Mapping[str, Any]
Stored = tuple[str, float, Data]
"""Type, `t_s` and data of an event."""
Asked = tuple[str, datetime]
"""Thread and time."""
Answered = tuple[str | None, str | None]
"""Outcome and agent."""


def read_turns(source: str, *, now: datetime, since: datetime | None = None) -> list[StoredTurn]:
    """Turns of a database URL, an SQLite file, a run folder or a folder of runs, accepted at or after `since`.

    A turn's `usage` event may tell `cache_hit`, a `feedback` event `thumbs_up`, both true or false. Raises `UsageError` when
    `source` holds no store of turns and `EvidenceError` when a store is damaged.
    """
    return [turn for engine in _engines(source) for turn in _read(engine, now, since)]


def shown(source: str) -> str:
    """`source` without user, password and options."""
    if "://" not in source:
        return source
    url = make_url(source)
    return f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"


def _engines(source: str) -> Iterator[Engine]:
    try:
        url = make_url(source) if "://" in source else None
        if url is not None and url.get_backend_name() != "sqlite":
            yield create_engine(url, poolclass=NullPool).execution_options(postgresql_readonly=True)
            return
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--from: the database driver {error.name!r} is not installed; write postgresql+psycopg://..."
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise UsageError("--from: the database URL cannot be read; give one such as sqlite:////folder/assay.db") from error
    for file in _files(Path((url.database or "") if url is not None else source)):
        yield _sqlite(file)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted({file for pattern in STORES for file in path.glob(pattern)}) if path.is_dir() else []
    if not found:
        fault = "holds no store of an assistant" if path.is_dir() else "no such file or folder"
        raise UsageError(f"--from {path}: {fault}; give a run folder, an assay.db or a database URL, or use the assistant first")
    return found


def _sqlite(file: Path) -> Engine:
    return create_engine("sqlite://", creator=lambda: _connect(file.resolve()), poolclass=NullPool)


def _connect(file: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(file))}?mode=ro"
    connection = sqlite3.connect(uri, uri=True)
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")
    except sqlite3.OperationalError:
        connection.close()
        if file.with_name(f"{file.name}-wal").exists():
            raise
        # A reader of a write-ahead log makes files beside the database, and this folder takes none: then nobody writes here either.
        return sqlite3.connect(f"{uri}&immutable=1", uri=True)
    return connection


def _read(engine: Engine, now: datetime, since: datetime | None) -> list[StoredTurn]:
    where = engine.url.database or "the database"
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                # Both queries must see the same moment, and this driver begins no transaction to read.
                connection.exec_driver_sql("BEGIN")
            return _turns(connection, now, since)
    except DBAPIError as error:
        fault = str(error.orig).strip().splitlines()[0]
        raise UsageError(f"--from: no turns can be read from {where} ({fault}); give the database of an assistant") from error
    except ValueError as error:
        raise EvidenceError(f"--from: {error}; the database is damaged or not an assistant's") from error


def _turns(connection: Connection, now: datetime, since: datetime | None) -> list[StoredTurn]:
    asked, answers = _messages(connection, since)
    told = select(EVENTS.c.turn_id, EVENTS.c.type, EVENTS.c.t_s, EVENTS.c.data).where(EVENTS.c.type.in_(TOLD_BY))
    if since is not None:
        told = told.where(EVENTS.c.turn_id.in_(select(MESSAGES.c.turn_id).where(_about(since))))
    # Tool results can be large, so only the events of one turn are held at a time.
    rows = connection.execution_options(yield_per=1000).execute(told.order_by(EVENTS.c.turn_id, EVENTS.c.event_id))
    found: list[StoredTurn] = []
    for turn_id, events in groupby(rows, key=itemgetter(0)):
        if turn_id in asked and turn_id in answers:
            stored: list[Stored] = [(kind, t_s, data if isinstance(data, dict) else {}) for _, kind, t_s, data in events]
            found.append(_turn(asked.pop(turn_id), answers[turn_id], stored))
    silent = ((turn_id, at) for turn_id, (_, at) in asked.items() if turn_id in answers or not at <= now < at + STILL_RUNNING)
    return found + [_turn(asked[turn_id], answers.get(turn_id, (None, None)), []) for turn_id, _ in silent]


def _messages(connection: Connection, since: datetime | None) -> tuple[dict[str, Asked], dict[str, Answered]]:
    """Questions accepted at or after `since`, and answers, by turn."""
    columns = (
        MESSAGES.c.turn_id,
        MESSAGES.c.role,
        MESSAGES.c.thread_id,
        MESSAGES.c.outcome,
        MESSAGES.c.agent,
        MESSAGES.c.created_at,
    )
    query = select(*columns) if since is None else select(*columns).where(_about(since))
    asked: dict[str, Asked] = {}
    answers: dict[str, Answered] = {}
    for turn_id, role, thread, outcome, agent, created_at in connection.execute(query):
        if role != "user":
            answers[turn_id] = outcome, agent
        elif since is None or _moment(created_at, turn_id) >= since:
            asked[turn_id] = thread, _moment(created_at, turn_id)
    return asked, answers


def _about(since: datetime) -> ColumnElement[bool]:
    """Times are text with any offset, so the database takes a day too many and Python decides."""
    return MESSAGES.c.created_at >= (since.astimezone(UTC) - timedelta(days=1)).isoformat()


def _moment(text: str, turn_id: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"turn {turn_id}: created_at {text[:40]!r} is not an ISO time") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _turn(asked: Asked, answer: Answered, events: list[Stored]) -> StoredTurn:
    last: dict[str, Data] = {kind: data for kind, _, data in events}
    meta, route, usage, feedback = (last.get(kind, {}) for kind in ("meta", "route", "usage", "feedback"))
    into, out = (_number(usage.get(name)) for name in ("input_tokens", "output_tokens"))
    return StoredTurn(
        at=asked[1],
        thread=asked[0],
        outcome=answer[0],
        agent=answer[1] or UNKNOWN,
        intent=_text(route.get("intent")),
        model=_text(meta.get("model")),
        answered_by=_text(usage.get("model")),
        answer_s=max(filter(None, (_number(t_s) for kind, t_s, _ in events if kind != "feedback")), default=None),
        input_tokens=None if into is None else int(into),
        output_tokens=None if out is None else int(out),
        cost_usd=_number(usage.get("cost_usd")),
        cache_hit=_flag(usage.get("cache_hit")),
        thumbs_up=_flag(feedback.get("thumbs_up")),
        tools=tuple(_tool_uses(events)),
    )


def _tool_uses(events: Iterable[Stored]) -> Iterator[ToolUse]:
    """Calls in the order they were made; a call whose result was not stored has none."""
    rows = [(kind, data) for kind, _, data in events if kind in ("tool_call", "tool_result")]
    results = {str(data.get("call_id")): data for kind, data in rows if kind == "tool_result"}
    failing: set[str] = set()
    for kind, data in rows:
        tool = _text(data.get("tool"))
        if kind == "tool_call":
            result = results.get(str(data.get("call_id")), {})
            yield ToolUse(
                tool=tool, ok=_flag(result.get("ok")), duration_s=_number(result.get("duration_s")), retry=tool in failing
            )
        elif data.get("ok") is False:
            failing.add(tool)
        else:
            failing.discard(tool)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and value >= 0 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) and value else UNKNOWN
