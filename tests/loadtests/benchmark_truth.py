"""How far clients are from the truth: `python tests/loadtests/benchmark_truth.py [ROUNDS [STREAMS... [CLIENTS...]]]` prints the table of docs/measurements/load.md.

Truth: a server of known delays (300 ms to the first word, 60 words 20 ms apart) stamps when it accepted a stream and when it wrote the first word.
Each client plays the same staggered schedule in a process of its own, one after the other, in an order that turns with the rounds. The raw error is the client's p95 of
the first word, from the planned start, less the server's p95 from acceptance to writing. Processor time is that of the client's process
over the measured window. Ratios are to the best peer of the same round and level; medians of the rounds are printed.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from loadtests.runner import LoadPlan, Progress, run_load
from loadtests.traffic import TrafficProfile

ROOT = Path(__file__).resolve().parents[2]

TTFT_S, GAP_S, TOKENS = 0.3, 0.02, 60
STREAM_S = TTFT_S + (TOKENS - 1) * GAP_S
WARMUP_S, WINDOW_S = 3.0, 10.0
PEERS = ("openai", "httpx2", "aiohttp")
HERE = Path(__file__).parent


def p95(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


@contextmanager
def paced_server() -> Iterator[str]:
    command = [sys.executable, str(HERE / "paced_server.py"), str(TTFT_S), str(GAP_S), str(TOKENS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def server_says(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/stamps") as answer:
        return json.load(answer)


def ours(url: str, rate: float, transport: str) -> dict[str, Any]:
    profile = TrafficProfile.model_validate(
        {
            "name": "truth",
            "model": "paced",
            "arrivals": {"pattern": "constant", "rate_per_s": rate, "duration_s": WINDOW_S},
            "warmup_s": WARMUP_S,
            "max_in_flight": 5000,
            "turn_timeout_s": 30,
            "drain_s": 2.0,
            "objectives": {"response_s": 10, "ttft_s": 10},
            "seed": 1,
            "transport": transport,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.jsonl"
        script.write_text(json.dumps({"id": "hi", "user_id": "u", "turns": [{"text": "hi"}]}) + "\n")
        base = url if transport == "sse" else f"{url}/v1"
        marks: list[tuple[float, float]] = []

        def watch(seen: Progress) -> None:
            if seen.t_s >= WARMUP_S + len(marks) * WINDOW_S and len(marks) < 2:
                (worker,) = [child for child in psutil.Process().children() if "locust" in " ".join(child.cmdline())]
                times = worker.cpu_times()
                marks.append((time.monotonic(), times.user + times.system))

        plan = LoadPlan(
            profile=profile,
            script=script,
            base_url=base,
            out_dir=Path(folder),
            server_pid=None,
            seed=1,
            calibration_s=0,
            model="m",
            progress=watch,
        )
        result = run_load(plan)
        measured = list(result.measured())
        start = json.loads((Path(folder) / "load" / "start.json").read_text())["zero"] + WARMUP_S
    ttfts = [sample.t_first - sample.t_plan for sample in measured if sample.ok and sample.t_first is not None]
    (begin, cpu), (end, cpu_end) = marks
    cpu_s = (cpu_end - cpu) / (end - begin) * WINDOW_S
    return {"ttft_s": ttfts, "cpu_s": cpu_s, "from": start, "to": start + WINDOW_S, "broken": result.broken}


def peer(name: str, url: str, rate: float) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "peer_clients.py"), name, url, str(rate), str(WARMUP_S), str(WINDOW_S)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return json.loads(subprocess.run(command, env=environ, capture_output=True, check=True, text=True).stdout)


def measure(name: str, streams: int) -> dict[str, Any]:
    rate = streams / STREAM_S
    with paced_server() as url:
        row = ours(url, rate, "sse" if name == "assay, wire" else "openai") if name.startswith("assay") else peer(name, url, rate)
        said = server_says(url)
    true = [wrote - accepted for accepted, wrote in said["stamps"] if row["from"] <= accepted < row["to"]]
    n = len(row["ttft_s"])
    failed = row.get("failed", 0)
    return {
        "client": name,
        "n": n,
        "true_p95_ms": 1000 * p95(true),
        "p95_ms": 1000 * p95(row["ttft_s"]),
        "error_ms": 1000 * (p95(row["ttft_s"]) - p95(true)),
        "cpu_s_per_1000": 1000 * row["cpu_s"] / n,
        "server_cpu": said["cpu_s"] / (WARMUP_S + WINDOW_S + 2 + STREAM_S),
        "broken": [*row.get("broken", []), *([f"{failed} streams failed"] if failed else [])],
    }


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def rounds_of(names: Sequence[str], streams: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Every client once in each round, with its ratios to the round's best peer."""
    for number in range(rounds):
        turned = [*names[number % len(names) :], *names[: number % len(names)]]
        rows = [measure(name, streams) for name in turned]
        for of in ("error_ms", "cpu_s_per_1000"):
            best = min(row[of] for row in rows if row["client"] in PEERS)
            for row in rows:
                row[f"{of} ratio"] = row[of] / best
        yield from rows


def told(rows: Sequence[dict[str, Any]], name: str, digits: int) -> str:
    return f"{median(row[name] for row in rows):.{digits}f}"


def ranged(rows: Sequence[dict[str, Any]], name: str) -> str:
    values = sorted(row[name] for row in rows)
    return f"{median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f})"


def main() -> None:
    rounds, *levels = [int(word) for word in sys.argv[1:] if word.isdigit()] or (3,)
    names = [word for word in sys.argv[1:] if not word.isdigit()] or ["assay, wire", "assay, openai", *PEERS]
    packages = ("locust", "gevent", "openai", "httpx2", "aiohttp")
    say(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in packages))
    say(f"{rounds} rounds, {os.cpu_count()} processors, load average before {os.getloadavg()[0]:.2f}\n")
    say(
        "| streams | client | n | true p95 ms | measured p95 ms | raw error ms | CPU s per 1,000 | server CPU | error ratio | CPU ratio | faults |"
    )
    say("|---|---|---|---|---|---|---|---|---|---|---|")
    for streams in levels or (50, 100, 200):
        by_client: dict[str, list[dict[str, Any]]] = {}
        for row in rounds_of(names, streams, rounds):
            by_client.setdefault(row["client"], []).append(row)
        for name in sorted(by_client, key=lambda name: (name in PEERS, name)):
            rows = by_client[name]
            faults = "; ".join(dict.fromkeys(fault for row in rows for fault in row["broken"]))
            say(
                f"| {streams} | {name} | {told(rows, 'n', 0)} | {told(rows, 'true_p95_ms', 1)} | {told(rows, 'p95_ms', 1)} | "
                f"{told(rows, 'error_ms', 1)} | {told(rows, 'cpu_s_per_1000', 2)} | {told(rows, 'server_cpu', 2)} | "
                f"{ranged(rows, 'error_ms ratio')} | {ranged(rows, 'cpu_s_per_1000 ratio')} | {faults} |"
            )
    say(f"\nload average after {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
