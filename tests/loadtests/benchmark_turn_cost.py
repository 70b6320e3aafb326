"""Processor time of a generated turn against a bare FastHttpUser: `python tests/loadtests/benchmark_turn_cost.py [ROUNDS]`.

Both post the same request at the same rate to one null server (nginx, or asyncio where that is not installed), which answers at once with a finished
turn in a single packet. The bare user reads the answer and keeps nothing; ours plays the schedule, stamps events, writes samples and
histograms. Rounds are interleaved, their order turns; processor time is that of the generator's process between two moments in which the server counts the turns.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import psutil

from loadtests.runner import LoadPlan, Progress, run_load
from loadtests.traffic import TrafficProfile
from reports.statistics.log_ratio import ratio_of_rounds

RATE, WARMUP_S, WINDOW_S = 100, 4.0, 12.0
WORDS = 4
SHAPES = {"evenly": 1, "20 at a time": 20}
"""How the turns of a second lie. Waking up costs more than a turn, and users of Locust that pace themselves fall into step, so both are measured."""

LOCUSTFILE = """
from locust import FastHttpUser, constant_throughput, task


class Bare(FastHttpUser):
    wait_time = constant_throughput({rate})

    @task
    def turn(self):
        self.client.post("/v1/turns", json={"message": "hi", "user_id": "u"}, headers={"Accept": "text/event-stream"})
"""


NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location = /v1/turns {{ default_type text/event-stream; return 200 '{body}'; }}
    location = /count {{ stub_status; }}
    location = /healthz {{ return 200 'ok'; }}
  }}
}}
"""


def body() -> bytes:
    rows: list[dict[str, object]] = [
        {"type": "meta", "wire_version": 1, "pack": "p", "thread_id": "t", "turn_id": "u", "model": "m"}
    ]
    rows += [{"type": "token", "text": "word "}] * WORDS
    rows.append({"type": "usage", "model": "m", "input_tokens": 1, "output_tokens": WORDS, "model_calls": 1, "cost_usd": None})
    rows.append({"type": "done", "outcome": "answered", "agent": "a", "text": "word " * WORDS, "timings": {}})
    return b"".join(
        b"data: " + json.dumps({"id": n, "t_s": 0.0, **row}).encode() + b"\n\n" for n, row in enumerate(rows, start=1)
    )


def answer() -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(body()) + body()


class Null(asyncio.Protocol):
    turns = 0
    said = answer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        head, blank, rest = (self.data + data).partition(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        if not blank or len(rest) < sum(lengths):
            self.data += data
            return
        self.data = b""
        if head.startswith(b"POST"):
            Null.turns += 1
            self.transport.write(self.said)
        else:
            count = str(Null.turns).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(count) + count)


