"""Responses are the same whatever the cuts between reads, and what is no HTTP is said to be none."""

from __future__ import annotations

import pytest

from loadtests.answers import MOST_HEAD_BYTES, Answer, Malformed

HEAD = b"HTTP/1.1 200 OK\r\nDate: x\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PAYLOADS = [b"x", b"data: a\r\n\r\n", b"y" * 300, b"\r\n"]
CODED = b"".join(f"{len(part):x};note=1\r\n".encode() + part + b"\r\n" for part in PAYLOADS)


def fed(raw: bytes, cut: int) -> tuple[Answer, bytes]:
    answer = Answer()
    return answer, b"".join(answer.feed(raw[at : at + cut]) for at in range(0, len(raw), cut))


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 7, 64, 10_000])
@pytest.mark.parametrize("trailer", [b"\r\n", b"Expires: 0\r\n\r\n"])
def test_a_chunked_body_is_the_same_whatever_the_cuts(cut, trailer):
    answer, body = fed(CHUNKED + CODED + b"0\r\n" + trailer, cut)
    assert body == b"".join(PAYLOADS)
    assert (answer.status, answer.content_type, answer.complete, answer.keeps) == (200, "text/event-stream", True, True)


@pytest.mark.parametrize("cut", [1, 4, 10_000])
def test_a_body_of_known_length_ends_there(cut):
    answer, body = fed(HEAD + b"Content-Length: 5\r\n\r\nabcde", cut)
    assert (body, answer.complete, answer.keeps) == (b"abcde", True, True)
    assert not fed(HEAD + b"Content-Length: 5\r\n\r\nabcd", cut)[0].complete


@pytest.mark.parametrize("cut", [1, 10_000])
def test_a_body_without_a_length_ends_with_its_connection(cut):
    answer, body = fed(HEAD + b"\r\nabc", cut)
    assert (body, answer.complete, answer.keeps) == (b"abc", False, False)
    assert answer.close()


def test_an_end_in_the_middle_of_a_body_is_no_whole_one():
    for raw in (CHUNKED + b"5\r\nab", CHUNKED + b"5\r\nabcde\r\n", HEAD + b"Content-Length: 5\r\n\r\nab", HEAD):
        assert not fed(raw, 10_000)[0].close()


@pytest.mark.parametrize("cut", [1, 10_000])
def test_interim_responses_and_statuses_without_a_body_are_read_past(cut):
    answer, body = fed(b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 Nothing\r\n\r\n", cut)
    assert (answer.status, body, answer.complete, answer.keeps) == (204, b"", True, True)


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
        (b"HTTP/1.1 200\r\n", True),
    ],
)
def test_a_server_says_whether_a_connection_can_be_kept(head, keeps):
    assert fed(head + b"Content-Length: 0\r\n\r\n", 10_000)[0].keeps is keeps


@pytest.mark.parametrize("tail", [b"Content-Length: 2\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nabc"])
def test_bytes_beyond_the_end_make_a_connection_useless(tail):
    answer, _ = fed(HEAD + tail, 10_000)
    assert (answer.complete, answer.keeps) == (True, False)


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"\r\n\r\n",
        b"x" * (MOST_HEAD_BYTES + 1),
        HEAD + b"Content-Length: -1\r\n\r\n",
        CHUNKED + b"zz\r\nab",
        CHUNKED + b"-2\r\nab",
        CHUNKED + b"1" * (MOST_HEAD_BYTES + 1),
    ],
)
def test_what_is_no_http_is_malformed(raw):
    with pytest.raises(Malformed):
        fed(raw, 100_000)
