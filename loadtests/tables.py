"""Tables: what a report draws from the evidence of one load run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean, linear_regression
from typing import Any

from loadtests.evidence import Evidence
from loadtests.gpus import summary
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
from reports.statistics.proportions import clustered_rate

SHOWN_LEAKS = 20


def tables(evidence: Evidence) -> dict[str, Any]:
    """What a report draws: `load_series` (per second), `latency` (histograms), `load` (everything else, definitions included)."""
    profile, measured = evidence.profile, evidence.measured
    good = attainment(measured, profile.objectives, planned=evidence.planned)
    start, end = evidence.window
    in_time = sum(evidence.ended_inside(sample) and is_good(sample, profile.objectives) for sample in evidence.samples)
    load = {
        "metric_schema_version": METRIC_SCHEMA_VERSION,
        "definitions": DEFINITIONS,
        "profile": profile.model_dump(mode="json"),
        "sessions": len(evidence.conversations),
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
        "hosts": list(evidence.hosts),
        "replayed": None if evidence.replayed is None else evidence.replayed.as_row(),
        "generator_peak_bytes": max((usage.memory_bytes for usage in evidence.generator), default=None),
        "generator_peak_fds": max((usage.fds for usage in evidence.generator), default=None),
        "gpus": summary(evidence.gpus, evidence.window),
        "server": [asdict(usage) for usage in evidence.server],
        "send_delay_s": _quantiles([lag for sample in measured if (lag := send_delay_s(sample)) is not None]),
        "stutter_p95_s": evidence.histogram("stutter_s").quantile(0.95) if evidence.workers else None,
        "gap_s": _merged(evidence, "gap_s"),
        "response_s": _quantiles([response_s(sample) for sample in measured if sample.ok]),
        "ttft_s": _quantiles([ttft_s(sample) for sample in measured if sample.ok]),
        "floor_adjusted": _floor_adjusted(evidence),
        "output_tokens": _quantiles([float(sample.output_tokens) for sample in measured if sample.output_tokens is not None]),
        "memory_slope_bytes_per_h": _memory_slope(evidence),
        "leaks": evidence.leaks[:SHOWN_LEAKS],
        "connections": dict(sum((Counter(report.connections) for report in evidence.workers), Counter[str]())),
        "held": [_held(report.held) for report in evidence.workers if report.held is not None],
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


def _merged(evidence: Evidence, name: str) -> dict[str, float | int | None]:
    """Quantiles of the workers' histograms of one metric, merged; within 1 %."""
    reports = [report for report in evidence.workers if name in report.histograms]
    histogram = evidence.histogram(name) if reports else Histogram()
    return {"n": histogram.count, **{f"p{round(q * 100)}": histogram.quantile(q) for q in (0.50, 0.95, 0.99)}}


def _floor_adjusted(evidence: Evidence) -> dict[str, float | None]:
    """p95 of answered turns less what the client itself added to a calibration turn in the median; the raw figures stand beside it."""
    floors = [report.calibration for report in evidence.workers if report.calibration is not None]
    adjusted: dict[str, float | None] = {}
    for name, of, floor in (("response_p95_s", response_s, "response_p50_s"), ("ttft_p95_s", ttft_s, "ttft_p50_s")):
        known = [row[floor] for row in floors if row.get(floor) is not None]
        values = [of(sample) for sample in evidence.measured if sample.ok]
        adjusted[name] = rank(values, 0.95) - max(known) if known and values else None
    return adjusted


def _memory_slope(evidence: Evidence) -> float | None:
    """Least-squares slope of the server's memory over the measured window; null below three samples."""
    usages = evidence.within_window(evidence.server)
    if len(usages) < 3:
        return None
    slope, _ = linear_regression([usage.t_s for usage in usages], [float(usage.memory_bytes) for usage in usages])
    return slope * 3600


def _held(row: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in row.items() if not isinstance(value, Mapping)}
    times = {name: Histogram.from_json(row[name]) for name in ("connect_s", "ping_rtt_s")}
    return plain | {f"{name[:-2]}_p95_s": histogram.quantile(0.95) for name, histogram in times.items()}


def _good_by_session(evidence: Evidence) -> Estimate:
    """Share of good turns with bounds that know that the turns of one conversation share its fate; missing turns are not good."""
    good = Counter(sample.session for sample in evidence.measured if is_good(sample, evidence.profile.objectives))
    return clustered_rate([(good[session], turns) for session, turns in evidence.conversations.items()])


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
