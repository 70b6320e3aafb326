"""Capacity of an assistant: one load run per rate, each held to the load lines of a policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from evals.cards import Card
from evals.errors import UsageError
from evals.loadsuite import LoadRun, run_load_suite
from evals.recording import Recording, make_record
from evals.suites import Progress, SuiteResult
from loadtests.capacity import Bounds, Capacity, Step, StepWord, search
from loadtests.traffic import RATE_PER_WORKER, Arrivals, TrafficProfile, load_profile
from reports.gates.lines import judge_line
from reports.gates.policy import Line, Policy
from reports.records import Estimate, Tier

LEAST_TURNS = 330
"""Turns of a step: 299 without an error certify an error rate below 1 %, and leave room for one over a p95."""
LEAST_S = 10.0
DRAIN_S = 15.0
SHOWN = {
    "response_p95_s": "load.response.p95_s",
    "ttft_p95_s": "load.ttft.p95_s",
    "error_rate": "load.error_rate",
    "throughput_per_s": "load.throughput_per_s",
    "correct_rate": "load.correct_rate",
    "correct_goodput_per_s": "load.correct_goodput_per_s",
}


@dataclass(frozen=True, kw_only=True)
class CapacityRun:
    """`load` is the run to repeat at each rate, its profile the one to start from; `policy` and `tier` say what must hold."""

    load: LoadRun
    policy: Policy
    policy_path: Path
    tier: Tier
    bounds: Bounds
    turns: int = LEAST_TURNS


@dataclass(frozen=True, kw_only=True)
class RateResult:
    """What a rate gave: the shown metrics by short name, and the sentences of the lines that did not hold."""

    metrics: Mapping[str, Estimate | None]
    reasons: Sequence[str]
    server_cpu: float | None
    server_peak_bytes: float | None


def load_lines(policy: Policy) -> list[Line]:
    """The lines of a policy that one load run can decide: those on `load.…` metrics and survival that need no baseline."""
    measured = [line for line in policy.lines if line.metric.startswith("load.") or line.metric == "target.survived"]
    return [line for line in measured if line.limit in {"at_least", "at_most"} and line.planned == "now"]


def find_capacity(
    cards: Sequence[Card], run: CapacityRun, progress: Progress, told: Callable[[Step[RateResult]], None]
) -> Capacity[RateResult]:
    """Search the highest open-loop rate at which every load line holds. `told` hears of each step when it is over.

    Raises `UsageError` when the profile is not open-loop or the policy has no line on load.
    """
    profile = load_profile(run.load.profile)
    if not isinstance(profile.arrivals, Arrivals):
        raise UsageError(f"{run.load.profile}: arrivals.pattern: capacity needs an open loop; use constant, poisson or gamma")
    if not load_lines(run.policy):
        raise UsageError(f"{run.policy_path}: no line on load.… to hold a rate to; add one, or choose another --policy")
    most = RATE_PER_WORKER * profile.workers
    if run.bounds.most > most:
        raise UsageError(
            f"--most {run.bounds.most:g}: the generators of {profile.name} can send {most:g} turns a second; lower it"
        )

    def attempt(rate_per_s: float) -> Step[RateResult]:
        step = _attempt(cards, run, profile, rate_per_s, progress)
        told(step)
        return step

    return search(attempt, run.bounds)


def _attempt(
    cards: Sequence[Card], run: CapacityRun, profile: TrafficProfile, rate_per_s: float, progress: Progress
) -> Step[RateResult]:
    folder = run.load.folder / f"rate-{rate_per_s:.2f}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(_at_rate(profile, rate_per_s, run.turns)), encoding="utf-8")
    result = run_load_suite(cards, replace(run.load, profile=path, folder=folder), progress)
    word, reasons = judge(result, run)
    return Step(rate_per_s=rate_per_s, word=word, found=_found(result, reasons))


def _at_rate(profile: TrafficProfile, rate_per_s: float, turns: int) -> dict[str, Any]:
    """The profile at another rate, as long as `turns` turns take and with room for what piles up."""
    duration_s = max(LEAST_S, turns / rate_per_s)
    data = profile.model_dump(mode="json", exclude_defaults=True)
    data["arrivals"] |= {"rate_per_s": rate_per_s, "duration_s": float(math.ceil(duration_s))}
    data["arrivals"].pop("to_rate_per_s", None)
    data |= {"drain_s": min(profile.drain_s, DRAIN_S), "warmup_s": min(profile.warmup_s, 5.0)}
    data["max_in_flight"] = max(profile.max_in_flight, math.ceil(rate_per_s * (duration_s + DRAIN_S)))
    return data


def judge(result: SuiteResult, run: CapacityRun) -> tuple[StepWord, list[str]]:
    """Whether every load line holds for one load run, and the sentences of those that do not."""
    if result.broken:
        return "invalid", list(result.broken)
    recording = Recording(
        tier=run.tier,
        pack=run.load.pack,
        target=run.load.target.text,
        folder=run.load.folder,
        policy=run.policy_path,
        environ=run.load.environ,
    )
    record = make_record(recording, {"load": result}, result.slots, {})
    gates = [gate for line in load_lines(run.policy) for gate in judge_line(line, record, run.policy, None)]
    judged = [gate for gate in gates if gate.state in {"fail", "invalid", "inconclusive"}]
    states = {gate.state for gate in judged}
    reasons = [f"{gate.title}: {gate.sentence}" for gate in judged]
    if "fail" in states:
        return "fail", reasons
    if "invalid" in states:
        return "invalid", reasons
    return ("inconclusive" if states else "pass"), reasons


def _found(result: SuiteResult, reasons: Sequence[str]) -> RateResult:
    usages = result.tables["load"]["server"] if "load" in result.tables else []
    cpu = [usage["cpu"] for usage in usages[1:]]
    peak = result.metrics.get("load.server.peak_pss_bytes")
    return RateResult(
        metrics={short: result.metrics.get(name) for short, name in SHOWN.items()},
        reasons=list(reasons),
        server_cpu=sum(cpu) / len(cpu) if cpu else None,
        server_peak_bytes=peak.value if peak else None,
    )
