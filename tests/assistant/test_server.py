"""The assistant over HTTP."""

import asyncio
import json
import re
import socket
import threading
import time
from contextlib import asynccontextmanager, contextmanager

import httpx2
import pytest
import uvicorn
from pydantic_ai.models.function import FunctionModel

from assistant.server.app import create_app
from assistant.service import Assistant
from assistant.telemetry import Telemetry, quantile, render_metrics
from assistant.wire import DoneEvent, EventAdapter, MetaEvent, TurnResponse

LOCAL = ("127.0.0.1", 50000)
REMOTE = ("203.0.113.9", 50000)


@asynccontextmanager
async def serving(desk, *, sandboxes=True, client=LOCAL):
    now = desk.now
    app = create_app(desk.settings, pack=desk.pack, sandboxes=sandboxes, now=lambda: now, parts=desk.parts)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app, client=client, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://desk") as http:
            yield http


def events_of(text):
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    events = [EventAdapter.validate_json(block["data"]) for block in blocks]
    assert [(block["id"], block["event"]) for block in blocks] == [(str(event.id), event.type) for event in events]
    return events


async def test_a_turn_as_json(desk):
    async with serving(desk) as http:
        answer = await http.post("/v1/turns", json={"message": "loans hello"})
    assert answer.status_code == 200
    reply = TurnResponse.model_validate_json(answer.content)
    assert (reply.text, reply.agent, reply.outcome) == ("You said loans hello", "loans", "answered")


@pytest.mark.parametrize(("path", "headers"), [("/v1/turns/stream", {}), ("/v1/turns", {"accept": "text/event-stream"})])
async def test_a_turn_as_server_sent_events(desk, path, headers):
    async with serving(desk) as http:
        answer = await http.post(path, json={"message": "loans line\n\nbreaks"}, headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    assert isinstance(events[0], MetaEvent)
    assert isinstance(events[-1], DoneEvent) and events[-1].text == "You said loans line\n\nbreaks"


async def test_a_thread_can_be_read_by_its_user_alone(desk):
    async with serving(desk) as http:
        turn = (await http.post("/v1/turns", json={"message": "loans", "user_id": "ann"})).json()
        mine = await http.get(f"/v1/threads/{turn['thread_id']}", params={"user_id": "ann"})
        yours = await http.get(f"/v1/threads/{turn['thread_id']}", params={"user_id": "bob"})
    assert [(row["role"], row["text"]) for row in mine.json()["messages"]] == [("user", "loans"), ("assistant", "You said loans")]
    assert (yours.status_code, yours.json()["error"]["code"]) == (404, "unknown_thread")


async def test_feedback_is_kept_with_the_turn_and_only_its_user_may_give_it(desk, tmp_path):
    async with serving(desk) as http:
        turn = (await http.post("/v1/turns", json={"message": "loans", "user_id": "ann"})).json()
        told = {"turn_id": turn["turn_id"], "user_id": "ann"}
        for word in ({"thumbs_up": True}, {"thumbs_up": False, "reason": "wrong_answer", "comment": "It is lent out."}):
            assert (await http.post("/v1/feedback", json=told | word)).status_code == 204
        other = await http.post("/v1/feedback", json=told | {"user_id": "bob", "thumbs_up": True})
        wrong = await http.post("/v1/feedback", json=told | {"thumbs_up": True, "reason": "Wrong answer!"})
        events = await http._transport.app.state.assistant.turn_events(turn["turn_id"])
    kept = [event for event in events if event.type == "feedback"]
    assert [event.data["thumbs_up"] for event in kept] == [True, False]
    assert kept[1].data == {"thumbs_up": False, "reason": "wrong_answer", "comment": "It is lent out."} and kept[1].t_s >= 0
    assert (other.status_code, other.json()["error"]["code"]) == (404, "unknown_turn")
    assert wrong.status_code == 422


async def test_sandboxes_from_this_machine(desk):
    async with serving(desk) as http:
        fixtures = {"books": {"Emma": None}}
        made = await http.post("/v1/sandboxes", json={"pack": "desk", "fixtures": fixtures})
        sandbox = made.json()["sandbox"]
        state = (await http.get(f"/v1/sandboxes/{sandbox}/state")).json()
        turn = await http.post("/v1/turns", json={"message": "loans", "sandbox": sandbox})
        other = await http.post("/v1/sandboxes", json={"pack": "other"})
        unknown = await http.get("/v1/sandboxes/nope/state")
    assert state == {"sandbox": sandbox, "state": {"books": {"Dune": {"shelf": "B2"}}}}
    assert turn.status_code == 200
    assert (other.status_code, other.json()["error"]["code"]) == (422, "wrong_pack")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_sandbox")


@pytest.mark.parametrize(("sandboxes", "client"), [(False, LOCAL), (True, REMOTE), (True, ("not-an-address", 1)), (True, None)])
async def test_sandboxes_are_closed_elsewhere(desk, sandboxes, client):
    async with serving(desk, sandboxes=sandboxes, client=client) as http:
        made = await http.post("/v1/sandboxes", json={"pack": "desk"})
        state = await http.get("/v1/sandboxes/x/state")
    assert [(one.status_code, one.json()["error"]["code"]) for one in (made, state)] == [(404, "sandboxes_closed")] * 2


async def test_a_remote_client_cannot_use_a_sandbox_in_a_turn(desk):
    async with serving(desk, client=REMOTE) as http:
        answer = await http.post("/v1/turns", json={"message": "loans", "sandbox": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "sandboxes_closed")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "malformed_json"),
        ("{}", 422, "invalid_request"),
        ('{"message": ""}', 422, "invalid_request"),
        ('{"message": "x", "extra": 1}', 422, "invalid_request"),
        ('{"message": "x", "thread_id": "nope"}', 404, "unknown_thread"),
        ('{"message": "\\ud800"}', 422, "invalid_request"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/turns", "/v1/turns/stream"])
async def test_bad_requests_get_a_sentence_and_a_code(desk, path, body, status, code):
    async with serving(desk) as http:
        answer = await http.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "Traceback" not in answer.text


async def test_paths_and_methods_that_are_not_there(desk):
    async with serving(desk) as http:
        answers = [await http.get("/nowhere"), await http.get("/v1/turns")]
    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [
        (404, "not_found"),
        (405, "method_not_allowed"),
    ]


async def test_a_bug_leaks_nothing(desk, monkeypatch):
    monkeypatch.setattr(Assistant, "health", lambda self: 1 / 0)
    async with serving(desk) as http:
        answer = await http.get("/healthz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "division" not in answer.text


async def test_health_and_metrics(desk):
    async with serving(desk) as http:
        await http.post("/v1/turns", json={"message": "loans"})
        health = (await http.get("/healthz")).json()
        metrics = (await http.get("/metrics")).text
    assert (health["status"], health["pack"], health["model"], health["wire_version"]) == ("ok", "desk", "embedded", 1)
    assert 'assay_turns_total{kind="answered"} 1' in metrics
    assert "assay_turns_in_flight 0" in metrics
    for row in ("query_seconds_count", "query_seconds_sum"):
        assert f'assay_{row}{{name="turn.accept"}}' in metrics
    assert 'assay_stage_seconds_count{name="total"} 1' in metrics
    assert 'assay_turn_seconds_bucket{name="overhead",le="+Inf"} 1' in metrics
    for level in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert f"\n{level} " in metrics
    # The grammar of the text exposition format: every line a comment or a sample, every sample's family declared before it.
    sample = re.compile(r'^([a-z_]+)(\{[a-z_]+="(?:[^"\\]|\\.)*"(?:,[a-z_]+="(?:[^"\\]|\\.)*")*\})? (\S+)$')
    declared = set()
    for line in metrics.splitlines():
        if line.startswith("# TYPE "):
            assert line.split()[2] not in declared
            declared.add(line.split()[2])
            continue
        name, _, value = sample.fullmatch(line).groups()
        assert float(value) >= 0
        assert name in declared or re.sub("_(bucket|sum|count)$", "", name) in declared


async def test_the_schema_declares_every_way_to_fail(desk):
    async with serving(desk) as http:
        schema = (await http.get("/openapi.json")).json()
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            for status in ("400", "404", "422"):
                reference = operation["responses"][status]["content"]["application/json"]["schema"]["$ref"]
                assert reference.endswith("/Problem"), (path, status)


def test_metrics_of_nothing_are_empty():
    telemetry = Telemetry()
    telemetry.count("plain")
    assert render_metrics(telemetry) == "# TYPE assay_plain_total counter\nassay_plain_total 1\n"
    assert quantile([], 0.5) is None
    assert [quantile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 1.0)] == [1.0, 2.0, 3.0]


class OverSocket:
    """The application on a real port, in its own thread."""

    def __init__(self, app):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.sock]})

    def __enter__(self):
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *error):
        self.server.should_exit = True
        self.thread.join(10)
        self.sock.close()


