"""Peer clients under the same schedule: `python peer_clients.py CLIENT URL RATE WARMUP_S WINDOW_S` prints measured TTFTs and processor seconds."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from loadtests.schedule import arrival_times

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
First = Callable[[], Awaitable[float]]


@asynccontextmanager
async def openai_sdk(url: str) -> AsyncIterator[First]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:

        async def first() -> float:
            seen = 0.0
            async for chunk in await client.chat.completions.create(**BODY):
                if not seen and chunk.choices and chunk.choices[0].delta.content:
                    seen = time.monotonic()
            return seen

        yield first


@asynccontextmanager
async def httpx2_client(url: str) -> AsyncIterator[First]:
    import httpx2

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(limits=limits, timeout=30) as client:

        async def first() -> float:
            seen = 0.0
            async with client.stream("POST", f"{url}/v1/chat/completions", json=BODY) as answer:
                async for line in answer.aiter_lines():
                    if not seen and has_word(line):
                        seen = time.monotonic()
            return seen

        yield first


@asynccontextmanager
async def aiohttp_client(url: str) -> AsyncIterator[First]:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def first() -> float:
            seen = 0.0
            async with session.post(f"{url}/v1/chat/completions", json=BODY) as answer:
                async for line in answer.content:
                    if not seen and has_word(line.decode()):
                        seen = time.monotonic()
            return seen

        yield first


def has_word(line: str) -> bool:
    if not line.startswith("data: {"):
        return False
    choices = json.loads(line[6:])["choices"]
    return bool(choices and choices[0]["delta"].get("content"))


CLIENTS = {"openai": openai_sdk, "httpx2": httpx2_client, "aiohttp": aiohttp_client}


async def main(client: str, url: str, rate: float, warmup_s: float, window_s: float) -> None:
    total_s = warmup_s + window_s + 2.0
    times = arrival_times("constant", rate, int(rate * total_s))
    async with CLIENTS[client](url) as first:
        await first()
        begin = time.monotonic() + 0.2
        ttfts: list[float] = []
        failed: list[float] = []
        cpu: dict[str, float] = {}

        async def play(t_plan: float) -> None:
            await asyncio.sleep(begin + t_plan - time.monotonic())
            try:
                seen = await first()
            except Exception:  # noqa: BLE001  whatever a peer raises, the stream failed
                failed.append(t_plan)
                return
            if warmup_s <= t_plan < warmup_s + window_s:
                ttfts.append(seen - begin - t_plan)

        async def meter(name: str, at: float) -> None:
            await asyncio.sleep(begin + at - time.monotonic())
            cpu[name] = time.process_time()

        await asyncio.gather(*map(play, times), meter("start", warmup_s), meter("end", warmup_s + window_s))
    row = {
        "failed": len(failed),
        "ttft_s": ttfts,
        "cpu_s": cpu["end"] - cpu["start"],
        "from": begin + warmup_s,
        "to": begin + warmup_s + window_s,
    }
    sys.stdout.write(json.dumps(row))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6])))
