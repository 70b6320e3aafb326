"""Validity: whether the load generator can be believed. A reason here means that nothing may be concluded about the target.

A target that is too slow fills the client's slots; while the generator is idle that is the target's fault and no reason here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from loadtests.evidence import Evidence
from loadtests.samples import Sample

LAG_P50_S = 0.010
SHARE_OF_OBJECTIVE = 0.05
"""What the client may add at its 99th percentile, as a share of the tightest objective."""
RATE_TOLERANCE = 0.01
RATE_SLACK_S = 0.05
"""What the first and the last start of a short run may be off by before the rate is."""
BUSY_CPU = 0.80
LITTLE_TOLERANCE = 0.05
LITTLE_SLACK = 0.5
"""Turns in flight that may be missing where few are: what a client that keeps its limit of 10 ms of lag misses at 50 turns a second."""


@dataclass(frozen=True, kw_only=True)
class Little:
    """Little's law over the measured window: turns in flight as the client counted them from coming to going, and as the samples'
    durations imply. Both are exact over one window, so they differ by the client's lag and by turns that left no sample."""

    counted: float | None
    implied: float

    @property
    def consistent(self) -> bool:
        if self.counted is None:
            return False
        return abs(self.counted - self.implied) <= max(LITTLE_TOLERANCE * self.implied, LITTLE_SLACK)


def broken(evidence: Evidence) -> list[str]:
    """Why this run proves nothing about the target, in sentences; empty when it can be used."""
    if evidence.ended_early:
        return [evidence.ended_early]
    if any(report is None for report in evidence.reports):
        return ["A load generator ended before its campaign, so part of the load was never sent."]
    if evidence.survived is None:
        return ["The target never answered a single turn, so there is nothing to judge."]
    checks = (
        _hidden(evidence),
        *_lag(evidence),
        *_rate(evidence),
        *_processor(evidence),
        _little(evidence),
        *_floor(evidence),
        _warm(evidence),
    )
    return [reason for reason in checks if reason]


def _hidden(evidence: Evidence) -> str:
    """A replay must not turn a failure that was seen into a success."""
    replayed = evidence.replayed
    if replayed is None or not replayed.kept_failed:
        return ""
    return (
        f"{replayed.kept_failed} of {replayed.kept_turns} turns had failed before their generator was lost, which a replay would hide; "
        "run it again."
    )


def own_lags(evidence: Evidence) -> list[float]:
    """Seconds by which the client alone delayed each measured conversation: before it was taken up, and between having its slot and
    sandbox and sending. In a closed loop, where conversations outlast the window, also each later turn: nothing but the client stands
    between the end of its thought and its sending."""
    sent = {sample.session: sample.t_send for sample in evidence.measured if sample.turn == 1}
    lags: list[float] = []
    for row in evidence.started:
        t_send, t_ready = sent.get(row["session"]), row["t_ready"]
        after = max(0.0, t_send - t_ready) if t_send is not None and t_ready is not None else 0.0
        lags.append(max(0.0, row["t_taken"] - row["t_plan"]) + after)
    if evidence.closed:
        later = [sample for sample in evidence.measured if sample.turn > 1]
        lags += [max(0.0, sample.t_send - sample.t_plan) for sample in later if sample.t_send is not None]
    return lags


def _lag(evidence: Evidence) -> list[str]:
    lags = own_lags(evidence)
    if not lags:
        return []
    middle, tail = median(lags), rank(lags, 0.99)
    limit = max(LAG_P50_S, SHARE_OF_OBJECTIVE * evidence.profile.tightest_objective_s)
    reasons: list[str] = []
    if middle >= LAG_P50_S:
        reasons.append(f"The generator sent turns {middle:.3f} s late in the median; below {LAG_P50_S} s it can be believed.")
    if tail > limit:
        reasons.append(f"The generator sent turns {tail:.3f} s late at the 99th percentile; up to {limit:.3f} s can be believed.")
    return reasons


def _rate(evidence: Evidence) -> list[str]:
    """Conversations taken up against the schedule; waiting for a slot comes after that and is the target's doing. Users in a closed
    loop have no schedule: how late they were is in the lag."""
    if evidence.closed:
        return []
    planned = len(evidence.conversations)
    rows = evidence.started
    missing = planned - len(rows)
    reasons = [f"The generator never started {missing} of {planned} conversations."] if missing else []
    due = rows[-1]["t_plan"] - rows[0]["t_plan"] if len(rows) > 1 else 0.0
    if due > 0:
        took = max(row["t_taken"] for row in rows) - min(row["t_taken"] for row in rows)
        if abs(took - due) > max(RATE_TOLERANCE * took, RATE_SLACK_S):
            reasons.append(
                f"The generator started conversations at {due / took:.1%} of the planned rate; 99 % to 101 % can be believed."
            )
    return reasons


def _processor(evidence: Evidence) -> list[str]:
    """Each host is held to its own share: an idle one does not excuse a busy one."""
    parts = [("The generator", generator_cpu(evidence), len(evidence.reports))]
    if evidence.hosts:
        parts = [(f"Host {row['name']}", row["cpu"], len(row["generators"])) for row in evidence.hosts]
    if evidence.replayed is not None:
        parts.append(("The replay's generator", evidence.replayed.cpu, len(evidence.replayed.lost)))
    return [
        f"{who} kept {cpu:.2f} processors busy; up to {BUSY_CPU * count:.2f} can be believed."
        for who, cpu, count in parts
        if cpu is not None and cpu >= BUSY_CPU * count
    ]


def _little(evidence: Evidence) -> str:
    law = little(evidence)
    if law.consistent:
        return ""
    counted = "none" if law.counted is None else f"{law.counted:.2f}"
    return f"Turns in flight do not add up: {counted} were counted, the samples imply {law.implied:.2f} (Little's law)."


def _floor(evidence: Evidence) -> list[str]:
    limit = SHARE_OF_OBJECTIVE * evidence.profile.tightest_objective_s
    reasons: list[str] = []
    for report in evidence.workers:
        if report.calibration is None:
            continue
        floor = report.calibration["response_p99_s"]
        if floor is None:
            reasons.append("The generator's calibration brought no answer, so what the client adds is unknown.")
        elif floor > limit:
            reasons.append(f"The client alone adds {floor:.3f} s at the 99th percentile; up to {limit:.3f} s can be believed.")
    return reasons


def _warm(evidence: Evidence) -> str:
    return "" if evidence.measured else "No measured turn was played."


def generator_cpu(evidence: Evidence) -> float | None:
    """Mean processors that the generator used in the measured window; null when it was not watched."""
    usages = evidence.within_window(evidence.generator)
    return fmean(usage.cpu for usage in usages) if usages else None


def little(evidence: Evidence) -> Little:
    start, end = evidence.window
    known = [report.turn_seconds for report in evidence.workers if report.turn_seconds is not None]
    implied = sum(_overlap(sample, start, end) for sample in evidence.samples) / (end - start)
    whole = bool(known) and len(known) == len(evidence.reports)
    return Little(counted=sum(known) / (end - start) if whole else None, implied=implied)


def _overlap(sample: Sample, start: float, end: float) -> float:
    """Seconds of the window during which the turn was in flight."""
    finish = end if sample.t_done is None else sample.t_done
    return max(0.0, min(finish, end) - max(sample.t_plan, start))


def rank(values: Sequence[float], q: float) -> float:
    """Nearest-rank quantile of at least one value."""
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def as_row(law: Little) -> dict[str, Any]:
    return {"counted": law.counted, "implied": law.implied, "consistent": law.consistent}
