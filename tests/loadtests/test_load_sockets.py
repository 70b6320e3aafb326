"""Turns over WebSockets, as JSON and as chat completions, against real sockets; frames whatever their cuts."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from assistant.wire import TurnRequest
from loadtests.lines import Endpoint
from loadtests.played import Played
from loadtests.sockets import BINARY, CLOSE, PING, PONG, TEXT, FrameSplitter, SocketRefused, frame, open_socket
from loadtests.stream import TURN_PATH


def unmasked(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """A frame as a server sends it."""
    size = len(payload)
    head = bytes([opcode | (0x80 if final else 0)])
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65_536:
        return head + b"\x7e" + size.to_bytes(2, "big") + payload
    return head + b"\x7f" + size.to_bytes(8, "big") + payload


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("cut", [1, 3, 1_000_000])
def test_frames_are_split_whatever_the_cuts(size, cut):
    if size > 1000 and cut == 1:
        cut = 997
    messages = [(TEXT, b"x" * size), (PING, b"p"), (BINARY, b"y")]
    stream = b"".join(unmasked(opcode, payload) for opcode, payload in messages)
    splitter = FrameSplitter()
    found = [one for start in range(0, len(stream), cut) for one in splitter.feed(stream[start : start + cut])]
    assert found == messages


def test_fragments_become_one_message_even_around_a_ping():
    stream = unmasked(TEXT, b"Hel", final=False) + unmasked(PING, b"") + unmasked(0, b"lo")
    assert FrameSplitter().feed(stream) == [(PING, b""), (TEXT, b"Hello")]


@pytest.mark.parametrize("size", [0, 5, 200, 70_000])
def test_own_frames_are_masked_and_say_what_they_carry(size):
    payload = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    data = frame(TEXT, payload)
    assert data[1] & 0x80
    start = len(data) - size - 4
    key, body = data[start : start + 4], data[start + 4 :]
    assert bytes(byte ^ key[at % 4] for at, byte in enumerate(body)) == payload
    if size > 100:
        assert frame(TEXT, payload) != data


def endpoint(url, transport="websocket", **changes):
    fields = {"timeout_s": 2.0, "turn_path": TURN_PATH, "clock": time.monotonic, "model": "m"} | changes
    return Endpoint(base_url=url, transport=transport, **fields)


def played_on(line, message="hi", thread_id=None):
    played = Played()
    line.play(TurnRequest(message=message, thread_id=thread_id), played)
    return played


def test_turns_of_a_conversation_share_a_socket(wire_server):
    line = endpoint(wire_server().url).line()
    first = played_on(line)
    second = played_on(line, "more", first.thread_id)
    line.close()
    assert (first.outcome, first.status, second.outcome) == ("ok", 101, "ok")
    assert (first.text, second.text) == ("hi t1 None", "more t1 None")
    assert first.t_first is not None and first.t_done is not None and first.t_send is not None
    assert 0.015 < first.t_first - first.t_send < first.t_done - first.t_send
    assert [event["id"] for event in second.events] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ({"cut_every": 1}, "stream_broken"),
        ({"socket_status": 503}, "http_5xx"),
        ({"refuse_every": 1}, "http_4xx"),
        ({"first_s": 5.0}, "timeout"),
        ({"endless": True}, "timeout"),
        ({"close_every": 1}, "stream_broken"),
    ],
)
def test_what_goes_wrong_on_a_socket_has_its_class(wire_server, options, outcome):
    line = endpoint(wire_server(**options).url, timeout_s=0.4).line()
    assert played_on(line).outcome == outcome


def test_a_socket_that_failed_is_opened_anew(wire_server):
    line = endpoint(wire_server(cut_every=2).url).line()
    assert [played_on(line).outcome for _ in range(4)] == ["ok", "stream_broken", "ok", "stream_broken"]


def test_a_socket_that_the_server_closed_meanwhile_is_opened_anew(wire_server):
    line = endpoint(wire_server(close_after=0.05).url).line()
    outcomes = []
    for _ in range(3):
        outcomes.append(played_on(line).outcome)
        time.sleep(0.15)
    line.close()
    assert outcomes == ["ok", "ok", "ok"]


def test_pings_between_turns_are_answered(wire_server):
    line = endpoint(wire_server(ping_every=0.03, pong_within=0.2).url).line()
    for _ in range(3):
        assert played_on(line).outcome == "ok"
        time.sleep(0.1)
    line.close()


@pytest.mark.parametrize("transport", ["sse", "websocket", "rest", "openai"])
def test_a_target_that_is_not_there(transport):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert played_on(endpoint(f"http://127.0.0.1:{port}", transport).line()).outcome == "connect"
    assert played_on(endpoint("http://no-such-host.invalid", transport).line()).outcome == "connect"


@contextmanager
def answering(*chunks: bytes, pause_s: float = 0.0, hang: bool = False):
    """A server that answers any connection with these bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                for chunk in chunks:
                    connection.sendall(chunk)
                    time.sleep(pause_s)
                if hang:
                    done.wait(5)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("transport", ["sse", "websocket", "rest", "openai"])
