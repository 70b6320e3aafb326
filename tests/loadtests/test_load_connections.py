"""Connections are kept between turns, and nothing that happens to one makes a turn look other than it was; watched ones as blocking ones."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gevent
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from assistant.wire import TurnRequest
from loadtests import connections as module
from loadtests.connections import Address, BlockingConnection, Connections
from loadtests.played import Played
from loadtests.stream import TurnClient
from loadtests.watching import WatchedConnection, open_connection

META = b'data: {"id": 1, "t_s": 0, "type": "meta", "pack": "p", "thread_id": "t", "turn_id": "u", "model": "m"}\n\n'
WORD = b'data: {"id": 2, "t_s": 0, "type": "token", "text": "hi"}\n\n'
DONE = b'data: {"id": 3, "t_s": 0, "type": "done", "outcome": "answered", "agent": "a", "text": "hi", "timings": {}}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENTS = META + WORD + DONE
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(EVENTS) + EVENTS
Does = Callable[[socket.socket], None]


def says(raw: bytes) -> Does:
    return lambda connection: connection.sendall(raw)


class Server:
    """Answers the requests of each connection as its list says, then closes it. `requests` counts those that came whole."""

    def __init__(self, answers: Sequence[Sequence[Does]], certificate: Path | None = None) -> None:
        self._tls = None if certificate is None else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self._tls is not None and certificate is not None:
            self._tls.load_cert_chain(certificate)
        self.requests = 0
        self.longest = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, args=(answers,), daemon=True)]
        self._threads[0].start()

    def _accept(self, answers: Sequence[Sequence[Does]]) -> None:
        with contextlib.suppress(OSError):
            for one in answers:
                thread = threading.Thread(target=self._serve, args=(one, self._listener.accept()[0]), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, answers: Sequence[Does], connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self._tls is not None:
                connection = stack.enter_context(self._tls.wrap_socket(connection, server_side=True))
            for answer in answers:
                request = b""
                while not request.endswith(b"}"):
                    data = connection.recv(65_536)
                    if not data:
                        return
                    request += data
                self.requests += 1
                self.longest = max(self.longest, len(request))
                answer(connection)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    with contextlib.ExitStack() as stack:

        def serve(*answers: Sequence[Does], certificate: Path | None = None) -> Server:
            server = Server(answers, certificate)
            stack.callback(server.close)
            return server

        yield serve


@pytest.fixture(params=[BlockingConnection.open, open_connection], ids=["blocking", "watched"])
def client(request: pytest.FixtureRequest) -> Iterator[Callable[..., TurnClient]]:
    with contextlib.ExitStack() as stack:

        def make(server: Server, timeout_s: float = 5.0) -> TurnClient:
            shared = Connections(address=Address.of(server.url), opens=request.param)
            stack.callback(shared.close)
            return TurnClient(base_url=server.url, timeout_s=timeout_s, shared=shared)

        yield make


def played_by(client: TurnClient, message: str = "hi") -> Played:
    played = Played()
    client.play(TurnRequest(message=message), played)
    return played


def counts(client: TurnClient) -> tuple[int, int, int]:
    ways = client.connections
    return ways.opened, ways.kept, ways.reopened


def test_turns_share_a_connection_one_after_the_other(client, serving):
    server = serving([says(WHOLE)] * 3)
    one = client(server)
    found = [played_by(one) for _ in range(3)]
    assert [(played.outcome, played.status, played.text) for played in found] == [("ok", 200, "hi")] * 3
    assert (server.requests, counts(one)) == (3, (1, 2, 0))


def test_two_at_a_time_have_two_connections(client, serving):
    server = serving([says(WHOLE)], [says(WHOLE)])
    one = client(server)
    first = one.connections.opens(one.connections.address, 1.0)
    assert played_by(one).outcome == "ok"
    first.close()
    assert counts(one) == (1, 0, 0)


def test_the_end_of_a_body_may_come_after_the_last_event(client, serving):
    """`done` ends the turn; the last chunk is read off before the connection is used again."""
    chunk = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + f"{len(EVENTS):x}\r\n".encode() + EVENTS + b"\r\n"
    go_on = threading.Event()

    def late(connection: socket.socket) -> None:
        connection.sendall(chunk)
        go_on.wait(5)
        connection.sendall(b"0\r\n\r\n")

    server = serving([late, says(WHOLE)], [says(WHOLE)])
    one = client(server)
    assert played_by(one).outcome == "ok"
    go_on.set()
    gevent.sleep(0.05)
    assert played_by(one).outcome == "ok"
    assert counts(one) == (1, 1, 0)


def test_a_body_that_has_not_ended_makes_its_connection_useless(client, serving):
    chunk = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + f"{len(EVENTS):x}\r\n".encode() + EVENTS + b"\r\n"
    server = serving([says(chunk), says(WHOLE)], [says(WHOLE)])
    one = client(server)
    assert [played_by(one).outcome for _ in range(2)] == ["ok", "ok"]
    assert counts(one) == (2, 0, 0)


@pytest.mark.parametrize("after", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_a_connection_that_was_closed_or_spoken_to_while_idle_is_not_used(client, serving, after):
    server = serving([says(WHOLE + after)], [says(WHOLE)])
    one = client(server)
    assert played_by(one).outcome == "ok"
    gevent.sleep(0.05)
    assert played_by(one).outcome == "ok"
    assert counts(one) == (2, 0, 0)


def test_a_connection_that_is_closed_as_it_is_used_again_costs_no_turn(client, serving):
    """The request was taken and nothing said: over a kept connection that is how an idle one ends."""
    server = serving([says(WHOLE), says(b"")], [says(WHOLE)])
    one = client(server)
    found = [played_by(one) for _ in range(2)]
    assert [played.outcome for played in found] == ["ok", "ok"]
    assert counts(one) == (2, 1, 1)


def test_a_request_is_sent_again_only_once_and_only_when_nothing_came(client, serving):
    twice = client(serving([says(WHOLE), says(b"")], [says(b"")], [says(WHOLE)]))
    assert [played_by(twice).outcome for _ in range(2)] == ["ok", "connect"]
    fresh = client(serving([says(b"")], [says(WHOLE)]))
    assert played_by(fresh).outcome == "connect"
    begun = client(serving([says(WHOLE), says(HEAD + b"\r\n" + META)], [says(WHOLE)]))
    assert [played_by(begun).outcome for _ in range(2)] == ["ok", "stream_broken"]
    head = client(serving([says(WHOLE), says(b"HTTP/1.1 ")], [says(WHOLE)]))
    assert [played_by(head).outcome for _ in range(2)] == ["ok", "connect"]
    assert [counts(one)[2] for one in (twice, fresh, begun, head)] == [1, 0, 0, 0]


def test_a_connection_that_was_idle_for_long_is_not_used(client, serving, monkeypatch):
    monkeypatch.setattr(module, "MOST_IDLE_S", -1.0)
    one = client(serving([says(WHOLE)] * 2, [says(WHOLE)]))
    assert [played_by(one).outcome for _ in range(2)] == ["ok", "ok"]
    assert counts(one) == (2, 0, 0)


def test_connections_end_with_those_who_had_them(serving):
    gone = threading.Event()

    def wait(connection: socket.socket) -> None:
        connection.sendall(WHOLE)
        if connection.recv(1) == b"":
            gone.set()

    server = serving([wait])
    ways = Connections(address=Address.of(server.url))
    assert played_by(TurnClient(base_url=server.url, timeout_s=5.0, shared=ways)).outcome == "ok"
    assert not gone.is_set()
    del ways
    assert gone.wait(5)


def test_a_body_that_nobody_wants_is_not_read_to_its_end(client, serving):
    endless = HEAD.replace(b"event-stream", b"html") + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
    refused = b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno"
    gone = threading.Event()

    def wait(connection: socket.socket) -> None:
        connection.sendall(endless)
        if connection.recv(1) == b"":
            gone.set()

    one = client(serving([says(refused), wait], [says(WHOLE)]))
    assert [played_by(one).outcome for _ in range(2)] == ["http_4xx", "bad_payload"]
    assert gone.wait(5)
    assert counts(one) == (1, 1, 0)


def test_a_server_that_says_that_it_closes_is_believed(client, serving):
    said = WHOLE.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n", 1)
    one = client(serving([says(said)] * 2, [says(WHOLE)]))
    assert [played_by(one).outcome for _ in range(2)] == ["ok", "ok"]
    assert counts(one) == (2, 0, 0)


def test_a_turn_that_is_not_answered_in_time_takes_its_connection_with_it(client, serving):
    hang = threading.Event()
    one = client(serving([says(WHOLE), lambda _: hang.wait(5) and None], [says(WHOLE)]), timeout_s=0.3)
    assert [played_by(one).outcome for _ in range(3)] == ["ok", "timeout", "ok"]
    hang.set()
    assert counts(one) == (2, 1, 0)


def test_an_endless_stream_ends_with_its_turn(client, serving):
    def drip(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n")
        for _ in range(200):
            connection.sendall(b": hm\n\n")
            time.sleep(0.01)

    started = time.monotonic()
    assert played_by(client(serving([drip]), timeout_s=0.3)).outcome == "timeout"
    assert time.monotonic() - started < 1.5


def test_what_is_no_http_is_no_connection_and_a_faulty_chunk_breaks_the_stream(client, serving):
    assert played_by(client(serving([says(b"SSH-2.0-x\r\n\r\n")]))).outcome == "connect"
    broken = HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    assert played_by(client(serving([says(broken)]))).outcome == "stream_broken"


def test_a_request_larger_than_the_buffers_arrives_whole(client, serving):
    """Twenty thousand characters are the most that a message may have, so the buffer is made small."""
    server = serving([says(WHOLE)])
    one = client(server)
    one.connections.opens = _with_small_buffer(one.connections.opens)
    assert played_by(one, "x" * 20_000).outcome == "ok"
    assert server.longest > 20_000


def _with_small_buffer(opens):
    def open_small(address: Address, timeout_s: float):
        connection = opens(address, timeout_s)
        connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        return connection

    return open_small


def test_every_word_has_the_moment_at_which_it_came(client, serving):
    def slowly(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n" + META)
        time.sleep(0.1)
        connection.sendall(WORD)
        time.sleep(0.1)
        connection.sendall(DONE)

    played = played_by(client(serving([slowly])))
    assert played.t_send is not None and played.t_first is not None and played.t_done is not None
    assert played.t_first - played.t_send >= 0.1
    assert played.t_done - played.t_first + 0.02 >= 0.1


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and certificate of 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "load test")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "both.pem"
    path.write_bytes(key.private_bytes(*form) + signed.public_bytes(serialization.Encoding.PEM))
    return path


def test_turns_over_tls_share_a_connection_that_blocks(client, serving, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    chunk = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + f"{len(EVENTS):x}\r\n".encode() + EVENTS + b"\r\n0\r\n\r\n"
    one = client(serving([says(chunk), says(WHOLE)], [says(WHOLE)], certificate=certificate))
    assert [played_by(one).outcome for _ in range(2)] == ["ok", "ok"]
    assert counts(one) == (1, 1, 0)
    assert one.connections.address.secure
    gevent.sleep(0.05)
    assert played_by(one).outcome == "ok"
    assert counts(one) == (2, 1, 0)


def test_a_certificate_that_nobody_vouches_for_is_a_connect_failure(client, serving, certificate):
    assert played_by(client(serving([says(WHOLE)], certificate=certificate))).outcome == "connect"


def test_only_an_encrypted_connection_is_read_by_its_greenlet(serving, monkeypatch):
    server = serving([says(WHOLE)])
    secure = Address("127.0.0.1", Address.of(server.url).port, secure=True)
    monkeypatch.setattr(Address, "connect", lambda self, timeout_s: socket.create_connection((self.host, self.port), timeout_s))
    connection = open_connection(secure, 1.0)
    assert isinstance(connection, BlockingConnection)
    connection.close()
    plain = open_connection(Address.of(server.url), 1.0)
    assert isinstance(plain, WatchedConnection)
    plain.close()
