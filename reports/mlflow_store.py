"""Mirrors a finished run folder into MLflow. mlflow is imported inside functions only, here and in the modules beside.

A tracker that is down loses nothing and changes nothing: `track` then returns a failed result and leaves `track-pending.json`.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reports.failures import read_transcripts
from reports.gates.verdict import Verdict, VerdictError, read_verdict
from reports.ledger import gate_states, load_series, metric_values, parameters
from reports.mlflow_links import link_inputs, link_prompts
from reports.mlflow_traces import RUN_TAG, TracePlace, log_traces
from reports.records import Record, RecordError, read_record, read_slots
from reports.traces import card_traces

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACTS = ("report.html", "summary.md", "junit.xml", "verdict.json", "record.json", "slots.jsonl", "transcripts.jsonl")
BATCH = 900
"""Metrics per request; the tracker takes at most 1,000."""

# Read by mlflow when it is imported or on each request: nothing is sent to third parties, a dead server fails in seconds.
ENVIRONMENT: Mapping[str, str] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


@dataclass(frozen=True, kw_only=True)
class TrackResult:
    """`sentence` says what happened. Ids are null when nothing was stored; `traces` counts stored traces."""

    ok: bool
    sentence: str
    tracking_uri: str
    experiment_id: str | None
    run_id: str | None
    traces: int


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A single measurement as one run of `experiment`. `files` become its artifacts; `root` is the folder the default store lies in."""

    experiment: str
    name: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    files: Sequence[Path]
    root: Path


def default_uri(root: Path) -> str:
    """The tracking store of all runs under `root`."""
    return f"sqlite:///{(root / 'mlflow.db').resolve()}"


