"""Targets that answer with something else than an answer: one play breaks off with the evidence kept, and the run goes on."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from evals.budget import Budget, Meter
from evals.cards import Card
from evals.experiment import Pace, run_plan
from evals.journal import Journal
from evals.plan import plan_cards
from evals.targets.http import HttpTarget
from evals.targets.openai import OpenAITarget
from evals.targets.target import Target
from evals.throttle import Throttle
from evals.transcript import Transcript, Visible

Write = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
MEGABYTE = b"x" * 1024 * 1024


async def html(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Type: text/html\r\n\r\n<html><h1>Sign in to the proxy</h1></html>")


async def half_json(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b'Content-Type: application/json\r\n\r\n{"choices": [{"message": {"role": "assistant", "con')


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Type: text/event-stream\r\n\r\n")
    while True:
        writer.write(b": still here\n\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def huge(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Type: text/event-stream\r\nContent-Length: 1073741824\r\n\r\n")
    for _ in range(1024):
        writer.write(MEGABYTE)
        await writer.drain()


async def bomb(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n")
    packed = gzip.compress(MEGABYTE * 64)
    for _ in range(16):
        writer.write(packed)
        await writer.drain()


@asynccontextmanager
async def answering(write: Write) -> AsyncGenerator[str]:
    """A server that is healthy and answers every question with what `write` writes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/healthz" in head:
                writer.write(OK + b"Content-Length: 2\r\n\r\n{}")
            elif b"/v1/turns" in head or b"/chat/completions" in head:
                await write(writer)
            else:
                writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize("kind", ["http", "openai"])
@pytest.mark.parametrize(
    ("write", "fault", "evidence"),
    [
        (html, "agent_error", "Sign in to the proxy"),
        (half_json, "agent_error", ""),
        (endless, "timeout", "no answer within 0.5 s"),
        (huge, "agent_error", "longer than 16,384 KiB"),
        (bomb, "agent_error", "longer than 256 KiB"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_bad_answer_breaks_one_play_off_and_says_what_came(
    kind: str, write: Write, fault: str, evidence: str, make_card: Callable[..., Card]
) -> None:
    timeout_s = 0.5 if write is endless else 10.0
    tracemalloc.start()
    try:
        async with answering(write) as url:
            opened = (
                HttpTarget(url, pack="qsr", timeout_s=timeout_s)
                if kind == "http"
                else OpenAITarget(f"{url}/v1", "m", timeout_s=timeout_s)
            )
            async with opened as target:
                transcript = await target.play(make_card(), 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert transcript.fault == fault and evidence in transcript.fault_reason
    assert peak < 120e6


class Flaky:
    """Breaks off with what `faults` says, a play at a time, then answers."""

    visible = Visible()
    deterministic = False

    def __init__(self, *faults: Transcript | None) -> None:
        self.faults = list(faults)
        self.played = 0

    async def play(self, card: Card, repeat: int) -> Transcript:
        self.played += 1
        fault = self.faults.pop(0) if self.faults else None
        return fault or Transcript(card=card.id, repeat=repeat, turns=[], visible=self.visible)


def broken(fault: str = "infra_error", again_in_s: float | None = 1.0, *, limited: bool = False) -> Transcript:
    return Transcript(
        card="hold-chicken",
        repeat=0,
        turns=[],
        visible=Visible(),
        fault=fault,
        fault_reason="planted",
        again_in_s=again_in_s,
        limited=limited,
    )


async def attempts(target: Target, card: Card, folder: Path) -> tuple[Transcript, list[float]]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    plan = plan_cards([card], repeats=1, visible=target.visible, llm=True)
    with Journal.open(folder, digest="d") as journal:
        pace = Pace(sleep=sleep, meter=Meter(budget=Budget()))
        (played,) = (await run_plan(plan, target, journal, pace)).plays
    return played.transcript, pauses


async def test_what_may_pass_is_tried_again_after_growing_pauses(make_card: Callable[..., Card], tmp_path: Path) -> None:
    target = Flaky(broken(), broken(again_in_s=5.0))
    transcript, pauses = await attempts(target, make_card(), tmp_path)
    assert (transcript.fault, transcript.attempts, pauses) == (None, 3, [1.0, 10.0])


@pytest.mark.parametrize("fault", [broken("agent_error"), broken("timeout"), broken(again_in_s=None)])
async def test_what_the_assistant_did_and_what_cannot_pass_is_never_tried_again(
    fault: Transcript, make_card: Callable[..., Card], tmp_path: Path
) -> None:
    target = Flaky(fault)
    transcript, _ = await attempts(target, make_card(), tmp_path)
    assert (target.played, transcript.attempts, transcript.fault) == (1, 1, fault.fault)


async def test_attempts_are_bounded_and_the_last_fault_stays(make_card: Callable[..., Card], tmp_path: Path) -> None:
    target = Flaky(*[broken(again_in_s=20.0)] * 9)
    transcript, pauses = await attempts(target, make_card(), tmp_path)
    assert (target.played, transcript.attempts, transcript.fault) == (4, 4, "infra_error")
    assert pauses == [20.0, 30.0, 30.0]


async def test_a_target_that_asks_for_fewer_gets_fewer(make_card: Callable[..., Card], tmp_path: Path) -> None:
    """A server that takes two at once: every play gets through, and hardly any is refused once the limit is found."""
    under_way = most = refused = 0

    class Narrow(Flaky):
        async def play(self, card: Card, repeat: int) -> Transcript:
            nonlocal under_way, most, refused
            if under_way >= 2:
                refused += 1
                return broken(again_in_s=0.001, limited=True)
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.002)
            under_way -= 1
            return Transcript(card=card.id, repeat=repeat, turns=[], visible=self.visible)

    plan = plan_cards([make_card()], repeats=60, visible=Visible(), llm=True)
    with Journal.open(tmp_path, digest="d") as journal:
        played = await run_plan(plan, Narrow(), journal, Pace(concurrency=16, attempts=50))
    assert len(played.plays) == 60 and all(play.transcript.fault is None for play in played.plays)
    assert most == 2 and refused < 60


async def test_a_throttle_halves_and_grows_back_to_its_most() -> None:
    throttle = Throttle(8)
    throttle.slow_down()
    throttle.slow_down()
    assert (throttle.allowed, throttle.lowest) == (2, 2)
    for _ in range(2 + 3 + 4 + 5 + 6 + 7 + 50):
        throttle.went_well()
    assert throttle.allowed == 8
    for _ in range(9):
        throttle.slow_down()
    assert throttle.allowed == 1
