"""Summary: evidence becomes the metrics of a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from loadtests.evidence import Evidence
from loadtests.replaying import MARK
from loadtests.timing import response_s, ttft_s
from loadtests.validity import own_lags
from reports.records import Estimate
from reports.statistics.proportions import clopper_pearson
from reports.statistics.quantiles import quantile_estimate

CONFIDENCE = 0.95


def metrics(evidence: Evidence) -> dict[str, Estimate | None]:
    """Metrics by name. Null: planned and not measured. Turns that are missing count as errors and as infinitely slow."""
    measured, planned = evidence.measured, evidence.planned
    lost = planned - len(measured)
    missing = [float("inf")] * lost
    responses = [*map(response_s, measured), *missing]
    first_words = [*map(ttft_s, measured), *missing]
    answered = sum(sample.ok for sample in measured)
    survived = evidence.survived
    found = {
        "load.response.p95_s": quantile_estimate(responses, 0.95, planned=planned),
        "load.ttft.p95_s": quantile_estimate(first_words, 0.95, planned=planned),
        "load.error_rate": clopper_pearson(planned - answered, planned),
        "load.throughput_per_s": _throughput(evidence),
        "load.sched_lag.p50_s": _lag(evidence),
        "load.server.peak_pss_bytes": _peak(evidence),
        "load.lost_turns": _exact(float(lost), k=lost, n=planned, planned=planned, method="planned turns without a sample"),
        "target.survived": None if survived is None else clopper_pearson(int(survived), 1),
        **({"soak.availability": clopper_pearson(answered, planned)} if evidence.profile.soak else {}),
        **_asked_for(evidence),
    }
    return marked(found) if evidence.replayed else found


def marked(metrics: Mapping[str, Estimate | None]) -> dict[str, Estimate | None]:
    """The metrics of a run of which a part was played again, each saying so."""
    return {name: value and replace(value, method=f"{value.method}; {MARK}") for name, value in metrics.items()}


def _asked_for(evidence: Evidence) -> dict[str, Estimate | None]:
    """What only some profiles measure: answers that carry another conversation's mark, and connections held."""
    found: dict[str, Estimate | None] = {}
    if evidence.profile.canary:
        count = len(evidence.leaks)
        n = len(evidence.samples)
        found["load.leaks"] = _exact(
            float(count), k=count, n=n, planned=n, method="answers with the mark of another conversation"
        )
    if evidence.profile.hold is not None:
        rows = [report.held for report in evidence.workers if report.held is not None]
        least = [row["least"] for row in rows]
        planned = evidence.profile.hold.connections
        whole = bool(rows) and None not in least
        found["websockets.held"] = (
            _exact(
                float(sum(least)), k=sum(least), n=planned, planned=planned, method="fewest open at a time in the measured window"
            )
            if whole
            else None
        )
    return found


def _throughput(evidence: Evidence) -> Estimate:
    """Answered turns of any phase that ended inside the measured window, per second of it."""
    start, end = evidence.window
    count = sum(evidence.ended_inside(sample) for sample in evidence.samples)
    return _exact(
        count / (end - start), k=None, n=count, planned=max(count, evidence.planned), method="answered turns / measured window"
    )


def _lag(evidence: Evidence) -> Estimate | None:
    lags = own_lags(evidence)
    return quantile_estimate(lags, 0.5, planned=max(len(lags), len(evidence.conversations))) if lags else None


def _peak(evidence: Evidence) -> Estimate | None:
    if not evidence.server:
        return None
    kinds = {usage.memory_kind for usage in evidence.server}
    kind = "summed PSS" if kinds == {"pss"} else "summed RSS, PSS is hidden here"
    count = len(evidence.server)
    peak = max(usage.memory_bytes for usage in evidence.server)
    return _exact(float(peak), k=None, n=count, planned=count, method=f"largest of the samples, {kind}")


def _exact(value: float, *, k: int | None, n: int, planned: int, method: str) -> Estimate:
    """A count or an extreme of what was observed: it is what it is, so both bounds are the value."""
    return Estimate(value=value, low=value, high=value, k=k, n=n, planned=planned, confidence=CONFIDENCE, method=method)
