"""Streams are split at any cut, timed by event, and every way to fail has its class."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from assistant.wire import TurnRequest
from loadtests.connections import Address
from loadtests.played import Played
from loadtests.stream import SseSplitter, TurnClient, path_below, request_head

META = {"type": "meta", "wire_version": 1, "pack": "p", "thread_id": "t9", "turn_id": "u", "model": "m"}
USAGE = {"type": "usage", "model": "m", "input_tokens": 1, "output_tokens": 7, "model_calls": 1, "cost_usd": None}


def done(text: str = "hi there", outcome: str = "answered") -> dict[str, object]:
    return {"type": "done", "outcome": outcome, "agent": "menu", "text": text, "timings": {}}


def token(text: str) -> dict[str, object]:
    return {"type": "token", "text": text}


def data(*events: dict[str, object]) -> list[bytes]:
    return [json.dumps({"id": number, "t_s": 0.1, **event}).encode() for number, event in enumerate(events, start=1)]


def sse(*events: dict[str, object]) -> bytes:
    return b"".join(b"data: " + line + b"\n\n" for line in data(*events))


RAW = b': hello\r\nevent: x\r\ndata: {"a":1}\r\n\r\nid: 4\ndata: two\ndata:lines\n\ndata\r\rdata: \xc3\xa9\n\ndata: partial'
EVENTS = [b'{"a":1}', b"two\nlines", b"", b"\xc3\xa9"]


@pytest.mark.parametrize("cut", range(len(RAW) + 1))
def test_events_do_not_depend_on_where_the_bytes_are_cut(cut):
    splitter = SseSplitter()
    assert splitter.feed(RAW[:cut]) + splitter.feed(RAW[cut:]) == EVENTS


def test_events_come_out_byte_by_byte_too():
    splitter = SseSplitter()
    found = [event for index in range(len(RAW)) for event in splitter.feed(RAW[index : index + 1])]
    assert found == EVENTS
    assert splitter.feed(b"") == []


def digest(*moments: tuple[float, dict[str, object]]) -> Played:
    played = Played(t_send=0.0)
    played.digest([(moment, line) for (moment, _), line in zip(moments, data(*(event for _, event in moments)), strict=True)])
    return played


def test_a_turn_is_timed_by_its_words_not_by_its_first_bytes():
    played = digest((0.1, META), (0.2, token("")), (0.4, token("hi ")), (0.7, token("there")), (0.8, USAGE), (0.9, done()))
    assert (played.outcome, played.t_first, played.t_last, played.t_done) == ("ok", 0.4, 0.7, 0.9)
    assert played.gaps_s == [pytest.approx(0.3)]
    assert (played.thread_id, played.agent, played.output_tokens, played.text) == ("t9", "menu", 7, "hi there")
    assert [event["type"] for event in played.events] == ["meta", "token", "token", "token", "usage", "done"]


def test_words_before_a_restart_do_not_count_as_the_first_word():
    restart: dict[str, object] = {"type": "restart", "reason": "fallback"}
    assert digest((0.1, META), (0.2, token("x")), (0.3, restart), (0.6, token("y")), (0.7, done("y"))).t_first == 0.6


def test_an_answer_that_comes_whole_has_its_first_word_at_the_end():
    played = digest((0.1, META), (0.5, done()))
    assert (played.outcome, played.t_first, played.t_last) == ("ok", 0.5, 0.5)


def test_a_silent_answer_is_no_output_and_has_no_first_word():
    played = digest((0.1, META), (0.5, done("")))
    assert (played.outcome, played.t_first) == ("no_output", None)


def test_an_answer_that_is_an_error_is_an_agent_error():
    assert digest((0.1, META), (0.5, done("sorry", "error"))).outcome == "agent_error"


def test_a_lost_or_foreign_event_is_a_bad_payload():
    lines = data(META, token("a"), done())
    lost, foreign = Played(), Played()
    lost.digest([(0.1, lines[0]), (0.2, lines[2])])
    foreign.digest([(0.1, lines[0]), (0.2, b'{"type": "new"}'), (0.3, lines[2])])
    assert (lost.outcome, foreign.outcome) == ("bad_payload", "bad_payload")


def chunked(*chunks: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)


@contextlib.contextmanager
def answering(*answers: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that lets each function answer one connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                request = b""
                while not request.endswith(b"}"):
                    request += connection.recv(65_536)
                with contextlib.suppress(OSError):
                    answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(5)
        listener.close()


def sending(raw: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(raw)


def played_with(answer: Callable[[socket.socket], None], timeout_s: float = 5.0) -> Played:
    played = Played()
    with answering(answer) as url:
        client = TurnClient(base_url=url, timeout_s=timeout_s)
        client.play(TurnRequest(message="hi"), played)
        client.close()
    return played


def test_a_streamed_turn_is_read_to_its_done_event():
    played = played_with(sending(chunked(sse(META, token("hi ")), b"data: [x")))
    assert played.outcome == "stream_broken"
    whole = played_with(sending(chunked(sse(META, token("hi there"), USAGE, done()), b"")))
    assert (whole.outcome, whole.status, whole.text) == ("ok", 200, "hi there")
    assert whole.t_send is not None
    assert whole.t_done is not None
    assert whole.t_send < whole.t_done


def test_the_word_done_inside_an_answer_does_not_end_it():
    text = 'done {"type": "done"}'
    assert played_with(sending(chunked(sse(META, token(text), done(text)), b""))).text == text
    assert played_with(sending(chunked(b"data: done\n\n", b""))).outcome == "stream_broken"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(b"429 Too Many", "http_429"), (b"404 Not Found", "http_4xx"), (b"503 Busy", "http_5xx"), (b"204 Nothing", "http_4xx")],
)
def test_a_status_that_is_no_answer_has_its_class(status, outcome):
    played = played_with(sending(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"))
    assert (played.outcome, played.status) == (outcome, int(status[:3]))


def test_an_answer_that_is_no_event_stream_is_a_bad_payload():
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    assert played_with(sending(raw)).outcome == "bad_payload"


def test_a_connection_closed_without_an_answer_is_a_connect_failure():
    assert played_with(sending(b"")).outcome == "connect"


def test_nobody_listening_is_a_connect_failure():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    played = Played()
    TurnClient(base_url=f"http://127.0.0.1:{port}", timeout_s=1.0).play(TurnRequest(message="hi"), played)
    assert (played.outcome, played.status, played.t_done) == ("connect", None, None)


def test_a_server_that_hangs_in_the_middle_is_a_timeout():
    def hang(connection: socket.socket) -> None:
        connection.sendall(chunked(sse(META, token("hi"))))
        connection.recv(1)

    played = played_with(hang, timeout_s=0.2)
    assert (played.outcome, played.text, played.t_done) == ("timeout", "hi", None)


def test_a_server_that_drips_comments_for_ever_is_a_timeout_all_the_same():
    def drip(connection: socket.socket) -> None:
        head, comment = chunked(), b"6\r\n: hm\n\n\r\n"
        connection.sendall(head)
        stop = threading.Event()
        for _ in range(100):
            connection.sendall(comment)
            stop.wait(0.02)

    assert played_with(drip, timeout_s=0.2).outcome == "timeout"


def test_a_prefix_of_the_address_leads_every_path():
    base_url = "https://h:8443/assistant/"
    assert path_below(base_url, "/v1/turns") == "/assistant/v1/turns"
    assert Address.of(base_url) == Address("h", 8443, secure=True)
    head = request_head(base_url, "/v1/turns", "text/event-stream", "key\n")
    assert head.splitlines()[:3] == [
        b"POST /assistant/v1/turns HTTP/1.1", b"Host: h:8443", b"Accept: text/event-stream"
    ]  # fmt: skip
    assert b"\r\nAuthorization: Bearer key\r\n" in head


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("http://h", b"h"),
        ("https://h:443", b"h"),
        ("http://h:443", b"h:443"),
        ("http://[::1]:8", b"[::1]:8"),
        ("http://b\u00fc", b"xn--b-eha"),
    ],
)
def test_the_host_is_named_as_the_protocol_wants_it(base_url, host):
    assert Address.of(base_url).header == host


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (b' {"id": 2, "t_s": 0, "type": "token", "text": "a"} \n', "ok"),
        (b'{"id": 2, "t_s": 0, "type": "token", "text": "a"} x', "bad_payload"),
        (b'{"id": 2, "t_s": 0, "type": "token", "text": "a"}{}', "bad_payload"),
        (b'{"id": 2, "t_s": 0, "type": "token", "text": "a"', "bad_payload"),
        (b'{"id": 2, "t_s": 0, "type": "token", "text": "\xff"}', "bad_payload"),
        (b"", "bad_payload"),
        (b"[]", "bad_payload"),
        (b'{"a":' * 100_000, "bad_payload"),
        (b'{"id": 2, "t_s": NaN, "type": "token", "text": "a"}', "bad_payload"),
        (b'{"id": true, "t_s": 0, "type": "token", "text": "a"}', "bad_payload"),
        (b'{"id": 2, "t_s": 0, "type": "token", "text": "a", "more": 1}', "bad_payload"),
    ],
)
def test_an_event_is_one_json_object_of_the_wire_and_nothing_else(raw, outcome):
    lines = data(META, token("a"), done("a"))
    played = Played()
    played.digest([(0.1, lines[0]), (0.2, raw), (0.3, lines[2])])
    assert played.outcome == outcome


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\n\ndata: \n\n", [b"a", b""]),
        (b"data: a\n\n\n\n", [b"a"]),
        (b"data: a\n\n: c\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\n\nid: 3\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\r\rdata: b\n\n", [b"a", b"b"]),
        (b"data: \n\n", [b""]),
    ],
)
def test_events_in_one_read_are_those_of_a_byte_at_a_time(raw, events):
    splitter = SseSplitter()
    assert SseSplitter().feed(raw) == events
    assert [event for at in range(len(raw)) for event in splitter.feed(raw[at : at + 1])] == events
