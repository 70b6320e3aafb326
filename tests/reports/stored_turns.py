"""Databases of turns as an assistant leaves them, for the tests of `assay ops`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, insert

from assistant.memory.tables import EVENTS, MESSAGES, METADATA, THREADS, USERS

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def turn(
    ago_s: float,
    *,
    outcome: str | None = "answered",
    answer_s: float = 0.5,
    intent: str | None = "loans",
    usage: dict[str, Any] | None = None,
    tools: Sequence[tuple[str, bool | None]] = (),
    **more: Any,
) -> dict[str, Any]:
    """One turn `ago_s` before `NOW`. `tools`: name and success of each call, null for one without a result."""
    return {
        "ago_s": ago_s,
        "outcome": outcome,
        "answer_s": answer_s,
        "intent": intent,
        "usage": usage or {},
        "tools": tools,
        **more,
    }


def store(target: Path | str, turns: Sequence[dict[str, Any]]) -> Path | str:
    """An SQLite file or the database of a URL with these turns in it, each in a thread of its own."""
    url = f"sqlite:///{target}" if isinstance(target, Path) else target
    engine = create_engine(url)
    METADATA.create_all(engine)
    _fill(engine, turns)
    engine.dispose()
    return target


def _fill(engine: Engine, turns: Sequence[dict[str, Any]]) -> None:
    messages: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    threads: list[dict[str, Any]] = []
    for number, row in enumerate(turns):
        keys = {"thread_id": row.get("thread", f"thread-{number}"), "turn_id": f"turn-{number}"}
        at = (NOW - timedelta(seconds=row["ago_s"])).isoformat()
        threads.append({"thread_id": keys["thread_id"], "user_id": "ann", "pack": "desk", "created_at": at})
        said = {**keys, "text": "hello", "agent": None, "outcome": None, "created_at": row.get("created_at", at)}
        messages.append({**said, "role": "user"})
        if row["outcome"] is not None:
            agent = row.get("agent", "desk")
            messages.append({**said, "role": "assistant", "agent": agent, "outcome": row["outcome"]})
            events += [{**keys, "event_id": place + 1, **event} for place, event in enumerate(_events(row))]
    with engine.begin() as connection:
        connection.execute(insert(USERS), [{"user_id": "ann", "created_at": NOW.isoformat()}])
        for table, rows in ((THREADS, threads), (MESSAGES, messages), (EVENTS, events)):
            unique = {row["thread_id"]: row for row in rows}.values() if table is THREADS else rows
            if rows:
                connection.execute(insert(table), list(unique))


def _events(row: dict[str, Any]) -> list[dict[str, Any]]:
    end = row["answer_s"]
    found: list[tuple[str, dict[str, Any]]] = [
        ("meta", {"model": row.get("model", "ollama:llama")}),
        ("route", {"intent": row["intent"], "agent": row.get("agent", "desk")}),
    ]
    for place, (tool, ok) in enumerate(row["tools"]):
        called = {"call_id": f"call-{place}", "tool": tool}
        found.append(("tool_call", {**called, "arguments": {}}))
        if ok is not None:
            found.append(("tool_result", {**called, "ok": ok, "result": {}, "duration_s": 0.01}))
    found += [("node", {"name": "agent", "duration_s": end}), ("usage", _usage(row))]
    timed = [{"type": kind, "t_s": end * (place + 1) / len(found), "data": data} for place, (kind, data) in enumerate(found)]
    late = {"type": "feedback", "t_s": 900.0, "data": {"thumbs_up": row.get("thumbs_up")}}
    return [*timed, *([late] if "thumbs_up" in row else []), *row.get("events", [])]


def _usage(row: dict[str, Any]) -> dict[str, Any]:
    model = str(row.get("model", "ollama:llama")).rpartition(":")[2]
    return {"model": model, "input_tokens": 100, "output_tokens": 20, "model_calls": 1, "cost_usd": None, **row["usage"]}
