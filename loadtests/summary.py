"""Summary: evidence becomes the metrics and tables of a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from loadtests.evidence import Evidence
from loadtests.histogram import Histogram
from loadtests.samples import Sample
from loadtests.slo import attainment, is_good
from loadtests.timing import (
    DEFINITIONS,
    METRIC_SCHEMA_VERSION,
    response_s,
    send_delay_s,
    service_s,
    tpot_s,
    ttft_s,
)
from loadtests.validity import as_row, generator_cpu, little, own_lags, rank
from reports.records import Estimate
from reports.statistics.proportions import clopper_pearson, clustered_rate
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
    return {
        "load.response.p95_s": quantile_estimate(responses, 0.95, planned=planned),
        "load.ttft.p95_s": quantile_estimate(first_words, 0.95, planned=planned),
        "load.error_rate": clopper_pearson(planned - answered, planned),
        "load.throughput_per_s": _throughput(evidence),
        "load.sched_lag.p50_s": _lag(evidence),
        "load.server.peak_pss_bytes": _peak(evidence),
        "load.lost_turns": _exact(float(lost), k=lost, n=planned, planned=planned, method="planned turns without a sample"),
        "target.survived": None if survived is None else clopper_pearson(int(survived), 1),
    }


def tables(evidence: Evidence) -> dict[str, Any]:
    """What a report draws: `load_series` (per second), `latency` (histograms), `load` (everything else, definitions included)."""
    profile, measured = evidence.profile, evidence.measured
    good = attainment(measured, profile.objectives, planned=evidence.planned)
    start, end = evidence.window
    in_time = sum(_ended_inside(sample, start, end) and is_good(sample, profile.objectives) for sample in evidence.samples)
    load = {
        "metric_schema_version": METRIC_SCHEMA_VERSION,
        "definitions": DEFINITIONS,
        "profile": profile.model_dump(mode="json"),
        "sessions": sum(session.phase == "steady" for session in evidence.sessions),
        "turns": {"planned": evidence.planned, "played": len(measured), "answered": good.answered},
        "errors": dict(Counter(sample.outcome for sample in measured if not sample.ok).most_common()),
        "objectives": {
            **asdict(good),
            "share": good.share,
            "good_by_session": asdict(_good_by_session(evidence)),
            "goodput_per_s": in_time / (end - start),
        },
        "little": as_row(little(evidence)),
        "open_conversations": _open_conversations(evidence),
        "slots_exhausted": evidence.slots_exhausted,
        "slot_wait_s": _quantiles([row["t_ready"] - row["t_taken"] for row in evidence.started if row["t_ready"] is not None]),
        "sandboxes": all(report.sandboxes for report in evidence.workers),
        "calibration": [report.calibration for report in evidence.workers],
        "sched_lag_s": _quantiles(own_lags(evidence)),
        "service_s": _quantiles([value for sample in measured if (value := service_s(sample)) is not None]),
        "tpot_s": _quantiles([value for sample in measured if (value := tpot_s(sample)) is not None]),
        "generator_cpu": generator_cpu(evidence),
        "server": [asdict(usage) for usage in evidence.server],
        "send_delay_s": _quantiles([lag for sample in measured if (lag := send_delay_s(sample)) is not None]),
        "stutter_p95_s": evidence.histogram("stutter_s").quantile(0.95) if evidence.workers else None,
    }
    return {"load_series": series(evidence), "latency": _latency(measured), "load": load}


def series(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per second of the run: turns that were due, their ends, errors and latencies (of turns due in that second)."""
    by_second: dict[int, list[Sample]] = {}
    for sample in evidence.samples:
        by_second.setdefault(int(sample.t_plan), []).append(sample)
    ended = Counter(int(sample.t_done) for sample in evidence.samples if sample.ok and sample.t_done is not None)
    flight = _flight(evidence)
    last = max([*by_second, *ended, 0])
    start, end = evidence.window
    rows: list[dict[str, Any]] = []
    for second in range(last + 1):
        due = by_second.get(second, [])
        answered = [response_s(sample) for sample in due if sample.ok]
        rows.append(
            {
                "t_s": second,
                "measured": start <= second < end,
                "due": len(due),
                "answered": ended.get(second, 0),
                "errors": sum(not sample.ok for sample in due),
                "response_p50_s": rank(answered, 0.50) if answered else None,
                "response_p95_s": rank(answered, 0.95) if answered else None,
                "in_flight": flight.get(second),
            }
        )
    return rows


def _good_by_session(evidence: Evidence) -> Estimate:
    """Share of good turns with bounds that know that the turns of one conversation share its fate; missing turns are not good."""
    good = Counter(sample.session for sample in evidence.measured if is_good(sample, evidence.profile.objectives))
    planned = [session for session in evidence.sessions if session.phase == "steady"]
    return clustered_rate([(good[session.session], len(session.conversation.turns)) for session in planned])


def _ended_inside(sample: Sample, start: float, end: float) -> bool:
    return sample.ok and sample.t_done is not None and start <= sample.t_done < end


def _throughput(evidence: Evidence) -> Estimate:
    """Answered turns of any phase that ended inside the measured window, per second of it."""
    start, end = evidence.window
    count = sum(_ended_inside(sample, start, end) for sample in evidence.samples)
    return _exact(
        count / (end - start), k=None, n=count, planned=max(count, evidence.planned), method="answered turns / measured window"
    )


def _lag(evidence: Evidence) -> Estimate | None:
    lags = own_lags(evidence)
    planned = sum(session.phase == "steady" for session in evidence.sessions)
    return quantile_estimate(lags, 0.5, planned=planned) if lags else None


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


def _quantiles(values: Sequence[float]) -> dict[str, float | int | None]:
    if not values:
        return {"n": 0, "mean": None, "p50": None, "p95": None, "p99": None, "max": None}
    return {
        "n": len(values),
        "mean": fmean(values),
        "p50": rank(values, 0.50),
        "p95": rank(values, 0.95),
        "p99": rank(values, 0.99),
        "max": max(values),
    }


def _latency(measured: Sequence[Sample]) -> dict[str, Any]:
    """Histograms of the measured turns, failed ones as infinite; missing turns are not in them."""
    found: dict[str, Any] = {}
    for name, of in (("response_s", response_s), ("ttft_s", ttft_s)):
        histogram = Histogram.of(map(of, measured))
        found[name] = {"rows": [list(row) for row in histogram.rows()], "infinite": histogram.infinite, "count": histogram.count}
    return found


def _open_conversations(evidence: Evidence) -> float | None:
    """Conversations open at a time, on average over the measured window."""
    start, end = evidence.window
    means = [
        fmean(inside)
        for report in evidence.workers
        if (inside := [count for t_s, _, count in report.gauge if start <= t_s < end])
    ]
    return sum(means) if means else None


def _flight(evidence: Evidence) -> dict[int, float]:
    """Turns in flight by second, summed over workers."""
    found: dict[int, float] = {}
    for report in evidence.workers:
        seconds: dict[int, list[int]] = {}
        for t_s, in_flight, _ in report.gauge:
            seconds.setdefault(int(t_s), []).append(in_flight)
        for second, counts in seconds.items():
            found[second] = found.get(second, 0.0) + fmean(counts)
    return found
