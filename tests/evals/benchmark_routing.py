"""How fast and how large the shipped router is: `python tests/evals/benchmark_routing.py [PACK]`, or `make bench-routing`.

One thread, warm, encoding included. Beside it a nearest-neighbour router (mean similarity of the five nearest per route) on the same vectors.
Run with an interpreter that has torch (the extra `train`), it also reads the same texts with torch in eager mode and gives the ratio.
The figures are written to `runs/bench-routing.json` and compared with those of the last time.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from assistant.encoder import SentenceEncoder
from assistant.encoder.eager import encode_batches
from assistant.encoder.weights import locate, read_tensors, read_tokenizer
from assistant.pack import Pack
from assistant.routing import NO_AGENT, RouteContext, Router, read_utterances
from assistant.settings import Settings
from reports.statistics.quantiles import quantile_estimate

NEAREST = 5
RECORD = Path("runs/bench-routing.json")
WANTED = {"decide_p50_s": 0.002, "decide_p99_s": 0.008, "import_and_load_s": 1.5, "memory_bytes": 250e6}
WANTED_RATIO = 3.0
EAGER_BATCH = 32
LAPS = 3
"""Each way of reading is timed so often, in turn, and its best lap counts: other work on the machine only adds time."""

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


def compare_encoders(pack: str) -> dict[str, object]:
    """Texts a second of the served encoder and of torch eager, fp32, both on all processors; empty without torch.

    Eager batches hold `EAGER_BATCH` texts of like length, as sentence-transformers batches by default.
    """
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}
    settings = Settings.from_environ(os.environ)
    rows = [json.loads(line) for line in Path(f"datasets/{pack}/routing/test.jsonl").read_text().splitlines() if line]
    texts = sorted({row["text"] for row in rows}, key=len)
    files = locate(settings.encoder)
    tensors = {name: torch.from_numpy(value) for name, value in read_tensors(files).items()}
    tokenizer = read_tokenizer(files)

    def eager(size: int) -> None:
        for start in range(0, len(texts), size):
            ids = [tokenizer.encode(text).ids for text in texts[start : start + size]]
            encode_batches(torch, tensors, files.shape, ids, "cpu")

    def served(together: bool) -> Callable[[], object]:
        encoder = SentenceEncoder.load(settings.encoder, cache_dir=settings.cache_dir)
        return lambda: encoder.encode_many(texts) if together else [encoder.encode(text) for text in texts]

    best: dict[str, float] = {}
    for _ in range(LAPS):
        ways: dict[str, Callable[[], object]] = {
            "served_batch_per_s": served(True),
            "served_single_per_s": served(False),
            "eager_batch_per_s": lambda: eager(EAGER_BATCH),
            "eager_single_per_s": lambda: eager(1),
        }
        for name, read in ways.items():
            started = perf_counter()
            read()
            best[name] = max(best.get(name, 0.0), len(texts) / (perf_counter() - started))
    ratio = best["served_batch_per_s"] / best["eager_batch_per_s"]
    say(
        f"ratio of batches {ratio:.2f}, wanted {WANTED_RATIO:g}; of single texts {best['served_single_per_s'] / best['eager_single_per_s']:.2f}"
    )
    return {"torch": str(torch.__version__), "torch_threads": torch.get_num_threads(), **best, "ratio_batch": ratio}


def main() -> None:
    pack = sys.argv[1] if len(sys.argv) > 1 else "qsr"
    found = measure(pack) | compare_encoders(pack)
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
