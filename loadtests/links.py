"""Links between the hosts of a distributed load run: JSON frames over one TCP connection, opened only after both sides have shown that
they hold the token. The token itself never travels; what follows is not encrypted, so hosts belong into one network or a tunnel.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

TOKEN_VARIABLE = "ASSAY_LOAD_TOKEN"
LEAST_TOKEN = 16
MOST_BYTES = 64 * 1024 * 1024
STRANGER_BYTES = 4096
"""The longest frame taken from a side that has not shown the token yet."""
HANDSHAKE_S = 10.0
_HEAD = struct.Struct(">I")


class LinkLost(Exception):
    """The other side is gone, silent or does not speak as it should: the message says which."""


class Refused(Exception):
    """The two sides will not work together: the message says why."""


class Link:
    """One connection. Every frame is a JSON object with its `kind`, after four bytes that say how long it is."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self.most_bytes = STRANGER_BYTES

    def send(self, kind: str, **fields: Any) -> None:
        """Raises `LinkLost`."""
        data = json.dumps({"kind": kind, **fields}).encode()
        try:
            self._socket.sendall(_HEAD.pack(len(data)) + data)
        except OSError as error:
            raise LinkLost(f"the connection broke ({error.strerror or type(error).__name__})") from error

    def receive(self, *kinds: str, within_s: float) -> dict[str, Any]:
        """The next frame, which must be of one of `kinds` and arrive without a pause of `within_s`. Raises `LinkLost`, and `Refused`
        when the other side refuses."""
        self._socket.settimeout(within_s)
        (size,) = _HEAD.unpack(self._exactly(_HEAD.size, within_s))
        if size > self.most_bytes:
            raise LinkLost(f"a frame of {size} bytes came, {self.most_bytes} are taken")
        try:
            message = json.loads(self._exactly(size, within_s))
        except ValueError as error:
            raise LinkLost("a frame came that is not JSON") from error
        kind = message.get("kind") if isinstance(message, dict) else None
        if kind == "refused":
            raise Refused(str(message.get("reason")))
        if kind not in kinds:
            raise LinkLost(f"{kind!r} came where {' or '.join(kinds)} was due")
        return message

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _exactly(self, size: int, within_s: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            try:
                data = self._socket.recv(size - len(found))
            except TimeoutError as error:
                raise LinkLost(f"nothing came for {within_s:g} s") from error
            except OSError as error:
                raise LinkLost(f"the connection broke ({error.strerror or type(error).__name__})") from error
            if not data:
                raise LinkLost("the connection was closed")
            found += data
        return bytes(found)


@dataclass(frozen=True, kw_only=True)
class Build:
    """What must be equal on all hosts: the version, and the digest of the code that derives schedules and keeps time."""

    version: str
    digest: str

    def __str__(self) -> str:
        return f"{self.version} ({self.digest[:12]})"


def own_build() -> Build:
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in [*sorted(here.glob("*.py")), here.parent / "assistant" / "wire.py"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return Build(version=version("assay"), digest=digest.hexdigest())


def admit(link: Link, token: str, build: Build) -> str:
    """The master's side of the handshake: who joined. Raises `Refused` (the other side was told why) and `LinkLost`."""
    nonce = secrets.token_hex(16)
    link.send("hello", nonce=nonce)
    told = link.receive("join", within_s=HANDSHAKE_S)
    if not hmac.compare_digest(str(told.get("proof")), _proof(token, "join", nonce)):
        raise _refuse(link, f"the tokens differ; set the same {TOKEN_VARIABLE} on both hosts")
    theirs = Build(version=str(told.get("version")), digest=str(told.get("digest")))
    if theirs != build:
        raise _refuse(link, f"the worker is build {theirs}, the master is {build}; install the same one on both hosts")
    link.send("welcome", proof=_proof(token, "welcome", str(told.get("nonce"))))
    link.most_bytes = MOST_BYTES
    return str(told.get("name"))[:100]


def ask_in(link: Link, token: str, build: Build, name: str) -> None:
    """The worker's side of the handshake. Raises `Refused` and `LinkLost`."""
    nonce = secrets.token_hex(16)
    challenge = str(link.receive("hello", within_s=HANDSHAKE_S).get("nonce"))
    proof = _proof(token, "join", challenge)
    link.send("join", nonce=nonce, proof=proof, name=name, version=build.version, digest=build.digest)
    welcome = link.receive("welcome", within_s=HANDSHAKE_S)
    if not hmac.compare_digest(str(welcome.get("proof")), _proof(token, "welcome", nonce)):
        raise Refused(f"the master does not hold the token; set the same {TOKEN_VARIABLE} on both hosts")
    link.most_bytes = MOST_BYTES


def _refuse(link: Link, reason: str) -> Refused:
    with suppress(LinkLost):
        link.send("refused", reason=reason)
    return Refused(reason)


def _proof(token: str, role: str, nonce: str) -> str:
    """HMAC-SHA256; the role keeps one side's proof from being handed back as the other's."""
    return hmac.new(token.encode(), f"{role}/{nonce}".encode(), hashlib.sha256).hexdigest()
