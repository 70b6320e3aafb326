"""What is stored, what is read back, and what the database refuses."""

import asyncio
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import pytest
from pydantic_ai import ModelRequest, ModelResponse, TextPart, UserPromptPart
from sqlalchemy import create_engine, func, insert, inspect, select
from sqlalchemy.exc import IntegrityError

from assistant.errors import StateReadOnly, StoreError
from assistant.faults import Faults
from assistant.memory import FinishedTurn, Said, Sandboxes, StoredEvent, StoredState, ThreadStore, open_database
from assistant.memory import migrate as migrating
from assistant.memory.migrations import HEAD
from assistant.memory.tables import METADATA, THREADS, USERS
from assistant.telemetry import Telemetry, quantile
from assistant.wire import Fault, SandboxRequest

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SEED = {"books": {"Emma": {"shelf": "A1"}, "Dune": {"shelf": "B2", "tags": ["sand"]}}}


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/below/assay.db"


ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request, url):
    address = request.getfixturevalue("postgresql") if request.param == "postgresql" else url
    async with open_database(address, Telemetry()) as opened:
        yield opened


@pytest.fixture
def threads(database):
    return ThreadStore(database)


def said(text, thread_id=None, turn_id="t1", user_id="ann"):
    return Said(thread_id=thread_id, turn_id=turn_id, user_id=user_id, pack="desk", text=text, at=NOW)


def finished(thread_id, text, turn_id="t1", **changes):
    exchange = [ModelRequest(parts=[UserPromptPart(content="q")]), ModelResponse(parts=[TextPart(content=text)])]
    fields = {
        "thread_id": thread_id,
        "turn_id": turn_id,
        "text": text,
        "agent": "loans",
        "outcome": "answered",
        "messages": exchange,
        "thread_agent": "loans",
        "pending": None,
        "previous_text": "q",
        "events": [StoredEvent(event_id=1, type="meta", t_s=0.1, data={"pack": "desk"})],
    }
    return FinishedTurn(**{**fields, **changes})


def state(database, sandbox="", faults=()):
    return StoredState(database, pack="desk", sandbox=sandbox, seed=SEED, faults=Faults(faults))


class TestSchema:
    @ON_SQLITE
    async def test_migrations_build_what_the_tables_say(self, database):
        assert await database.read("inspect", describe) == described_metadata()

    def test_head_is_the_newest_migration(self):
        names = sorted(path.name for path in (migrating.FOLDER / "versions").glob("*.py"))
        assert names[-1].startswith(f"{HEAD}_")

    async def test_opening_again_is_fast_and_keeps_what_is_there(self, url):
        async with open_database(url, Telemetry()) as database:
            await ThreadStore(database).accept(said("hello"))
        started = perf_counter()
        async with open_database(url, Telemetry()) as database:
            assert perf_counter() - started < 0.5
            assert await database.read("count", lambda connection: connection.scalar(insert_count())) == 1

    @ON_SQLITE
    async def test_every_connection_has_its_pragmas(self, database):
        def look(connection):
            together.wait(5)
            names = ("foreign_keys", "journal_mode", "busy_timeout", "synchronous")
            return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

        together = threading.Barrier(2)
        assert await asyncio.gather(database.read("a", look), database.read("b", look)) == [[1, "wal", 5000, 1]] * 2

    async def test_a_thread_without_its_user_is_refused(self, database):
        row = {"thread_id": "x", "user_id": "nobody", "pack": "desk", "created_at": ""}
        with pytest.raises(IntegrityError):
            await database.write("orphan", lambda connection: connection.execute(insert(THREADS).values(row)))

    async def test_a_database_of_a_newer_build_is_left_alone(self, url, tmp_path):
        async with open_database(url, Telemetry()):
            pass
        with sqlite3.connect(f"{tmp_path}/below/assay.db") as raw:
            raw.execute("update alembic_version set version_num = '9999'")
        raw.close()
        with pytest.raises(StoreError, match="'9999', which this build does not know"):
            async with open_database(url, Telemetry()):
                pass

    async def test_migrations_can_be_undone(self, database):
        from alembic import command
        from alembic.config import Config

        def down(connection):
            config = Config()
            config.set_main_option("script_location", str(migrating.FOLDER))
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            command.downgrade(config, "base")
            return inspect(connection).get_table_names()

        assert await database.write("down", down) == ["alembic_version"]

    @pytest.mark.parametrize(
        ("bad", "told"),
        [
            ("sqlite:////dev/null/x/assay.db", "cannot be made"),
            ("nonsense", "cannot be read"),
            ("nope:///x", "cannot be read"),
            ("mysql+notthere://x/y", "not installed|cannot be read"),
            ("postgresql+psycopg://u:secret@127.0.0.1:1/x", "not installed|cannot be opened"),
        ],
    )
    async def test_an_unusable_database_is_one_sentence(self, bad, told):
        with pytest.raises(StoreError, match=told) as caught:
            async with open_database(bad, Telemetry()):
                pass
        assert "secret" not in str(caught.value)

    async def test_a_file_that_is_no_database_is_one_sentence(self, tmp_path):
        (tmp_path / "assay.db").write_text("not a database, but long enough to be looked at as one " * 20)
        with pytest.raises(StoreError, match="file is not a database"):
            async with open_database(f"sqlite+aiosqlite:///{tmp_path}/assay.db", Telemetry()):
                pass


