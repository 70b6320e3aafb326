"""How far clients are from the truth: `python tests/loadtests/benchmark_truth.py` prints the tables of docs/measurements/load.md.

Truth: a server of known delays (300 ms to the first word, 60 words 20 ms apart) stamps when it accepted a stream and when it wrote the first word.
Each client plays the same staggered schedule in a process of its own, one after the other. The raw error is the client's p95 of the first
word, from the planned start, less the server's p95 from acceptance to writing.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from loadtests.runner import LoadPlan, run_load
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
        plan = LoadPlan(
            profile=profile,
            script=script,
            base_url=base,
            out_dir=Path(folder),
            server_pid=None,
            seed=1,
            calibration_s=0,
            model="m",
        )
        result = run_load(plan)
        measured = list(result.measured())
        start = json.loads((Path(folder) / "load" / "start.json").read_text())["zero"] + WARMUP_S
    ttfts = [sample.t_first - sample.t_plan for sample in measured if sample.ok and sample.t_first is not None]
    cpu_s = (result.tables["load"]["generator_cpu"] or 0.0) * WINDOW_S
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
        "streams": streams,
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


def main() -> None:
    names = ("assay, wire", "assay, openai", *PEERS)
    packages = ("locust", "gevent", "openai", "httpx2", "aiohttp")
    say(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in packages))
    say(f"{os.cpu_count()} processors, load average before {os.getloadavg()[0]:.2f}, {psutil.virtual_memory().total >> 30} GiB\n")
    say(
        "| streams | client | n | true p95 ms | measured p95 ms | raw error ms | CPU s per 1,000 | server CPU | error ratio | CPU ratio |"
    )
    say("|---|---|---|---|---|---|---|---|---|---|")
    for streams in map(int, sys.argv[1:] or ("50", "100", "200")):
        rows = [measure(name, streams) for name in names]
        best_error = min(row["error_ms"] for row in rows if not row["client"].startswith("assay"))
        best_cpu = min(row["cpu_s_per_1000"] for row in rows if not row["client"].startswith("assay"))
        for row in rows:
            say(
                f"| {streams} | {row['client']} | {row['n']} | {row['true_p95_ms']:.1f} | {row['p95_ms']:.1f} | {row['error_ms']:.1f} | "
                f"{row['cpu_s_per_1000']:.2f} | {row['server_cpu']:.2f} | {row['error_ms'] / best_error:.2f} | "
                f"{row['cpu_s_per_1000'] / best_cpu:.2f} | {'; '.join(row['broken'])}",
            )


if __name__ == "__main__":
    main()
