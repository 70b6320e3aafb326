"""Streams whose readers are slow or leave, and turns over WebSockets."""

import asyncio
import json
import socket
import threading
import time
from contextlib import closing

import httpx2
import pytest
import uvicorn
import websocket
from pydantic_ai.models.function import FunctionModel

from assistant import service
from assistant.event_queue import EventQueue
from assistant.server.app import create_app
from assistant.server.sockets import TURNS_AHEAD
from assistant.service import Assistant
from assistant.wire import EventAdapter, TokenEvent, TurnRequest

HANG_UP_S = 0.1
"""How soon after a client hung up its model call must have ended."""


class Served:
    """The application on a real port, in its own thread."""

    def __init__(self, desk, *, sandboxes=False):
        self.app = create_app(desk.settings, pack=desk.pack, parts=desk.parts, sandboxes=sandboxes)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = uvicorn.Server(uvicorn.Config(self.app, log_level="critical", lifespan="on"))
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

    def connect(self, **options):
        return closing(websocket.create_connection(f"ws://127.0.0.1:{self.port}/v1/ws", timeout=5, **options))

    def post(self, path, **body):
        """A raw connection on which the request was sent and nothing read."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        data = json.dumps({"message": "loans", **body}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data)
        return connection

    def level(self, name):
        return self.app.state.assistant.telemetry.levels()[name]


def turn_of(connection, **request):
    connection.send(json.dumps(request))
    events = [EventAdapter.validate_json(connection.recv())]
    while events[-1].type != "done":
        events.append(EventAdapter.validate_json(connection.recv()))
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    return events


def refusal_of(connection, text):
    connection.send(text)
    return json.loads(connection.recv())["error"]["code"]


class Endless:
    """A model that talks until it is stopped, and knows when that was."""

    def __init__(self, every_s=0.005, first_s=0.0):
        self.every_s, self.first_s = every_s, first_s
        self.running, self.ended = threading.Event(), threading.Event()
        self.ended_at = 0.0

    async def __call__(self, messages, info):
        try:
            self.running.set()
            await asyncio.sleep(self.first_s)
            while True:
                yield "more "
                await asyncio.sleep(self.every_s)
        finally:
            self.ended_at = time.monotonic()
            self.ended.set()

    @property
    def model(self):
        return FunctionModel(stream_function=self)


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("path", ["/v1/turns", "/v1/turns/stream"])
@pytest.mark.parametrize("first_s", [0.0, 30.0], ids=["while it streams", "before its first word"])
def test_a_hang_up_ends_the_model_call_within_a_tenth_of_a_second(desk, path, first_s):
    model = Endless(first_s=first_s)
    desk.model = model.model
    with Served(desk) as server:
        connection = server.post(path)
        assert model.running.wait(5)
        time.sleep(0.05)
        left = time.monotonic()
        connection.close()
        assert model.ended.wait(5)
        assert model.ended_at - left < HANG_UP_S
        wait_until(lambda: server.level("turns_in_flight") == 0)


def test_a_hang_up_while_the_thread_is_busy_frees_the_place_in_the_queue(desk):
    model = Endless()
    desk.model = model.model
    with Served(desk) as server, closing(server.post("/v1/turns/stream")) as busy:
        while b'"thread_id"' not in (seen := busy.recv(65536)):
            pass
        thread = json.loads(seen.split(b"data: ")[1].split(b"\n")[0])["thread_id"]
        waiting = server.post("/v1/turns/stream", thread_id=thread)
        wait_until(lambda: server.level("turns_in_flight") == 2)
        waiting.close()
        wait_until(lambda: server.level("turns_in_flight") == 1)
        assert not model.ended.is_set()


def test_a_second_turn_waits_for_the_one_that_made_its_thread(desk):
    model = Endless()
    desk.model = model.model
    with Served(desk) as server, closing(server.post("/v1/turns/stream")) as first:
        while b'"thread_id"' not in (seen := first.recv(65536)):
            pass
        thread = json.loads(seen.split(b"data: ")[1].split(b"\n")[0])["thread_id"]
        with closing(server.post("/v1/turns/stream", thread_id=thread)) as second:
            second.settimeout(0.2)
            with pytest.raises(TimeoutError):
                while b'"thread_id"' not in second.recv(65536):
                    pass
            first.close()
            second.settimeout(5)
            while b'"thread_id"' not in second.recv(65536):
                pass


def test_a_socket_that_hangs_up_ends_the_model_call_within_a_tenth_of_a_second(desk):
    model = Endless()
    desk.model = model.model
    with Served(desk) as server:
        with server.connect() as connection:
            connection.send(json.dumps({"message": "loans"}))
            while EventAdapter.validate_json(connection.recv()).type != "token":
                pass
            connection.sock.shutdown(socket.SHUT_RDWR)
            left = time.monotonic()
            assert model.ended.wait(5)
        assert model.ended_at - left < HANG_UP_S
        wait_until(lambda: (server.level("sockets_open"), server.level("turns_in_flight")) == (0, 0))


def test_turns_over_a_socket_are_the_turns_over_http(desk):
    with Served(desk) as server, server.connect() as connection:
        events = turn_of(connection, message="loans hello", user_id="ann")
        again = turn_of(connection, message="more", user_id="ann", thread_id=events[0].thread_id)
        over_http = httpx2.post(f"{server.url}/v1/turns", json={"message": "loans hello", "user_id": "ann"}).json()
        assert server.level("sockets_open") == 1
    assert (events[-1].text, again[-1].text) == ("You said loans hello", "You said more")
    assert [event.type for event in events] == [event["type"] for event in over_http["events"]]


def test_requests_that_are_refused_leave_the_socket_open(desk):
    with Served(desk) as server, server.connect() as connection:
        assert refusal_of(connection, "{") == "invalid_request"
        assert refusal_of(connection, '{"message": "x", "extra": 1}') == "invalid_request"
        assert refusal_of(connection, '{"message": "x", "thread_id": "nope"}') == "unknown_thread"
        assert refusal_of(connection, '{"message": "x", "sandbox": "nope"}') == "sandboxes_closed"
        connection.send_binary(b"\x00")
        assert json.loads(connection.recv())["error"]["code"] == "invalid_request"
        assert turn_of(connection, message="loans")[-1].outcome == "answered"


def test_a_socket_may_ask_ahead_and_is_answered_in_order(desk):
    with Served(desk) as server, server.connect() as connection:
        asked = [f"loans {number}" for number in range(3 * TURNS_AHEAD)]
        for message in asked:
            connection.send(json.dumps({"message": message}))
        answered = []
        while len(answered) < len(asked):
            event = EventAdapter.validate_json(connection.recv())
            answered += [event.text] if event.type == "done" else []
    assert answered == [f"You said {message}" for message in asked]


def test_a_page_of_another_origin_cannot_open_a_socket(desk):
    with Served(desk) as server:
        with pytest.raises(websocket.WebSocketBadStatusException):
            server.connect(origin="http://evil.example")
        with server.connect(origin=server.url) as connection:
            assert turn_of(connection, message="loans")[-1].outcome == "answered"


def test_a_bug_closes_the_socket_and_nothing_else(desk, monkeypatch):
    monkeypatch.setattr(Assistant, "stream", lambda self, turn: 1 / 0)
    with Served(desk) as server:
        with server.connect() as connection:
            connection.send(json.dumps({"message": "loans"}))
            with pytest.raises((websocket.WebSocketException, OSError)):
                while connection.recv():
                    pass
                raise websocket.WebSocketConnectionClosedException
        assert httpx2.get(f"{server.url}/healthz").status_code == 200


def long_answer(desk, pieces):
    done = threading.Event()

    async def eager(messages, info):
        for number in range(pieces):
            yield f"{number} " + "x" * 2000
        done.set()

    desk.model = FunctionModel(stream_function=eager)
    return done


@pytest.mark.parametrize("kind", ["sse", "socket"])
def test_a_reader_that_never_reads_holds_neither_model_nor_thread(desk, monkeypatch, kind):
    """The answer is larger than every buffer between them, so that a turn that waited for its reader would never end."""
    monkeypatch.setattr(service, "READER_PATIENCE_S", 0.1)
    done = long_answer(desk, 6000)
    with Served(desk) as server:
        connection = closing(server.post("/v1/turns/stream")) if kind == "sse" else server.connect()
        with connection as stuck:
            if kind == "socket":
                stuck.send(json.dumps({"message": "loans"}))
            assert done.wait(10)
            wait_until(lambda: server.level("turns_in_flight") == 0)
            assert server.app.state.assistant.telemetry.counts()["turns", "answered"] == 1


async def test_a_reader_left_behind_gets_what_there_is_and_the_turn_is_kept(desk, monkeypatch):
    monkeypatch.setattr(service, "READER_PATIENCE_S", 0.05)
    long_answer(desk, 600)
    async with desk.open() as assistant:
        events = assistant.stream(TurnRequest(message="loans", user_id="ann"))
        meta = await anext(events)
        deadline = asyncio.get_running_loop().time() + 10
        while ("turns", "answered") not in assistant.telemetry.counts():
            assert asyncio.get_running_loop().time() < deadline, "the turn waits for its reader"
            await asyncio.sleep(0.01)
        seen = []
        with pytest.raises(Exception, match="read too slowly"):
            async for event in events:
                seen.append(event)
        assert len(seen) == service.EVENTS_AHEAD
        kept = await assistant.thread_messages(meta.thread_id, "ann")
    assert [message.outcome for message in kept] == [None, "answered"]


def test_a_slow_sse_reader_is_told_that_it_was_left_behind(desk, monkeypatch):
    monkeypatch.setattr(service, "READER_PATIENCE_S", 0.05)
    done = long_answer(desk, 6000)
    with Served(desk) as server, closing(server.post("/v1/turns/stream")) as slow:
        assert done.wait(10)
        slow.settimeout(5)
        body = b""
        while chunk := slow.recv(1 << 20):
            body += chunk
            if b"0\r\n\r\n" in body[-5:]:
                break
    last = json.loads(body.rsplit(b"data: ", 1)[1].split(b"\n")[0])
    assert (last["type"], last["code"]) == ("error", "reader_too_slow")


def token(number):
    return TokenEvent(id=number, t_s=0.0, text=str(number))


async def test_the_patience_with_a_reader_is_for_the_whole_turn_not_for_each_event():
    queue = EventQueue(1, patience_s=0.1)
    sent = []

    async def write():
        for number in range(1, 50):
            await queue.send(token(number))
            sent.append(number)
        queue.close()

    writing = asyncio.create_task(write())
    read = []
    async for event in queue.read():
        read.append(event.id)
        await asyncio.sleep(0.02)
    await writing
    assert len(sent) == 49
    assert queue.left_behind
    assert read == list(range(1, len(read) + 1))
    assert 2 <= len(read) < 15