def insert_count():
    return select(func.count()).select_from(THREADS)


def describe(connection):
    looking = inspect(connection)
    return {
        table: (
            sorted((column["name"], str(column["type"]), column["nullable"]) for column in looking.get_columns(table)),
            looking.get_pk_constraint(table)["constrained_columns"],
            sorted((key["name"], tuple(key["options"].items())) for key in looking.get_foreign_keys(table)),
            sorted((index["name"], tuple(index["column_names"])) for index in looking.get_indexes(table)),
        )
        for table in looking.get_table_names()
        if table != "alembic_version"
    }


def described_metadata():
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        METADATA.create_all(connection)
        found = describe(connection)
    engine.dispose()
    return found


class TestThreads:
    async def test_what_was_accepted_is_there_before_any_answer(self, threads):
        opened = await threads.accept(said("first"))
        (message,) = await threads.messages(opened.thread.thread_id)
        assert (message.role, message.text, message.outcome) == ("user", "first", None)
        assert opened.history() == []

    async def test_a_finished_turn_changes_the_threads_standing(self, threads):
        thread_id = (await threads.accept(said("q"))).thread.thread_id
        await threads.finish(finished(thread_id, "a", pending={"tool": "x"}), NOW)
        thread = await threads.find(thread_id)
        assert (thread.agent, thread.pending, thread.previous_text) == ("loans", {"tool": "x"}, "q")
        await threads.finish(finished(thread_id, "b", turn_id="t2"), NOW)
        assert (await threads.find(thread_id)).pending is None

    async def test_history_holds_the_newest_turns_in_order_without_those_nobody_took(self, threads):
        thread_id = (await threads.accept(said("q"))).thread.thread_id
        for number in range(3):
            await threads.finish(finished(thread_id, f"a{number}", turn_id=f"t{number}"), NOW)
        await threads.finish(finished(thread_id, "no", turn_id="t9", messages=[], agent="none"), NOW)
        conversation = await threads.conversation(thread_id, turns=2)
        assert [part.content for message in conversation.messages for part in message.parts] == ["q", "a1", "q", "a2"]
        assert conversation.conversation_id == thread_id
        opened = await threads.accept(said("more", thread_id, turn_id="t10"))
        assert [message.parts[0].content for message in opened.history()] == ["q", "a0", "q", "a1", "q", "a2"]

    async def test_another_users_thread_takes_nothing(self, threads):
        thread_id = (await threads.accept(said("mine"))).thread.thread_id
        assert await threads.accept(said("yours?", thread_id, turn_id="t2", user_id="bob")) is None
        assert await threads.accept(said("lost?", "nowhere", turn_id="t3")) is None
        assert [message.text for message in await threads.messages(thread_id)] == ["mine"]
        assert await threads.find("nowhere") is None

    async def test_finishing_is_all_or_nothing(self, threads):
        thread_id = (await threads.accept(said("q"))).thread.thread_id
        twice = [StoredEvent(event_id=1, type="meta", t_s=0, data={})] * 2
        with pytest.raises(IntegrityError):
            await threads.finish(finished(thread_id, "a", events=twice), NOW)
        assert [message.role for message in await threads.messages(thread_id)] == ["user"]
        assert (await threads.find(thread_id)).agent is None

    async def test_events_come_back_in_order(self, threads):
        thread_id = (await threads.accept(said("q"))).thread.thread_id
        events = [StoredEvent(event_id=number, type="node", t_s=number / 10, data={"n": number}) for number in (2, 1)]
        await threads.finish(finished(thread_id, "a", events=events), NOW)
        assert await threads.events("t1") == events[::-1]
        await threads.finish(finished(thread_id, "b", turn_id="t2", events=[]), NOW)
        assert await threads.events("t2") == []

    async def test_concurrent_turns_lose_nothing(self, threads):
        async def turn(number):
            opened = await threads.accept(said(f"m{number}", turn_id=f"t{number}", user_id=f"u{number % 3}"))
            await threads.finish(finished(opened.thread.thread_id, "a", turn_id=f"t{number}"), NOW)
            return opened.thread.thread_id

        ids = await asyncio.gather(*(turn(number) for number in range(40)))
        kept = [len(await threads.messages(thread_id)) for thread_id in ids]
        assert kept == [2] * 40

    async def test_a_cancelled_write_ends_whole_and_leaves_the_database_usable(self, threads, database):
        started, go_on = threading.Event(), threading.Event()

        def slow(connection):
            connection.execute(insert(USERS).values(user_id="slow", created_at=""))
            started.set()
            go_on.wait(5)

        task = asyncio.create_task(database.write("slow", slow))
        await asyncio.to_thread(started.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await threads.accept(said("still works", user_id="slow"))
        assert [name for name, _ in database.query_durations()] == ["slow", "turn.accept"]

    async def test_a_query_that_raises_writes_nothing(self, database):
        def breaks(connection):
            connection.execute(insert(USERS).values(user_id="half", created_at=""))
            raise LookupError

        with pytest.raises(LookupError):
            await database.write("breaks", breaks)
        assert await database.read("count", lambda connection: connection.scalar(select(func.count()).select_from(USERS))) == 0

    @ON_SQLITE
    async def test_another_process_that_writes_is_waited_for(self, threads, tmp_path):
        with sqlite3.connect(f"{tmp_path}/below/assay.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(threads.accept(said("patient")))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            other.execute("COMMIT")
            assert (await waiting) is not None
        other.close()

    async def test_queries_are_timed_by_name(self, threads, database):
        thread_id = (await threads.accept(said("q"))).thread.thread_id
        await threads.conversation(thread_id)
        names, seconds = zip(*database.query_durations(), strict=True)
        assert names == ("turn.accept", "thread.load")
        assert all(0 < value < 1 for value in seconds)

    async def test_words_on_a_turn_said_at_once_are_all_kept_in_order(self, threads):
        thread_id = (await threads.accept(said("q"))).thread.thread_id
        assert not await threads.add_feedback("t1", "ann", {"thumbs_up": True}, NOW)
        await threads.finish(finished(thread_id, "a"), NOW)
        words = [threads.add_feedback("t1", "ann", {"thumbs_up": True, "comment": str(number)}, NOW) for number in range(8)]
        assert await asyncio.gather(*words) == [True] * 8
        assert not await threads.add_feedback("t1", "bob", {"thumbs_up": True}, NOW)
        kept = [event for event in await threads.events("t1") if event.type == "feedback"]
        assert [event.event_id for event in kept] == list(range(2, 10))
        assert sorted(event.data["comment"] for event in kept) == [str(number) for number in range(8)]


class TestState:
    async def test_reads_fall_through_to_the_seed(self, database):
        shared = state(database)
        assert await shared.get("books", "Emma") == {"shelf": "A1"}
        assert await shared.get("books", "Nope") is None
        assert await shared.get("nope", "Emma") is None
        assert list(await shared.items("books")) == ["Dune", "Emma"]

    async def test_writes_lie_over_the_seed_and_removals_hide_it(self, database):
        shared = state(database)
        await shared.put("books", "Emma", {"shelf": "C3"})
        await shared.put("books", "Emma", {"shelf": "C4"})
        await shared.put("notes", "n", {"text": "new"})
        await shared.delete("books", "Dune")
        assert await shared.get("books", "Dune") is None
        assert await shared.items("books") == {"Emma": {"shelf": "C4"}}
        assert await shared.merged() == {"books": {"Emma": {"shelf": "C4"}}, "notes": {"n": {"text": "new"}}}
        assert SEED["books"]["Dune"]["shelf"] == "B2"

    async def test_a_tool_that_changes_what_it_read_changes_nothing(self, database):
        shared = state(database)
        book = await shared.get("books", "Dune")
        book["tags"].append("spice")
        assert await shared.get("books", "Dune") == {"shelf": "B2", "tags": ["sand"]}

    async def test_an_emptied_collection_is_left_out(self, database):
        shared = state(database)
        for title in ("Emma", "Dune"):
            await shared.delete("books", title)
        assert await shared.merged() == {}

    async def test_sandboxes_see_neither_each_other_nor_the_shared_state(self, database):
        sandboxes = Sandboxes(database, pack="desk", seed=SEED, enabled=True)
        first = await sandboxes.create(SandboxRequest(pack="desk", fixtures={"books": {"Emma": None, "Ulysses": {"shelf": "Z"}}}))
        second = await sandboxes.create(SandboxRequest(pack="desk"))
        await sandboxes.state(first, Faults()).put("books", "Dune", {"shelf": "moved"})
        await sandboxes.state(None, Faults()).put("books", "Emma", {"shelf": "shared"})
        assert await sandboxes.merged(first) == {"books": {"Dune": {"shelf": "moved"}, "Ulysses": {"shelf": "Z"}}}
        assert await sandboxes.merged(second) == {"books": dict(sorted(SEED["books"].items()))}

    async def test_faults_belong_to_the_sandbox_and_are_used_up(self, database):
        sandboxes = Sandboxes(database, pack="desk", seed=SEED, enabled=True)
        faults = [Fault(kind="store_read_only", times=1)]
        sandbox = await sandboxes.create(SandboxRequest(pack="desk", fixtures={"books": {"New": {}}}, faults=faults))
        opened = sandboxes.state(sandbox, sandboxes.faults(sandbox))
        with pytest.raises(StateReadOnly):
            await opened.put("books", "Emma", {})
        await opened.delete("books", "Emma")
        assert sorted((await sandboxes.merged(sandbox))["books"]) == ["Dune", "New"]
        assert sandboxes.faults(None).take("store_read_only") is None

    async def test_state_queries_stay_far_below_the_target(self, database):
        shared = state(database)
        for number in range(50):
            await shared.put("books", f"b{number}", {"n": number})
            await shared.items("books")
        seconds = [value for _, value in database.query_durations()]
        assert quantile(seconds, 0.95) < 0.1


def test_a_fault_for_one_tool_spares_the_others():
    faults = Faults([Fault(kind="tool_error", tool="lend", times=2), Fault(kind="tool_error", tool="count")])
    taken = [faults.take("tool_error", tool) is not None for tool in ("lend", "other", "lend", "lend", "count", "count")]
    assert taken == [True, False, True, False, True, True]
    assert faults.take("model_error") is None


def test_migrations_ship_with_the_package():
    files = {path.name for path in Path(migrating.FOLDER).rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {"env.py", "script.py.mako", "0001_first_tables.py"} <= files
