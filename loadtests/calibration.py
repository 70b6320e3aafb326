"""Calibration: what the client itself adds. A server of known delay speaks the wire, and the client that drives the load plays it.

Run as `python -m loadtests.calibration`: it prints its port as one line and serves until its standard input closes. Its `done` event
says when the server sent it (`t_s`); whatever the client measures beyond that is the client's own floor.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.wire import DoneEvent, MetaEvent, TokenEvent
from loadtests.played import Played

FIRST_S = 0.1
GAP_S = 0.02
WORDS = 10


@dataclass(frozen=True, kw_only=True)
class Floor:
    """Seconds the client adds to a response and to a first word: median and 99th percentile of `n` calibration turns of
    which `failed` more were not answered."""

    n: int
    failed: int
    response_p50_s: float | None
    response_p99_s: float | None
    ttft_p50_s: float | None
    ttft_p99_s: float | None


def floor_of(turns: Sequence[tuple[float, Played]]) -> Floor:
    """The floor from (intended start, turn) pairs played against the calibration server."""
    response: list[float] = []
    ttft: list[float] = []
    for t_plan, played in turns:
        if played.outcome != "ok" or played.t_done is None or played.t_first is None:
            continue
        first = next(event for event in played.events if event["type"] == "token")
        response.append(played.t_done - t_plan - played.events[-1]["t_s"])
        ttft.append(played.t_first - t_plan - first["t_s"])
    return Floor(
        n=len(response),
        failed=len(turns) - len(response),
        response_p50_s=_rank(response, 0.50),
        response_p99_s=_rank(response, 0.99),
        ttft_p50_s=_rank(ttft, 0.50),
        ttft_p99_s=_rank(ttft, 0.99),
    )


def _rank(values: Sequence[float], q: float) -> float | None:
    """Nearest-rank quantile."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Turns over one connection, one after the other."""
    try:
        while True:
            await turn(reader, writer)
    except (ConnectionError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


async def turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One turn: first word after `FIRST_S`, then one every `GAP_S`, then `done`."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    await reader.readexactly(length)
    accepted = time.monotonic()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    _send(writer, MetaEvent(id=1, t_s=0.0, pack="", thread_id="calibration", turn_id="", model="").model_dump())
    for word in range(WORDS):
        due = accepted + FIRST_S + word * GAP_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        _send(writer, TokenEvent(id=word + 2, t_s=time.monotonic() - accepted, text="word ").model_dump())
    elapsed = time.monotonic() - accepted
    done = DoneEvent(id=WORDS + 2, t_s=elapsed, outcome="answered", agent="", text="word " * WORDS, timings={})
    _send(writer, done.model_dump())
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _send(writer: asyncio.StreamWriter, event: dict[str, Any]) -> None:
    data = b"data: " + json.dumps(event).encode() + b"\n\n"
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def serve() -> None:
    """Serve on a free loopback port until standard input closes."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    async with server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
