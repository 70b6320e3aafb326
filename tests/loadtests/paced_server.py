"""A server of known delays that says when it wrote what: the truth that clients' latencies are compared with.

Run as `python paced_server.py TTFT_S GAP_S TOKENS`; it prints its port. `POST /v1/turns` streams the wire, `POST …/chat/completions` chat
completions, `GET /stamps` the rows `[accepted, first word written]` of all streams so far and its own processor seconds. Times are those
of the machine's monotonic clock, which every process on it shares.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

TTFT_S, GAP_S, TOKENS = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
STAMPS: list[tuple[float, float]] = []
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(data: dict[str, Any]) -> bytes:
    return chunked(b"data: " + json.dumps(data).encode() + b"\n\n")


def wire() -> tuple[bytes, list[bytes], bytes]:
    meta = {"id": 1, "t_s": 0.0, "type": "meta", "pack": "p", "thread_id": "t", "turn_id": "u", "model": "m"}
    words = [event({"id": n + 2, "t_s": 0.0, "type": "token", "text": "word "}) for n in range(TOKENS)]
    usage = {"id": TOKENS + 2, "t_s": 0.0, "type": "usage", "model": "m", "input_tokens": 1, "output_tokens": TOKENS}
    done = {
        "id": TOKENS + 3,
        "t_s": 0.0,
        "type": "done",
        "outcome": "answered",
        "agent": "a",
        "text": "word " * TOKENS,
        "timings": {},
    }
    return event(meta), words, event({**usage, "model_calls": 1, "cost_usd": None}) + event(done) + b"0\r\n\r\n"


def completions() -> tuple[bytes, list[bytes], bytes]:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        return event({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    end = chunk({}, "stop") + chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    return chunk({"role": "assistant"}), [chunk({"content": "word "}) for _ in range(TOKENS)], end


FORMS = {"/v1/turns": wire(), "/v1/chat/completions": completions()}


class Stream(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, blank, rest = self.data.partition(b"\r\n\r\n")
        if not blank:
            return
        lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        length = lengths[0] if lengths else 0
        if len(rest) < length:
            return
        self.data = rest[length:]
        self.answer(head.split(b" ")[1].decode())

    def answer(self, path: str) -> None:
        if path not in FORMS:
            body = json.dumps({"stamps": STAMPS, "cpu_s": time.process_time()}).encode()
            self.transport.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            return
        accepted = time.monotonic()
        self.transport.write(HEAD + FORMS[path][0])
        asyncio.get_running_loop().call_at(accepted + TTFT_S, self.word, path, accepted, 0)

    def word(self, path: str, accepted: float, number: int) -> None:
        if self.transport.is_closing():
            return
        _, words, end = FORMS[path]
        if number == 0:
            STAMPS.append((accepted, time.monotonic()))
        self.transport.write(words[number])
        if number + 1 == TOKENS:
            self.transport.write(end)
            return
        due = accepted + TTFT_S + (number + 1) * GAP_S
        asyncio.get_running_loop().call_at(due, self.word, path, accepted, number + 1)


async def main() -> None:
    listener = await asyncio.get_running_loop().create_server(Stream, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{listener.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
