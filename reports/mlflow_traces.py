"""Card traces as MLflow keeps them: one trace a card, a span a step, an assessment a check."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from reports.traces import CardTrace, Span

RUN_TAG = "assay.run_id"
BATCH = 900
"""Spans per request."""


class TracePlace(NamedTuple):
    """Where traces go: the experiment, the tracker's run, our run's id, and the tracker's address."""

    experiment: str
    run: str
    assay_run: str
    uri: str


def log_traces(traces: list[CardTrace], start_ns: int, place: TracePlace) -> None:
    """Store finished traces whole: live tracing would swallow an outage and needs one transaction a span."""
    from mlflow.tracing.client import TracingClient

    client = TracingClient(place.uri)
    # A millisecond apart, so that the tracker lists them in this order.
    starts = [start_ns + number * 1_000_000 for number in range(len(traces))]
    for trace, begin in zip(traces, starts, strict=True):
        client.start_trace(_trace_info(trace, place, begin))
    spans = [_span(trace, index, at) for trace, at in zip(traces, starts, strict=True) for index in range(len(trace.spans))]
    for first in range(0, len(spans), BATCH):
        client.log_spans(place.experiment, spans[first : first + BATCH])


def _trace_info(trace: CardTrace, place: TracePlace, start_ns: int) -> Any:
    from mlflow.entities import AssessmentError, AssessmentSource, Feedback, TraceInfo, TraceLocation, TraceState

    source = AssessmentSource(source_type="CODE", source_id="assay")
    root = trace.spans[0]
    return TraceInfo(
        trace_id=trace.trace_id,
        trace_location=TraceLocation.from_experiment_id(place.experiment),
        request_time=start_ns // 1_000_000,
        execution_duration=round(1000 * root.end_s),
        state=TraceState.OK if trace.ok else TraceState.ERROR,
        request_preview=str(root.inputs or "")[:1000],
        response_preview=str(root.outputs or "")[:1000],
        trace_metadata={"mlflow.sourceRun": place.run, "mlflow.trace_schema.version": "3", RUN_TAG: place.assay_run},
        tags={"mlflow.traceName": trace.card, **trace.tags},
        assessments=[
            Feedback(
                name=row.name,
                value=row.passed,
                error=AssessmentError(error_code=row.error, error_message=row.rationale) if row.error else None,
                source=source,
                trace_id=trace.trace_id,
                rationale=row.rationale or None,
                create_time_ms=start_ns // 1_000_000,
                last_update_time_ms=start_ns // 1_000_000,
            )
            for row in trace.assessments
        ],
    )


def _span(trace: CardTrace, index: int, start_ns: int) -> Any:
    from mlflow.entities import Span as MlflowSpan

    span = trace.spans[index]
    attributes = {
        "mlflow.traceRequestId": trace.trace_id,
        "mlflow.spanType": span.kind,
        "mlflow.spanInputs": span.inputs,
        "mlflow.spanOutputs": span.outputs,
        **span.attributes,
    }
    return MlflowSpan.from_dict(
        {
            "trace_id": trace.trace_id,
            "span_id": _span_id(trace, index),
            "parent_span_id": None if span.parent is None else _span_id(trace, span.parent),
            "name": span.name,
            "start_time_unix_nano": start_ns + round(1e9 * span.start_s),
            "end_time_unix_nano": start_ns + round(1e9 * span.end_s),
            "events": [],
            "status": {"code": "STATUS_CODE_OK" if _fine(trace, span) else "STATUS_CODE_ERROR", "message": ""},
            "attributes": {key: json.dumps(value) for key, value in attributes.items()},
        }
    )


def _fine(trace: CardTrace, span: Span) -> bool:
    return trace.ok if span.parent is None else span.ok


def _span_id(trace: CardTrace, index: int) -> str:
    """Sixteen hexadecimal digits, never all zero."""
    return f"{(int(trace.trace_id[3:15], 16) << 16 | index + 1) & (2**64 - 1):016x}"
