"""How fast and how large the shipped router is: `python tests/evals/benchmark_routing.py [PACK]`, or `make bench-routing`.

One thread, warm, encoding included. Beside it a nearest-neighbour router (mean similarity of the five nearest per route) on the same vectors.
The figures are written to `runs/bench-routing.json` and compared with those of the last time.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from assistant.encoder import SentenceEncoder
from assistant.pack import Pack
from assistant.routing import NO_AGENT, RouteContext, Router, read_utterances
from assistant.settings import Settings
from reports.statistics.quantiles import quantile_estimate

NEAREST = 5
RECORD = Path("runs/bench-routing.json")
WANTED = {"decide_p50_s": 0.002, "decide_p99_s": 0.008, "import_and_load_s": 1.5, "memory_bytes": 250e6}

_ALONE = """
import sys, time
started = time.perf_counter()
from pathlib import Path
from assistant.encoder import SentenceEncoder
from assistant.routing import RouteContext, Router
cache = Path(sys.argv[2])
router = Router.load(Path(sys.argv[1]), SentenceEncoder.load(cache_dir=cache), cache)
spent = time.perf_counter() - started
router.decide("the first message", RouteContext())
lines = Path("/proc/self/status").read_text().splitlines()
kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
print(spent, kilobytes * 1024)
"""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class NeighbourRouter:
    """The route with the highest mean similarity among the five nearest training texts."""

    def __init__(self, vectors: NDArray[np.float32], routes: list[str]) -> None:
        self._vectors = vectors
        self._routes = np.array(routes)

    def choose(self, vector: NDArray[np.float32]) -> str:
        cosines = self._vectors @ vector
        nearest = np.argpartition(-cosines, NEAREST)[:NEAREST]
        found: dict[str, list[float]] = defaultdict(list)
        for place in nearest:
            found[str(self._routes[place])].append(float(cosines[place]))
        return max(found, key=lambda route: sum(found[route]) / len(found[route]))


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    flags = next((line for line in lines if line.startswith("flags")), "")
    return f"{name}, {os.cpu_count()} cores, {'VNNI' if 'vnni' in flags else 'no VNNI'}"


def p(values: list[float], q: float) -> float:
    value = quantile_estimate(values, q, planned=len(values)).value
    assert value is not None
    return value


def measure(pack: str) -> dict[str, object]:
    settings, folder = Settings.from_environ(os.environ), Pack.load(pack).folder
    encoder = SentenceEncoder.load(settings.encoder, cache_dir=settings.cache_dir)
    router = Router.load(folder, encoder, settings.cache_dir)
    rows = [json.loads(line) for line in Path(f"datasets/{pack}/routing/test.jsonl").read_text().splitlines() if line]
    for number in range(100):
        router.decide(f"warm up number {number}", RouteContext())
    right, spent = 0, list[float]()
    for row in rows:
        started = perf_counter()
        right += router.decide(row["text"], RouteContext()).agent == row["agent"]
        spent.append(perf_counter() - started)
    known = read_utterances(folder)
    started = perf_counter()
    vectors = np.stack([encoder.encode(item.text).embedding for item in known])
    per_second = len(known) / (perf_counter() - started)
    neighbours = NeighbourRouter(vectors, [item.agent for item in known])
    neighbour_right, neighbour_spent = 0, list[float]()
    fresh = SentenceEncoder.load(settings.encoder, cache_dir=settings.cache_dir)
    for row in rows:
        started = perf_counter()
        neighbour_right += neighbours.choose(fresh.encode(row["text"]).embedding) == row["agent"]
        neighbour_spent.append(perf_counter() - started)
    runs = [
        subprocess.run([sys.executable, "-c", _ALONE, folder, settings.cache_dir], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    alone = [tuple(map(float, run.stdout.split())) for run in runs]
    return {
        "processor": processor(),
        "onnxruntime": version("onnxruntime"),
        "texts": len(rows),
        "agents": sorted({row["agent"] for row in rows} - {NO_AGENT}),
        "accuracy": right / len(rows),
        "decide_p50_s": p(spent, 0.5),
        "decide_p99_s": p(spent, 0.99),
        "encode_per_s": per_second,
        "neighbours_accuracy": neighbour_right / len(rows),
        "neighbours_p50_s": p(neighbour_spent, 0.5),
        "neighbours_p99_s": p(neighbour_spent, 0.99),
        "import_and_load_s": min(spent for spent, _ in alone),
        "memory_bytes": max(size for _, size in alone),
    }


def main() -> None:
    found = measure(sys.argv[1] if len(sys.argv) > 1 else "qsr")
    last = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    for name, value in found.items():
        told = f"{value:.5g}" if isinstance(value, float) else str(value)
        wanted = f"  wanted: below {WANTED[name]:g}" if name in WANTED else ""
        before = f"  last: {last[name]:.5g}" if isinstance(last.get(name), float) else ""
        say(f"{name:<22} {told}{wanted}{before}")
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