async def serve() -> None:
    listener = await asyncio.get_running_loop().create_server(Null, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{listener.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await listener.serve_forever()


@contextmanager
def nginx(program: str, folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, body=body().decode()))
    with subprocess.Popen([program, "-c", str(config), "-e", str(folder / "error.log")]) as process:
        try:
            while True:
                with suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
                    break
                assert process.poll() is None, (folder / "error.log").read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextmanager
def null_server(folder: Path) -> Iterator[str]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program:
        with nginx(program, folder) as url:
            yield url
        return
    with subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


class Meter:
    """Processor milliseconds of a process a turn, between `begin` and `end`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.marks: list[tuple[float, int]] = []

    def mark(self, process: psutil.Process) -> None:
        with urllib.request.urlopen(f"{self.url}/count", timeout=5) as reply:
            said = reply.read().split()
        # nginx counts its own status pages among the requests: accepted, handled, requests are the first three numbers in a row.
        turns = int(said[9]) - len(self.marks) if len(said) > 1 else int(said[0])
        times = process.cpu_times()
        self.marks.append((times.user + times.system, turns))

    def per_turn_ms(self) -> float:
        (cpu, turns), (cpu_end, turns_end) = self.marks
        return 1000 * (cpu_end - cpu) / (turns_end - turns)


def bare(url: str, folder: Path, at_a_time: int) -> float:
    (folder / "locustfile.py").write_text(LOCUSTFILE.replace("{rate}", str(RATE // at_a_time)))
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(folder / "locustfile.py"),
        "--headless",
        "--only-summary",
        "-u",
        str(at_a_time),
        "-r",
        str(at_a_time),
    ]
    meter = Meter(url)
    with subprocess.Popen([*command, "-H", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as process:
        time.sleep(WARMUP_S + 2.0)
        meter.mark(psutil.Process(process.pid))
        time.sleep(WINDOW_S)
        meter.mark(psutil.Process(process.pid))
        process.terminate()
    return meter.per_turn_ms()


def ours(url: str, folder: Path, at_a_time: int) -> float:
    seconds = WARMUP_S + WINDOW_S + 7
    times = [1000 * number * at_a_time / RATE for number in range(int(seconds * RATE / at_a_time)) for _ in range(at_a_time)]
    trace = folder / "trace.jsonl"
    trace.write_text("".join(f'{{"timestamp": {ms:.0f}, "input_length": 1, "output_length": 1}}\n' for ms in times))
    profile = TrafficProfile.model_validate(
        {
            "name": "cost", "model": "null", "arrivals": {"pattern": "trace", "file": str(trace), "columns": "mooncake", "duration_s": WINDOW_S + 2},
            "warmup_s": WARMUP_S, "max_in_flight": 200, "turn_timeout_s": 10, "drain_s": 5,
            "objectives": {"response_s": 10, "ttft_s": 10}, "seed": 1,
        }
    )  # fmt: skip
    (folder / "script.jsonl").write_text(json.dumps({"id": "hi", "user_id": "u", "turns": [{"text": "hi"}]}) + "\n")
    meter = Meter(url)

    def watch(seen: Progress) -> None:
        if seen.t_s >= WARMUP_S + len(meter.marks) * WINDOW_S and len(meter.marks) < 2:
            (worker,) = [child for child in psutil.Process().children() if "locust" in " ".join(child.cmdline())]
            meter.mark(worker)

    plan = LoadPlan(
        profile=profile, script=folder / "script.jsonl", base_url=url, out_dir=folder, server_pid=None, seed=1, calibration_s=0,
        progress=watch,
    )  # fmt: skip
    run_load(plan)
    return meter.per_turn_ms()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def compare(url: str, rounds: int, shape: str) -> None:
    """The rows of one shape, and the ratio of its rounds."""
    costs: list[tuple[float, float]] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=os.environ.get("ASSAY_SCRATCH")) as folder:
            found: dict[str, float] = {}
            for measure in (bare, ours) if number % 2 == 0 else (ours, bare):
                found[measure.__name__] = measure(url, Path(folder), SHAPES[shape])
        costs.append((found["bare"], found["ours"]))
        say(f"| {shape} | {number + 1} | {found['bare']:.2f} | {found['ours']:.2f} | {os.getloadavg()[0]:.1f} |")
    ratio = ratio_of_rounds([one for one, _ in costs], [two for _, two in costs])
    bounds = " to ".join("–" if bound is None else f"{bound:.2f}" for bound in (ratio.low, ratio.high))
    say(f"| {shape} | ratio | {ratio.value:.2f} | {bounds} (one-sided 95 % each) | |")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory(dir=os.environ.get("ASSAY_SCRATCH")) as place, null_server(Path(place)) as url:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as reply:
            server = reply.headers.get("Server", "asyncio")
        say(f"null server {server}, Locust {version('locust')}, gevent {version('gevent')}, Python {platform.python_version()}\n")
        say("| turns | round | bare FastHttpUser, ms a turn | ours, ms a turn | load average |\n|---|---|---|---|---|")
        for shape in SHAPES:
            compare(url, rounds, shape)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main()
