"""What virtual users cost the generator: `python tests/loadtests/benchmark_scale.py` prints the tables of docs/scale.md.

Users of a closed loop (60 words in 1.5 s, then 30 s of thought) against a server of known delays, and the same process with none.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from loadtests.runner import LoadPlan, run_load
from loadtests.traffic import TrafficProfile

HERE = Path(__file__).parent
WARMUP_S, WINDOW_S = 32.0, 20.0


def measure(users: int, workers: int) -> dict[str, Any]:
    profile = TrafficProfile.model_validate(
        {
            "name": "scale",
            "model": "paced",
            "arrivals": {"pattern": "closed", "users": users, "duration_s": WINDOW_S, "ramp_s": 30.0},
            "think": {"median_s": 30, "sigma": 0.0},
            "warmup_s": WARMUP_S,
            "max_in_flight": users,
            "turn_timeout_s": 30,
            "drain_s": 5.0,
            "objectives": {"response_s": 10, "ttft_s": 10},
            "seed": 1,
            "workers": workers,
        }
    )
    command = [sys.executable, str(HERE / "paced_server.py"), "0.3", "0.02", "60"]
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        script = Path(folder) / "script.jsonl"
        script.write_text(json.dumps({"id": "hi", "user_id": "u", "turns": [{"text": "hi"}] * 4}) + "\n")
        plan = LoadPlan(
            profile=profile, script=script, base_url=url, out_dir=Path(folder), server_pid=None, seed=1, calibration_s=0
        )
        result = run_load(plan)
        server.kill()
    table = result.tables["load"]
    return {
        "users": users,
        "workers": workers,
        "turns_per_s": table["turns"]["played"] / WINDOW_S,
        "cpu": table["generator_cpu"],
        "mib": table["generator_peak_bytes"] / 2**20,
        "lag_ms": 1000 * (table["sched_lag_s"]["p99"] or 0.0),
        "errors": sum(table["errors"].values()),
        "broken": "; ".join(result.broken),
    }


def main() -> None:
    sys.stdout.write(
        f"Python {platform.python_version()}, {os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}\n\n"
    )
    sys.stdout.write("| users | processes | turns/s | generator CPU | generator MiB | lag p99 ms | errors | invalid because |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|---|\n")
    for users, workers in ((10, 1), (1000, 1), (2000, 1), (4000, 2)):
        row = measure(users, workers)
        sys.stdout.write(
            f"| {row['users']} | {row['workers']} | {row['turns_per_s']:.1f} | {row['cpu']:.2f} | {row['mib']:.0f} | "
            f"{row['lag_ms']:.1f} | {row['errors']} | {row['broken']} |\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