@contextmanager
def streaming(server):
    """The lines of one streamed turn as they arrive."""
    with httpx2.Client() as http, http.stream("POST", f"{server.url}/v1/turns/stream", json={"message": "loans"}) as answer:
        yield answer.iter_lines()


def served(desk):
    return OverSocket(create_app(desk.settings, pack=desk.pack, parts=desk.parts))


def test_a_client_that_hangs_up_stops_the_model(desk):
    stopped = threading.Event()

    async def endless(messages, info):
        try:
            while True:
                yield "more "
                await asyncio.sleep(0.005)
        except BaseException:
            stopped.set()
            raise

    desk.model = FunctionModel(stream_function=endless)
    with served(desk) as server:
        with streaming(server) as lines:
            assert "event: token" in lines
        assert stopped.wait(5)


def test_first_events_leave_before_the_model_is_done(desk):
    release = threading.Event()

    async def waits(messages, info):
        yield "early "
        while not release.is_set():
            await asyncio.sleep(0.005)
        yield "late"

    desk.model = FunctionModel(stream_function=waits)
    with served(desk) as server, streaming(server) as lines:
        assert any("early" in line for line in lines)
        release.set()
        last = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")][-1]
    assert (last["type"], last["text"]) == ("done", "early late")


def test_durations_are_counted_in_buckets_for_good_and_kept_one_by_one_for_a_while():
    telemetry = Telemetry(window=2)
    for duration_s in (0.0005, 0.001, 0.02, 100.0):
        telemetry.record('stage.a"b', duration_s)
    assert telemetry.durations() == [('stage.a"b', 0.02), ('stage.a"b', 100.0)]
    text = render_metrics(telemetry)
    counts = [int(count) for count in re.findall(r"assay_stage_seconds_bucket\S+ (\d+)", text)]
    assert counts == [2, 2, 2, 2, *[3] * 10, 4]
    assert 'assay_stage_seconds_sum{name="a\\"b"} 100.021500000' in text


def test_levels_go_up_and_down():
    telemetry = Telemetry()
    telemetry.change("sockets_open", 2)
    telemetry.change("sockets_open", -1)
    assert render_metrics(telemetry) == "# TYPE assay_sockets_open gauge\nassay_sockets_open 1\n"
