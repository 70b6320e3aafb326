"""Answers: one HTTP/1.1 response read from bytes as they come, without a socket.

`http.client` parses the head of a response as it would an e-mail, which alone costs more than a bare client's whole request, and its
chunked reader takes several calls a word.
"""

from __future__ import annotations

CRLF = 2
MOST_HEAD_BYTES = 65_536
_BODILESS = frozenset({204, 304})


class Malformed(Exception):
    """What came is no HTTP response."""


class Answer:
    """`status` is null until the head is there; `begun` says whether anything came at all.

    `complete`: the whole body is there. `keeps`: the connection may carry another request once it is.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.content_type = ""
        self.begun = False
        self.complete = False
        self.keeps = False
        self._raw = b""
        self._chunked = False
        self._trailing = False
        self._left: int | None = None
        """Bytes of the body to come, or of the chunk and its line end; null where only the end of the connection tells."""

    def feed(self, data: bytes) -> bytes:
        """What `data` adds to the body. Raises `Malformed`."""
        self.begun = True
        if self.status is None:
            data = self._head(self._raw + data)
            if self.status is None:
                return b""
        if self._chunked:
            return self._dechunk(data)
        if self._left is None:
            return data
        if len(data) > self._left:
            # More than was announced: what follows belongs to nothing that was asked.
            self.keeps = False
            data = data[: self._left]
        self._left -= len(data)
        self.complete = self._left == 0
        return data

    def close(self) -> bool:
        """The other side closed: whether that is how the body had to end."""
        self.keeps = False
        self.complete = self.complete or (self.status is not None and not self._chunked and self._left is None)
        return self.complete

    def _head(self, data: bytes) -> bytes:
        """Read the head once it is whole, past interim responses, and give what follows it."""
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MOST_HEAD_BYTES:
                    raise Malformed("the head of the response has no end")
                self._raw = data
                return b""
            status = _status(data)
            if status >= 200:
                self._raw = b""
                self._fields(status, data[: end + CRLF])
                return data[end + 2 * CRLF :]
            data = data[end + 2 * CRLF :]

    def _fields(self, status: int, head: bytes) -> None:
        low = head.lower()
        self.content_type = _field(low, b"content-type").split(b";", 1)[0].strip().decode("latin-1")
        connection = _field(low, b"connection")
        self.keeps = b"close" not in connection if low.startswith(b"http/1.1") else b"keep-alive" in connection
        if status in _BODILESS:
            self._left, self.complete = 0, True
        elif b"chunked" in _field(low, b"transfer-encoding"):
            self._chunked, self._left = True, 0
        elif (length := _field(low, b"content-length")) != b"":
            if not length.isdigit():
                raise Malformed(f"a content length of {length!r}")
            self._left = int(length)
            self.complete = self._left == 0
        else:
            self.keeps = False
        self.status = status

    def _dechunk(self, data: bytes) -> bytes:
        """The payload in `data`; what is not yet complete is kept for the next read."""
        if self._trailing:
            self._trailer(self._raw + data)
            return b""
        if self._raw:
            data = self._raw + data
            self._raw = b""
        if not self._left and data[-CRLF:] == b"\r\n":
            # One whole chunk, as a word mostly comes; a line end inside tells the others.
            end = data.find(b"\r\n")
            size = _chunk_size(data[:end])
            if 0 < size == len(data) - end - 2 * CRLF:
                return data[end + CRLF : -CRLF]
        return self._chunks(data)

    def _chunks(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        at, left = 0, self._left or 0
        while True:
            if left:
                part = data[at : at + max(0, left - CRLF)]
                took = min(left, len(data) - at)
                parts.append(part)
                left -= took
                at += took
                if left:
                    break
            end = data.find(b"\r\n", at)
            if end < 0:
                self._raw = data[at:]
                if len(self._raw) > MOST_HEAD_BYTES:
                    raise Malformed("a chunk without a size")
                break
            size = _chunk_size(data[at:end])
            at = end + CRLF
            if size == 0:
                self._trailing = True
                self._trailer(data[at:])
                break
            left = size + CRLF
        self._left = left
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _trailer(self, data: bytes) -> None:
        """Fields after the last chunk, to their empty line."""
        self.complete = data.startswith(b"\r\n") or b"\r\n\r\n" in data
        self.keeps = self.keeps and (not self.complete or data.endswith(b"\r\n"))
        self._raw = data


def _status(data: bytes) -> int:
    """The status in the first line of a response."""
    words = data[:MOST_HEAD_BYTES].split(b"\r\n", 1)[0].split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not (len(words[1]) == 3 and words[1].isdigit()):
        raise Malformed("the first line is not that of an HTTP/1 response")
    return int(words[1])


def _field(low: bytes, name: bytes) -> bytes:
    """The value of a field of a head in small letters; the first where there are several, nothing where there is none."""
    at = low.find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    at += len(name) + CRLF + 1
    return low[at : low.find(b"\r\n", at)].strip()


def _chunk_size(line: bytes) -> int:
    try:
        size = int(line.split(b";", 1)[0], 16)
    except ValueError:
        size = -1
    if size < 0:
        raise Malformed(f"a chunk of size {line[:20]!r}")
    return size
