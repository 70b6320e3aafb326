"""A pack nobody has seen before, with the real encoder, router, library and embedded model behind the real server."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx2
import pytest

from assistant.build import load_parts, open_assistant
from assistant.pack import Pack
from assistant.server.app import create_app
from assistant.settings import Settings
from assistant.wire import CitationEvent, RouteEvent, SandboxRequest, TurnRequest, TurnResponse

UTTERANCES = {
    ("lending", "loans"): [
        "lend me the book Emma",
        "I want to borrow Dune",
        "can I take this novel home",
        "check out a book for me",
        "how many books do you have",
        "count the books on the shelf",
        "what is the fine for a late book",
        "my novel is overdue, what do I pay",
        "borrow a paperback",
        "I would like to lend a novel",
    ],
    ("meeting", "rooms"): [
        "book a meeting room",
        "reserve a study room for four people",
        "I need a room with six seats",
        "is a quiet room free",
        "book a room for our group",
        "reserve the conference room",
        "a room for a workshop",
        "we need a place to meet",
        "get us a study room",
        "room for two seats please",
    ],
    ("other", "none"): [
        "what is the capital of France",
        "tell me a joke",
        "write a poem",
        "who won the football game",
        "translate this to German",
        "fix my computer",
        "what is the weather tomorrow",
        "best pizza recipe",
        "how tall is the Eiffel tower",
        "book a flight to Rome",
    ],
}
FEES = """\
---
id: fees
title: Library fees
version: 1
agents: [loans]
sources: [written for this test]
---
## What does a late book cost?
A late book costs 10 cents for every day after the due date.
## How is a fine paid?
Fines are paid in cash at the front desk.
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("end-to-end")
    return Settings.from_environ({"ASSAY_STATE_DIR": f"{folder}/data", "ASSAY_CACHE_DIR": f"{folder}/cache"})


@pytest.fixture
def library_desk(desk_folder):
    rows = [
        {"text": text, "intent": intent, "agent": agent, "family": f"{intent}-{number}"}
        for (intent, agent), texts in UTTERANCES.items()
        for number, text in enumerate(texts)
    ]
    (desk_folder / "utterances.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (desk_folder / "knowledge").mkdir()
    (desk_folder / "knowledge/fees.md").write_text(FEES, encoding="utf-8")
    return Pack.load(desk_folder)


async def test_an_unseen_pack_works_with_the_embedded_model(settings, library_desk):
    async with open_assistant(settings, pack=library_desk, sandboxes=True) as assistant:
        sandbox = await assistant.create_sandbox(SandboxRequest(pack="desk"))

        async def ask(text, thread_id=None):
            return await assistant.reply(TurnRequest(message=text, sandbox=sandbox, thread_id=thread_id))

        fine = await ask("What does a late book cost?")
        counted = await ask("count the books", fine.thread_id)
        room = await ask("reserve a study room", fine.thread_id)
        refused = await ask("what is the capital of Spain")
    assert (fine.agent, fine.outcome) == ("loans", "answered")
    (cited,) = [event for event in fine.events if isinstance(event, CitationEvent)]
    assert cited.exists and "10 cents" in fine.text
    assert "2 books." in counted.text
    assert room.agent == "rooms" and "handoff" in [event.type for event in room.events]
    assert (refused.agent, refused.outcome) == ("none", "refused")


async def test_the_server_reads_the_clock_of_its_settings(settings, library_desk):
    fixed = replace(settings, fixed_now=datetime(2031, 5, 6, 7, 8, tzinfo=UTC))
    app = create_app(fixed, pack=library_desk)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://desk") as http:
            answer = await http.post("/v1/turns", json={"message": "book a meeting room"})
            reply = TurnResponse.model_validate_json(answer.content)
            kept = (await http.get(f"/v1/threads/{reply.thread_id}")).json()
    (route,) = [event for event in reply.events if isinstance(event, RouteEvent)]
    assert (route.agent, route.stage) == ("rooms", "head")
    assert kept["messages"][0]["created_at"] == "2031-05-06T07:08:00+00:00"


def test_parts_are_loaded_from_their_caches_the_second_time(settings, library_desk):
    load_parts(settings, library_desk)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in settings.cache_dir.iterdir())
    load_parts(settings, library_desk)
    assert sorted((path.name, path.stat().st_mtime_ns) for path in settings.cache_dir.iterdir()) == before


async def test_a_burn_at_a_cold_fryer_gets_first_aid_and_then_the_machine(tmp_path, machine_cache):
    shipped = Settings.from_environ({"ASSAY_STATE_DIR": f"{tmp_path}/data", "ASSAY_CACHE_DIR": str(machine_cache)})
    async with open_assistant(shipped, pack="qsr") as assistant:
        reply = await assistant.reply(TurnRequest(message="the fryer won't heat and a cook burned her hand"))
        after = await assistant.reply(TurnRequest(message="yes, log it please", thread_id=reply.thread_id))
    routes = [event for event in reply.events if isinstance(event, RouteEvent)]
    assert [(event.agent, event.previous_agent) for event in routes] == [("safety", None), ("equipment", "safety")]
    first_aid, machine = reply.text.split("\n\n")
    assert "cool running water" in first_aid and "fryer" in machine and (reply.agent, reply.outcome) == ("safety", "answered")
    assert after.agent == "safety" and "INC-" in after.text
