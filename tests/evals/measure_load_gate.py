"""Does the gate tell a slower model from the same one? `python tests/evals/measure_load_gate.py [ROUNDS]`, from the project's folder.

Each round loads the same build twice (A, A') and once with a model that is 20 % slower (B), one after the other, in an order that turns.
Two judges look at it: the gate, one record against another, with a line that lets p95 rise by 10 % of A's; and the ratio of interleaved rounds.
The model's name and the traffic's digest are those of A in all records, for a model that got slower does not tell.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import yaml

from evals.catalog import load_cards
from evals.loadsuite import LoadRun, run_load_suite
from evals.recording import Recording, make_record
from evals.suites import SuiteResult
from evals.targets.opening import parse_target
from reports.gates.lines import judge_line
from reports.gates.policy import Policy, read_policy
from reports.gates.reference import OneRecord
from reports.records import Record
from reports.statistics.log_ratio import ratio_of_rounds, slowed

MARGIN = 0.10
P95 = "load.response.p95_s"
SPEEDS = {"A": 1.0, "A'": 1.0, "B": 1.2}
PROFILE = {
    "name": "gate", "arrivals": {"pattern": "poisson", "rate_per_s": 4, "duration_s": 17}, "warmup_s": 2, "max_in_flight": 200,
    "turn_timeout_s": 20, "drain_s": 20, "objectives": {"response_s": 2.0, "ttft_s": 1.0}, "seed": 11,
}  # fmt: skip


def run(name: str, folder: Path) -> SuiteResult:
    folder.mkdir(parents=True)
    pace = f"paced:ttft_ms={300 * SPEEDS[name]:g},gap_ms={20 * SPEEDS[name]:g},tokens=60"
    (folder / "profile.yaml").write_text(yaml.safe_dump({**PROFILE, "model": pace}))
    cards = load_cards(Path("datasets/qsr/scenarios"))
    load = LoadRun(
        pack="qsr",
        profile=folder / "profile.yaml",
        target=parse_target("inprocess"),
        folder=folder,
        environ=os.environ,
        most_turns=1,
    )
    return run_load_suite(cards, load, lambda name, done, total: None)


def record_of(result: SuiteResult, like: SuiteResult, folder: Path) -> Record:
    told = replace(result, load=like.load, digests=like.digests)
    recording = Recording(
        tier="pr", pack="qsr", target="inprocess", folder=folder, policy=Path("datasets/gates/pr.yaml"), environ=os.environ
    )
    return make_record(recording, {"load": told}, told.slots, {})


def policy_of(folder: Path, rise_s: float) -> Policy:
    line = {"metric": P95, "max_rise": round(rise_s, 3), "baseline": "required", "why": "The margin of this measurement."}
    path = folder / "policy.yaml"
    pr = yaml.safe_load(Path("datasets/gates/pr.yaml").read_text())
    path.write_text(yaml.safe_dump({**pr, "lines": [line]}))
    return read_policy(path)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    words: dict[str, Counter[str]] = {"A'": Counter(), "B": Counter()}
    p95: dict[str, list[float]] = {name: [] for name in SPEEDS}
    with tempfile.TemporaryDirectory(dir=os.environ.get("ASSAY_SCRATCH")) as scratch:
        for number in range(rounds):
            names = [*SPEEDS][number % 3 :] + [*SPEEDS][: number % 3]
            found = {name: run(name, Path(scratch) / f"{number}{name[0]}{len(name)}") for name in names}
            base = found["A"].metrics[P95]
            values = {name: one.metrics[P95] for name, one in found.items()}
            invalid = [name for name, one in found.items() if one.broken]
            if (
                invalid
                or base is None
                or base.value is None
                or any(value is None or value.value is None for value in values.values())
            ):
                sys.stdout.write(f"round {number}: left out, invalid: {', '.join(invalid)}\n")
                continue
            policy = policy_of(Path(scratch), MARGIN * base.value)
            before = record_of(found["A"], found["A"], Path(scratch))
            for name, counted in words.items():
                after = record_of(found[name], found["A"], Path(scratch))
                (gate,) = judge_line(
                    policy.lines[0], after, policy, OneRecord(record=after, baseline=before, options=policy.baseline)
                )
                counted[gate.state] += 1
            for name, value in values.items():
                p95[name].append(value.value if value and value.value else 0.0)
            sys.stdout.write(f"round {number}: " + ", ".join(f"{name} {values[-1]:.3f} s" for name, values in p95.items()) + "\n")
            sys.stdout.flush()
    sys.stdout.write(
        "| compared with A | the gate, one record each | ratio of rounds | 95 % interval | slower by more than 10 %? |\n"
    )
    sys.stdout.write("|---|---|---|---|---|\n")
    for name, counted in words.items():
        ratio = ratio_of_rounds(p95["A"], p95[name])
        told = ", ".join(f"{word} {count}" for word, count in counted.items())
        bounds = " to ".join("–" if bound is None else f"{bound:.3f}" for bound in (ratio.low, ratio.high))
        sys.stdout.write(f"| {name} | {told} | {ratio.value or 0.0:.3f} | {bounds} | {slowed(ratio, MARGIN)} |\n")


if __name__ == "__main__":
    main()
