"""A store that is away for a while: one clear error meanwhile, and no restart afterwards."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import make_url

from assistant.server.app import create_app
from assistant.wire import ErrorEvent, EventAdapter, TurnRequest
from evals.errors import TargetError, UsageError
from evals.stores import PostgresDatabase, fresh_database


@dataclass
class Sqlite:
    """Gone: another process renamed its table."""

    path: Path

    def take_away(self) -> None:
        self._rename("messages", "elsewhere")

    def give_back(self) -> None:
        self._rename("elsewhere", "messages")

    def _rename(self, one: str, other: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(f"ALTER TABLE {one} RENAME TO {other}")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, desk: Any) -> Any:
    if request.param == "sqlite":
        return Sqlite(Path(make_url(desk.settings.database_url).database or ""))
    url = make_url(request.getfixturevalue("postgresql"))
    desk.configure(database_url=url.render_as_string(hide_password=False))
    return PostgresDatabase(url.set(database="postgres"), url.database or "")


def test_a_server_without_its_store_says_so_and_goes_on_when_it_is_back(desk: Any, store: Any, caplog: Any) -> None:
    with TestClient(create_app(desk.settings, pack=desk.pack, parts=desk.parts)) as http:
        asked = {"json": {"message": "loans"}}
        assert http.post("/v1/turns", **asked).status_code == 200
        store.take_away()
        refused = [http.post("/v1/turns", **asked), http.post("/v1/turns/stream", **asked)]
        with http.websocket_connect("/v1/ws") as talk:
            talk.send_text(json.dumps({"message": "loans"}))
            told = talk.receive_json()["error"]
            assert told["code"] == "store_unavailable"
            store.give_back()
            talk.send_text(json.dumps({"message": "loans"}))
            kinds = [talk.receive_json()["type"]]
            while kinds[-1] != "done":
                kinds.append(talk.receive_json()["type"])
            assert kinds[0] == "meta", "the connection stayed open"
        for answer in refused:
            assert (answer.status_code, answer.json()["error"]) == (503, told)
        assert told["message"] == "Conversations cannot be kept at the moment, so nothing was answered. Try again later."
        assert http.post("/v1/turns", **asked).status_code == 200
    assert "the store is unavailable: turn.accept: " in caplog.text
    assert "Traceback" not in caplog.text


async def test_an_answer_that_cannot_be_kept_is_told_and_its_message_stays(desk: Any, store: Any, caplog: Any) -> None:
    async with desk.open() as assistant:
        events = []
        async for event in assistant.stream(TurnRequest(message="loans")):
            events.append(event)
            if event.type == "token" and len([one for one in events if one.type == "token"]) == 1:
                store.take_away()
        (error,) = [event for event in events if isinstance(event, ErrorEvent)]
        assert (error.code, events[-1].type) == ("store_unavailable", "done")
        store.give_back()
        (kept,) = await assistant.thread_messages(events[0].thread_id, "anonymous")
        assert kept.text == "loans"
        assert EventAdapter.validate_json(events[-1].model_dump_json()).outcome == "error"
    assert "could not be kept: turn.finish: " in caplog.text and "Traceback" not in caplog.text


def test_a_database_is_made_for_a_run_and_dropped(postgresql: str) -> None:
    server = make_url(postgresql)
    with fresh_database(postgresql) as database:
        name = make_url(database.url).database or ""
        assert name.startswith("assay_load_")
        with pytest.raises(TargetError, match=f'database "{name}" already exists; the role must be able to make databases'):
            database.create()
    with pytest.raises(TargetError, match="does not exist"):
        PostgresDatabase(server, name).give_back()


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("sqlite:////tmp/a.db", "is no PostgreSQL server; give postgresql"),
        ("nonsense", "--database: cannot be read; give postgresql"),
        ("postgresql+nothing://h/d", "--database: cannot be read"),
        ("postgresql+psycopg2://h/d", "the driver 'psycopg2' is not installed; pip install"),
    ],
)
def test_what_is_no_postgresql_server_is_a_usage_error(url: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault), fresh_database(url):
        pass


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with (
        pytest.raises(TargetError, match=r"u:\*\*\*@127.0.0.1:1") as failed,
        fresh_database("postgresql+psycopg://u:secret@127.0.0.1:1/x"),
    ):
        pass
    assert "secret" not in str(failed.value)
