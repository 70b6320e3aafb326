"""A tiny server that speaks the wire, with faults on request: what the load engine is tested against.

Run as `python wire_server.py OPTIONS_JSON`; it prints its port as one line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any


class Server:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.turns = 0
        self.sandboxes = 0
        self.stall_until = 0.0
        self.slots = asyncio.Semaphore(options.get("parallel", 10_000))

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
            body = await reader.readexactly(lengths[0]) if lengths else b""
            path = head.split(b" ")[1].decode()
            if path == "/healthz":
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
        async with self.slots:
            await self.answer(writer, request, number)

    async def answer(self, writer: asyncio.StreamWriter, request: dict[str, Any], number: int) -> None:
        options = self.options
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        thread = request.get("thread_id") or f"t{number}"
        text = f"{request['message']} {thread} {request.get('sandbox')}"
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


def send(writer: asyncio.StreamWriter, number: int, event: dict[str, Any]) -> None:
    data = b"data: " + json.dumps({"id": number, "t_s": 0.0, **event}).encode() + b"\n\n"
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def reply(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


async def main() -> None:
    server = Server(json.loads(sys.argv[1]))
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{listener.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with listener:
        await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