def ui_command(root: Path, *, port: int = 5000) -> list[str]:
    """Arguments that serve the runs under `root` on loopback, for `subprocess`, with telemetry off."""
    quiet = [f"{name}={ENVIRONMENT[name]}" for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")]
    artifacts = (root / "mlartifacts").resolve().as_uri()
    place = ["--backend-store-uri", default_uri(root), "--default-artifact-root", artifacts]
    served = ["mlflow", "server", *place, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return ["env", *quiet, sys.executable, "-m", *served]


def track(folder: Path, *, tracking_uri: str | None = None) -> TrackResult:
    """Store a run folder in MLflow: a parent run, a child run per suite, one trace per card. Never raises for an outage.

    The default store is `mlflow.db` beside the run folders, artifacts in `mlartifacts` beside it. A run that is already stored is
    left as it is. Writes `track.json` on success and `track-pending.json` on failure. Raises `RecordError` or `VerdictError`
    when the folder itself cannot be read.
    """
    uri = tracking_uri or default_uri(folder.resolve().parent)
    record, verdict = read_record(folder / "record.json"), read_verdict(folder / "verdict.json")
    with quiet_environment(), _alone(folder):
        try:
            result = _store(folder, record, verdict, uri)
        except (RecordError, VerdictError):
            raise
        except Exception as error:  # noqa: BLE001 any failure of the tracker's many layers must leave the run untouched
            result = _failed("The run was not stored in MLflow", "`assay track` retries it.", error, uri)
    done, pending = folder / "track.json", folder / "track-pending.json"
    (done if result.ok else pending).write_text(json.dumps(asdict(result), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (pending if result.ok else done).unlink(missing_ok=True)
    return result


def track_measurement(measured: Measurement, *, tracking_uri: str | None = None) -> TrackResult:
    """Store one measurement in MLflow. Never raises for an outage; nothing is left behind that could be sent again."""
    uri = tracking_uri or default_uri(measured.root)
    with quiet_environment():
        try:
            return _store_measurement(measured, uri)
        except Exception as error:  # noqa: BLE001 as in `track`
            return _failed("The measurement was not stored in MLflow", "measure again once the tracker answers.", error, uri)


def _store_measurement(measured: Measurement, uri: str) -> TrackResult:
    from mlflow.entities import Metric, Param

    measured.root.mkdir(parents=True, exist_ok=True)
    client = tracker(uri)
    experiment_id = _experiment(client, measured.experiment, measured.root / measured.name, uri)
    run = client.create_run(experiment_id, run_name=measured.name, tags=dict(measured.tags))
    run_id, now_ms = str(run.info.run_id), int(run.info.start_time)
    metrics = [Metric(name, value, now_ms, 0) for name, value in measured.metrics.items()]
    params = [Param(name, value[:500]) for name, value in measured.params.items()]
    for first in range(0, max(1, len(metrics)), BATCH):
        client.log_batch(run_id, metrics=metrics[first : first + BATCH], params=params if first == 0 else [])
    for file in measured.files:
        client.log_artifact(run_id, str(file))
    client.set_terminated(run_id, "FINISHED")
    return _done("The measurement is stored in MLflow.", uri, experiment_id, run_id, 0)


def _failed(what: str, remedy: str, error: Exception, uri: str) -> TrackResult:
    reason = " ".join(_scrubbed(str(error), uri).split())[:300] or "no reason given"
    return TrackResult(
        ok=False,
        sentence=f"{what} ({type(error).__name__}: {reason}); {remedy}",
        tracking_uri=_without_secret(uri),
        experiment_id=None,
        run_id=None,
        traces=0,
    )


def _without_secret(uri: str) -> str:
    return _scrubbed(uri, uri)


def _scrubbed(text: str, uri: str) -> str:
    """`text` without the user and password that `uri` carries."""
    identity, found, _ = uri.partition("://")[2].rpartition("@")
    if not found:
        return text
    for part in (identity, identity.partition(":")[2]):
        text = text.replace(part, "…") if part else text
    return text


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """One sender of a run at a time on this machine; the next one then finds it stored."""
    with (folder / ".track.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def quiet_environment() -> Generator[None]:
    """What mlflow reads from the environment, set unless the user did."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if before[name] is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def tracker(uri: str) -> MlflowClient:
    """A client of the tracker at `uri`; use it within `quiet_environment`."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _store(folder: Path, record: Record, verdict: Verdict, uri: str) -> TrackResult:
    client = tracker(uri)
    experiment_id = _experiment(client, f"assay-{record.pack}", folder, uri)
    found = client.search_runs(
        [experiment_id], filter_string=f"tags.`{RUN_TAG}` = '{record.run_id}' and attributes.status = 'FINISHED'"
    )
    if found:
        sentence = "The run was already stored in MLflow."
        return _done(sentence, uri, experiment_id, found[0].info.run_id, 0)
    _forget_unfinished(client, experiment_id, record.run_id)
    run_id = _parent_run(client, experiment_id, record, verdict)
    for suite, states in record.slot_counts.items():
        _child_run(client, experiment_id, run_id, record, (suite, states))
    traces = card_traces(record.run_id, read_slots(folder / "slots.jsonl"), read_transcripts(folder / "transcripts.jsonl"))
    log_traces(traces, _started_ms(record) * 1_000_000, TracePlace(experiment_id, run_id, record.run_id, uri))
    link_inputs(client, experiment_id, run_id, record)
    link_prompts(client, run_id, record, folder / "prompts.json")
    for name in ARTIFACTS:
        if (folder / name).exists():
            client.log_artifact(run_id, str(folder / name))
    client.set_terminated(run_id, "FINISHED", end_time=_started_ms(record))
    return _done(f"Stored in MLflow with {len(traces)} traces.", uri, experiment_id, run_id, len(traces))


def _forget_unfinished(client: MlflowClient, experiment_id: str, assay_run: str) -> None:
    """An earlier attempt that broke off would stand there as a second, half run."""
    for half in client.search_runs([experiment_id], filter_string=f"tags.`{RUN_TAG}` = '{assay_run}'"):
        children = client.search_runs([experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{half.info.run_id}'")
        for run in (*children, half):
            client.delete_run(run.info.run_id)


def _done(sentence: str, uri: str, experiment_id: str, run_id: str, traces: int) -> TrackResult:
    return TrackResult(
        ok=True, sentence=sentence, tracking_uri=_without_secret(uri), experiment_id=experiment_id, run_id=run_id, traces=traces
    )


def _experiment(client: MlflowClient, name: str, folder: Path, uri: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    beside = (folder.resolve().parent / "mlartifacts").as_uri() if uri.startswith("sqlite:") else None
    return client.create_experiment(name, artifact_location=beside)


def _started_ms(record: Record) -> int:
    try:
        when = datetime.fromisoformat(record.created_at)
    except ValueError:
        return 0
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def _parent_run(client: MlflowClient, experiment_id: str, record: Record, verdict: Verdict) -> str:
    from mlflow.entities import Metric, Param

    origin, start = record.provenance, _started_ms(record)
    tags = {
        RUN_TAG: record.run_id,
        "assay.verdict": verdict.verdict,
        "assay.tier": record.tier,
        "assay.policy": verdict.policy,
        "assay.model": origin.model,
        "assay.blame": verdict.blame or "",
        "mlflow.note.content": verdict.sentence,
        "mlflow.source.git.commit": origin.commit or "",
    }
    name = f"{verdict.verdict} {record.tier} {(origin.commit or record.run_id)[:7]}"
    run = client.create_run(experiment_id, start_time=start, run_name=name, tags={k: v for k, v in tags.items() if v})
    metrics = [Metric(name, value, start, 0) for name, value in metric_values(record, "").items()]
    metrics += [Metric(f"gates.{state}", float(number), start, 0) for state, number in gate_states(verdict).items()]
    metrics += [Metric(name, value, start + 1000 * step, step) for name, value, step in load_series(record)]
    params = [Param(key, str(value)[:500]) for key, value in parameters(record).items()][:100]
    for first in range(0, max(1, len(metrics)), BATCH):
        client.log_batch(run.info.run_id, metrics=metrics[first : first + BATCH], params=params if first == 0 else [])
    return str(run.info.run_id)


def _child_run(
    client: MlflowClient, experiment_id: str, parent: str, record: Record, suite: tuple[str, Mapping[str, int]]
) -> None:
    from mlflow.entities import Metric

    name, states = suite
    start = _started_ms(record)
    run = client.create_run(
        experiment_id, start_time=start, run_name=name, tags={"mlflow.parentRunId": parent, "assay.suite": name}
    )
    values = {**{f"slots.{state}": float(number) for state, number in states.items()}, **metric_values(record, f"{name}.")}
    if name in record.durations_s:
        values["duration_s"] = record.durations_s[name]
    client.log_batch(run.info.run_id, metrics=[Metric(key, value, start, 0) for key, value in values.items()])
    client.set_terminated(run.info.run_id, "FINISHED", end_time=start)
