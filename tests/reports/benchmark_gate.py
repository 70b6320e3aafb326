"""How the gate does on a million slots, and the report on a thousand cards: `python tests/reports/benchmark_gate.py`.

Prints wall time and peak memory of each command as its own process. Bounds: a million slots in 10 s and 300 MB, a thousand cards in 3 s.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import sample_run

from reports.records import Slot, read_record, write_record, write_slots

ROOT = Path(__file__).resolve().parents[2]


def slots(cards: int, repeats: int, checks: int) -> Iterator[Slot]:
    """One slot in 997 fails."""
    for number in range(cards * repeats * checks):
        card, rest = divmod(number, repeats * checks)
        repeat, check = divmod(rest, checks)
        yield Slot(
            slot_id=f"cards/card-{card}/{repeat}/check-{check}",
            suite="cards",
            card=f"card-{card}",
            repeat=repeat,
            evaluator=f"check-{check}",
            state="pass" if number % 997 else "fail",
            labels={"area": "safety", "agent": "safety", "severity": "minor"},
        )


def run_folder(folder: Path, cards: int, repeats: int, checks: int) -> None:
    sample_run.build(folder, "pass")
    digest = write_slots(folder / "slots.jsonl", slots(cards, repeats, checks))
    total = cards * repeats * checks
    failed = -(-total // 997)
    record = replace(
        read_record(folder / "record.json"), slot_counts={"cards": {"pass": total - failed, "fail": failed}}, slots_digest=digest
    )
    write_record(folder, record)
    line = json.dumps(sample_run.sample_transcript("card-{}"))
    with (folder / "transcripts.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(line.replace("card-{}", f"card-{card}") + "\n" for card in range(cards))


def measure(title: str, command: list[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    took_s = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    grown = "" if peak > before else "at most "
    print(f"{title:<44} {took_s:6.2f} s   {grown}{peak / 1024:5.0f} MB   exit {done.returncode}")  # noqa: T201


def main() -> None:
    program = [sys.executable, "-m", "evals.cli.main"]
    with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as scratch:
        small, large = Path(scratch) / "small", Path(scratch) / "large"
        run_folder(small, 1_000, 1, 5)
        run_folder(large, 20_000, 10, 5)
        measure("assay gate --help", [*program, "gate", "--help"])
        measure("assay report, 1,000 cards", [*program, "report", str(small)])
        measure("assay gate, 5,000 slots", [*program, "gate", str(small)])
        measure("assay gate, 1,000,000 slots", [*program, "gate", str(large)])
        print(f"report.html of 1,000 cards: {(small / 'report.html').stat().st_size / 1e6:.2f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
