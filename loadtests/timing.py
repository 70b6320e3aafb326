"""Timing: what the latencies of a sample are. Every latency that counts starts at the intended start of the turn.

A turn that failed, was cut off or never ended has an infinite latency where a percentile is error-adjusted, so failing fast cannot
look fast; it has none where only good turns are described.
"""

from __future__ import annotations

import math

from loadtests.samples import Sample

METRIC_SCHEMA_VERSION = 2
"""Rises when a definition below changes; numbers of two versions do not compare."""

DEFINITIONS: dict[str, str] = {
    "response_s": "end of the answer minus intended start of the turn; turns that failed or are missing count as infinite",
    "ttft_s": "first word of the answer that counted minus intended start of the turn; failed or missing turns count as infinite",
    "service_s": "end of the answer minus the moment the request was sent; answered turns only",
    "sched_lag_s": "what the client alone delayed a conversation: until it was taken up, and from having its slot and sandbox to sending",
    "send_delay_s": "moment the request was sent minus intended start, a wait for a slot included",
    "tpot_s": "(last word minus first word) / (output tokens - 1), two tokens or more, answered turns only",
    "stutter_s": "longest gap between two consecutive words of one turn",
    "gap_s": "time between two consecutive words of one turn, every gap of every measured turn; from merged histograms, within 1 %",
    "in_flight": "turns due and not ended, integrated over the measured window; by Little's law it is the sum of the turns' durations / window",
    "floor_adjusted": "p95 of answered turns minus the median that the client itself adds to a calibration turn; shown beside the raw one",
    "availability": "planned measured turns that were answered / planned measured turns, over a long run",
    "leaks": "turns in whose answer or events the mark of another conversation appears",
    "held": "fewest WebSockets open at a time in the measured window",
    "throughput_per_s": "answered turns that ended inside the measured window / its length",
    "error_rate": "planned measured turns that were not answered / planned measured turns",
    "goodput_per_s": "answered turns within every objective that ended inside the measured window / its length",
    "attainment": "answered turns within every objective / planned measured turns",
}


def response_s(sample: Sample) -> float:
    """Error-adjusted: `inf` for a turn that is not ok."""
    return sample.t_done - sample.t_plan if sample.ok and sample.t_done is not None else math.inf


def ttft_s(sample: Sample) -> float:
    """Error-adjusted: `inf` for a turn that is not ok."""
    return sample.t_first - sample.t_plan if sample.ok and sample.t_first is not None else math.inf


def service_s(sample: Sample) -> float | None:
    if not sample.ok or sample.t_done is None or sample.t_send is None:
        return None
    return sample.t_done - sample.t_send


def send_delay_s(sample: Sample) -> float | None:
    """Client delay before sending, a wait for a slot included; null when it was never sent."""
    return None if sample.t_send is None else sample.t_send - sample.t_plan


def tpot_s(sample: Sample) -> float | None:
    """By the server's token count; null below two tokens."""
    if not sample.ok or sample.t_first is None or sample.t_last is None:
        return None
    if sample.output_tokens is None or sample.output_tokens < 2:
        return None
    return (sample.t_last - sample.t_first) / (sample.output_tokens - 1)
