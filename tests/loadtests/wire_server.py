"""A tiny server that speaks the wire, with faults on request: what the load engine is tested against.

Run as `python wire_server.py OPTIONS_JSON`; it prints its port as one line.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Server:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.turns = 0
        self.sandboxes = 0
        self.stall_until = 0.0
        self.last = ""
        self.free_at = 0.0
        self.slots = asyncio.Semaphore(options.get("parallel", 10_000))

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
            body = await reader.readexactly(lengths[0]) if lengths else b""
            path = head.split(b" ")[1].decode()
            if path == "/v1/chat/completions":
                await completion(writer)
            elif path == "/v1/ws":
                await self.socket(head, reader, writer)
            elif path == "/healthz":
                reply(writer, 200, {"status": "ok"})
            elif path == "/v1/sandboxes":
                self.sandbox(writer)
            else:
                await self.turn(writer, json.loads(body))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def socket(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The server's half of a WebSocket: a text frame is a turn, pings and pongs on request."""
        if self.options.get("socket_status"):
            reply(writer, self.options["socket_status"], {"detail": "no"})
            return
        (key,) = [line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")]
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        writer.write(
            b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        socket = Socket(reader, writer, self.options)
        async with socket.beside():
            async for text in socket.texts():
                if await self.over_socket(socket, json.loads(text)):
                    return

    async def over_socket(self, socket: Socket, request: dict[str, Any]) -> bool:
        """One turn; true when the connection is to end after it."""
        self.turns += 1
        number, options = self.turns, self.options
        never = 1_000_000_000
        if number % options.get("error_every", never) == 0 or number % options.get("refuse_every", never) == 0:
            socket.send({"error": {"code": "no", "message": "no"}})
            return False
        thread = request.get("thread_id") or f"t{number}"
        text = self.text(request, thread)
        meta = {"type": "meta", "wire_version": 1, "pack": "p", "thread_id": thread, "turn_id": f"u{number}", "model": "m"}
        socket.send({"id": 1, "t_s": 0.0, **meta})
        await asyncio.sleep(max(options.get("first_s", 0.02), self.stall_until - time.monotonic()))
        socket.send({"id": 2, "t_s": 0.0, "type": "token", "text": text})
        if number % options.get("cut_every", never) == 0:
            await socket.writer.drain()
            socket.writer.transport.abort()
            return True
        if number % options.get("close_every", never) == 0:
            socket.raw(0x8, b"\x03\xe8")
            return True
        word = 2
        while options.get("endless"):
            word += 1
            socket.send({"id": word, "t_s": 0.0, "type": "token", "text": "more"})
            await asyncio.sleep(0.05)
        await asyncio.sleep(options.get("last_s", 0.02))
        usage = {"type": "usage", "model": "m", "input_tokens": 3, "output_tokens": 5, "model_calls": 1, "cost_usd": None}
        socket.send({"id": 3, "t_s": 0.0, **usage})
        socket.send({"id": 4, "t_s": 0.0, "type": "done", "outcome": "answered", "agent": "a", "text": text, "timings": {}})
        return False

    async def queue(self, number: int) -> None:
        """One turn after the other takes `queue_s`, turn `long_at` `long_s` more. Ends are computed, not slept together, so that they
        are those of an exact queue."""
        options = self.options
        took = options["queue_s"] + (options["long_s"] if options.get("long_at") == number else 0.0)
        self.free_at = max(time.monotonic(), self.free_at) + took
        await asyncio.sleep(self.free_at - time.monotonic())

    def text(self, request: dict[str, Any], thread: str) -> str:
        """The message echoed; with `leak_every` that of the turn before, now and then."""
        said, self.last = self.last, request["message"]
        leaks = self.turns % self.options.get("leak_every", 1_000_000_000) == 0
        return f"{said if leaks else request['message']} {thread} {request.get('sandbox')}"

    def sandbox(self, writer: asyncio.StreamWriter) -> None:
        status = self.options.get("sandbox_status", 404)
        self.sandboxes += 1
        reply(writer, status, {"sandbox": f"s{self.sandboxes}"} if status < 300 else {"detail": "no"})

    async def turn(self, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
        self.turns += 1
        number, options = self.turns, self.options
        if options.get("die_at") == number:
            os._exit(1)
        if options.get("stall_at") == number:
            self.stall_until = time.monotonic() + options["stall_s"]
        if number % options.get("error_every", 1_000_000_000) == 0:
            reply(writer, options.get("error_status", 500), {"detail": "boom"})
            return
        await asyncio.sleep(max(0.0, self.stall_until - time.monotonic()))
        if "queue_s" in options:
            await self.queue(number)
        async with self.slots:
            await self.answer(writer, request, number)

    async def answer(self, writer: asyncio.StreamWriter, request: dict[str, Any], number: int) -> None:
        options = self.options
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        thread = request.get("thread_id") or f"t{number}"
        text = self.text(request, thread)
        meta = {"type": "meta", "wire_version": 1, "pack": "p", "thread_id": thread, "turn_id": f"u{number}", "model": "m"}
        send(writer, 1, meta)
        await asyncio.sleep(options.get("first_s", 0.02))
        send(writer, 2, {"type": "token", "text": text})
        await writer.drain()
        if number % options.get("cut_every", 1_000_000_000) == 0:
            writer.transport.abort()
            return
        await asyncio.sleep(options.get("last_s", 0.02))
        usage = {"type": "usage", "model": "m", "input_tokens": 3, "output_tokens": 5, "model_calls": 1, "cost_usd": None}
        send(writer, 3, usage)
        send(writer, 4, {"type": "done", "outcome": "answered", "agent": "a", "text": text, "timings": {"total_s": 0.04}})
        writer.write(b"0\r\n\r\n")


class Socket:
    """One WebSocket, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, options: dict[str, Any]) -> None:
        self.reader, self.writer, self.options = reader, writer, options
        self.ponged = asyncio.Event()

    def raw(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
        self.writer.write(bytes([0x80 | opcode]) + length + payload)

    def send(self, event: dict[str, Any]) -> None:
        self.raw(0x1, json.dumps(event).encode().replace(b'{"error": ', b'{"error":'))

    async def texts(self) -> AsyncIterator[bytes]:
        while True:
            head = await self.reader.readexactly(2)
            size = head[1] & 0x7F
            if size >= 126:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            key = await self.reader.readexactly(4)
            data = await self.reader.readexactly(size)
            payload = bytes(byte ^ key[at % 4] for at, byte in enumerate(data))
            opcode = head[0] & 0x0F
            if opcode == 0x9 and not self.options.get("deaf"):
                self.raw(0xA, payload)
            elif opcode == 0xA:
                self.ponged.set()
            elif opcode == 0x8:
                return
            else:
                yield payload

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Ping, or close after a while, if the options say so."""
        tasks = [
            asyncio.create_task(work())
            for name, work in (("ping_every", self.ping), ("close_after", self.end))
            if name in self.options
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def ping(self) -> None:
        while True:
            await asyncio.sleep(self.options["ping_every"])
            self.ponged.clear()
            self.raw(0x9, b"hello")
            try:
                await asyncio.wait_for(self.ponged.wait(), self.options["pong_within"])
            except TimeoutError:
                self.writer.transport.abort()

    async def end(self) -> None:
        await asyncio.sleep(self.options["close_after"])
        self.raw(0x8, b"\x03\xe8")
        self.writer.close()


GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def completion(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    for piece in ("", "one ", "two"):
        await asyncio.sleep(0.01)
        writer.write(b"data: " + json.dumps({"choices": [{"delta": {"content": piece}}]}).encode() + b"\n\n")
    writer.write(b"data: [DONE]\n\n")


def send(writer: asyncio.StreamWriter, number: int, event: dict[str, Any]) -> None:
    data = b"data: " + json.dumps({"id": number, "t_s": 0.0, **event}).encode() + b"\n\n"
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def reply(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


async def main() -> None:
    server = Server(json.loads(sys.argv[1]))
    listener = await asyncio.start_server(server.handle, server.options.get("host", "127.0.0.1"), 0, backlog=1024)
    sys.stdout.write(f"{listener.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with listener:
        await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