def test_a_target_of_something_else(transport):
    with answering(NOT_FOUND) as url:
        played = played_on(endpoint(url, transport).line())
    assert (played.outcome, played.status) == ("http_4xx", 404)


@pytest.mark.parametrize("transport", ["sse", "websocket", "rest", "openai"])
def test_a_plain_target_spoken_to_in_tls(transport):
    with answering(NOT_FOUND) as url:
        assert played_on(endpoint(url.replace("http:", "https:"), transport).line()).outcome == "connect"


@pytest.mark.parametrize("transport", ["sse", "rest", "openai"])
def test_a_head_that_never_ends_runs_into_the_deadline(transport):
    with answering(b"HTTP/1.1 200 OK\r\n", hang=True) as url:
        assert played_on(endpoint(url, transport, timeout_s=0.2).line()).outcome == "timeout"


def test_an_answer_that_is_no_web_socket_is_refused():
    for answer in (
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ):
        with answering(answer) as url, pytest.raises(SocketRefused):
            open_socket(url, timeout_s=1.0)
    with answering(b"x" * 200_000) as url, pytest.raises((SocketRefused, OSError)):
        open_socket(url, timeout_s=1.0)


def response(kind: str, body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_turn_as_json_has_its_first_word_when_it_has_all():
    meta = {"id": 1, "t_s": 0, "type": "meta", "pack": "p", "thread_id": "t9", "turn_id": "u", "model": "m"}
    done = {"id": 2, "t_s": 0, "type": "done", "outcome": "answered", "agent": "a", "text": "all", "timings": {}}
    body = json.dumps({"events": [meta, done]}).encode()
    with answering(response("application/json", body)) as url:
        line = endpoint(url, "rest").line()
        played = played_on(line)
        line.close()
    assert (played.outcome, played.text, played.thread_id) == ("ok", "all", "t9")
    assert played.t_first == played.t_done


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"events": 3}'])
def test_json_that_is_no_turn_is_a_bad_payload(body):
    with answering(response("application/json", body)) as url:
        assert played_on(endpoint(url, "rest").line()).outcome == "bad_payload"


def chunk(**delta):
    return b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"


def test_chat_completions_are_timed_by_their_words_and_keep_their_history():
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}\n\n'
    chunks = [chunk(role="assistant"), chunk(content=""), chunk(content="one "), b": comment\n\ndata: {\n\n"]
    chunks += [chunk(content="two"), usage, b"data: [DONE]\n\n"]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    with answering(head, *chunks, pause_s=0.03) as url:
        line = endpoint(url, "openai", api_key="k").line()
        played = played_on(line)
        line.close()
    assert (played.outcome, played.text, played.output_tokens) == ("ok", "one two", 2)
    assert played.t_send is not None and played.t_first is not None and played.t_done is not None
    # Neither the role nor the empty piece is a word: they came 60 ms earlier.
    assert played.t_first - played.t_send > 0.08
    assert played.t_done > played.t_last > played.t_first
    assert len(played.gaps_s) == 1
    assert line._messages == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "one two"}]


def test_chat_completions_that_break_or_never_end():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    with answering(head, chunk(content="half")) as url:
        broken = played_on(endpoint(url, "openai").line())
    with answering(head, chunk(content="half"), hang=True) as url:
        endless = played_on(endpoint(url, "openai", timeout_s=0.2).line())
    with answering(head, b"data: [DONE]\n\n") as url:
        silent = played_on(endpoint(url, "openai").line())
    assert [one.outcome for one in (broken, endless, silent)] == ["stream_broken", "timeout", "no_output"]
    assert broken.text == endless.text == "half"


def test_a_close_frame_or_a_pong_between_turns_is_understood():
    splitter = FrameSplitter()
    assert splitter.feed(unmasked(PONG, b"x") + unmasked(CLOSE, b"\x03\xe8")) == [(PONG, b"x"), (CLOSE, b"\x03\xe8")]
