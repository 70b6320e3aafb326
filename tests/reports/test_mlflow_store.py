"""The ledger mirrors a run folder; an outage loses nothing and never raises."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from evals.cli.track import track as track_command
from evals.errors import EvidenceError, UsageError
from reports import mlflow_store
from reports.gates.verdict import VerdictError
from reports.ledger import load_series, metric_values, parameters
from reports.mlflow_store import default_uri, track, ui_command
from reports.records import RecordError, read_record, write_record
from reports.render import render_run
from reports.traces import card_traces, trace_id

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def stored(sample: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any, Any]]:
    folder = tmp_path_factory.mktemp("runs") / "one"
    sample.build(folder, "fail")
    render_run(folder)
    result = track(folder)
    from mlflow import MlflowClient

    yield folder, result, MlflowClient(default_uri(folder.parent))


def test_a_run_is_stored_with_verdict_metrics_series_children_and_artifacts(stored: tuple[Path, Any, Any]) -> None:
    folder, result, client = stored
    assert (result.ok, result.traces, result.sentence) == (True, 60, "Stored in MLflow with 60 traces.")
    run = client.get_run(result.run_id)
    assert run.info.status == "FINISHED"
    assert {run.data.tags[key] for key in ("assay.verdict", "assay.model", "assay.blame")} == {"fail", "embedded", "routing"}
    assert run.data.tags["mlflow.source.git.commit"].startswith("7f3c9d1")
    assert run.data.metrics["cards.pass_rate"] == pytest.approx(58 / 60)
    assert run.data.metrics["cards.pass_rate.low"] < run.data.metrics["cards.pass_rate"]
    assert run.data.metrics["gates.fail"] == 2
    assert run.data.params["seed.plan"] == "20261112"
    history = client.get_metric_history(result.run_id, "load_series.answered")
    assert [row.step for row in history] == list(range(120))
    assert len(client.get_metric_history(result.run_id, "load_series.response_p95_s")) == 119
    children = client.search_runs([result.experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{result.run_id}'")
    assert [child.info.run_name for child in children] == ["cards"]
    assert children[0].data.metrics["slots.fail"] == 3
    assert {file.path for file in client.list_artifacts(result.run_id)} >= {"report.html", "verdict.json"}
    assert json.loads((folder / "track.json").read_text())["run_id"] == result.run_id
    assert (folder.parent / "mlartifacts").is_dir()


def test_each_card_is_one_trace_with_spans_and_an_assessment_per_evaluator(stored: tuple[Path, Any, Any]) -> None:
    _, result, client = stored
    trace = client.get_trace(trace_id("5d1e07b2", "equipment/card-00", 0))
    assert [span.name for span in trace.data.spans] == ["equipment/card-00", "turn 1: safety", "route", "holding_limits"]
    assert trace.data.spans[3].outputs == {"group": "whole-cut meat", "min_f": 145}
    assert trace.data.spans[1].attributes["usage"]["input_tokens"] == 212
    assert {row.name: row.value for row in trace.info.assessments} == {"agent": True, "tools": True, "must_say": False}
    assert trace.info.tags["assay.blamed"] == "tool"
    assert trace.info.trace_metadata["mlflow.sourceRun"] == result.run_id


def test_datasets_and_the_version_of_the_assistant_are_linked(stored: tuple[Path, Any, Any]) -> None:
    folder, result, client = stored
    run = client.get_run(result.run_id)
    (cards,) = [row.dataset for row in run.inputs.dataset_inputs]
    assert (cards.name, cards.digest) == ("qsr-cards", "9ab4")
    (linked,) = run.inputs.model_inputs
    version = client.get_logged_model(linked.model_id)
    assert version.name.startswith("qsr-7f3c9d1") and version.params["model"] == "embedded"
    other = folder.parent / "same-version"
    shutil.copytree(folder, other)
    write_record(other, replace(read_record(other / "record.json"), run_id="same-version"))
    again = client.get_run(track(other).run_id)
    assert again.inputs.model_inputs[0].model_id == linked.model_id


def test_prompts_are_linked_by_version_and_a_changed_one_becomes_the_next(stored: tuple[Path, Any, Any]) -> None:
    folder, _, client = stored

    def linked(name: str, prompts: str) -> list[tuple[str, str, str]]:
        other = folder.parent / name
        shutil.copytree(folder, other)
        write_record(other, replace(read_record(other / "record.json"), run_id=name))
        (other / "prompts.json").write_text(prompts)
        result = track(other)
        assert result.ok, result.sentence
        tag = client.get_run(result.run_id).data.tags.get("mlflow.linkedPrompts", "[]")
        rows = [client.get_prompt_version(row["name"], row["version"]) for row in json.loads(tag)]
        return sorted((row.name, str(row.version), row.template) for row in rows)

    first = [("qsr-safety", "1", "Be safe, {{ today }}."), ("qsr-style", "1", "Be short.")]
    assert linked("first", '{"_style": "Be short.", "safety": "Be safe, {{ today }}."}') == first
    assert linked("same", '{"_style": "Be short.", "safety": "Be safe, {{ today }}."}') == first
    assert linked("changed", '{"_style": "Be kind.", "safety": "Be safe, {{ today }}."}') == [
        first[0],
        ("qsr-style", "2", "Be kind."),
    ]
    assert linked("torn", '{"_style": ') == []


def test_a_second_time_changes_nothing(stored: tuple[Path, Any, Any]) -> None:
    folder, result, client = stored
    again = track(folder)
    assert (again.ok, again.run_id, again.traces) == (True, result.run_id, 0)
    assert len(client.search_runs([result.experiment_id], filter_string="tags.`assay.run_id` = '5d1e07b2'")) == 1


def test_a_retry_after_a_break_completes_the_run(
    stored: tuple[Path, Any, Any], monkeypatch: pytest.MonkeyPatch, sample: ModuleType
) -> None:
    folder, _, _ = stored
    other = folder.parent / "two"
    shutil.copytree(folder, other, dirs_exist_ok=True)
    write_record(other, replace(read_record(other / "record.json"), run_id="second"))
    (other / "track.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_store, "ARTIFACTS", (None,))
        failed = track(other)
    assert not failed.ok and (other / "track-pending.json").exists()
    started = time.perf_counter()
    assert track(other).ok
    assert time.perf_counter() - started < 10
    assert not (other / "track-pending.json").exists()
    _, result, client = stored
    runs = client.search_runs([result.experiment_id], filter_string="tags.`assay.run_id` = 'second'")
    assert len(runs) == 1
    children = client.search_runs([result.experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{runs[0].info.run_id}'")
    assert len(children) == 1


def test_an_outage_is_one_sentence_a_pending_file_and_no_exception(sample: ModuleType, tmp_path: Path) -> None:
    sample.build(tmp_path / "run", "pass")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    result = track(tmp_path / "run", tracking_uri="http://name:secret@127.0.0.1:9")
    assert not result.ok and result.run_id is None
    assert result.sentence.startswith("The run was not stored in MLflow") and "`assay track` retries it" in result.sentence
    written = (tmp_path / "run" / "track-pending.json").read_text()
    assert "secret" not in written
    assert {name: (tmp_path / "run" / name).read_bytes() for name in before} == before


def test_a_broken_folder_is_the_callers_error_not_an_outage(sample: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RecordError):
        track(tmp_path)
    sample.build(tmp_path, "pass")
    (tmp_path / "verdict.json").unlink()
    with pytest.raises(VerdictError):
        track(tmp_path)


def test_the_environment_is_left_as_found(sample: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    sample.build(tmp_path / "run", "pass")
    track(tmp_path / "run", tracking_uri="http://127.0.0.1:9")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
    assert "DO_NOT_TRACK" not in os.environ


def test_the_ui_serves_the_same_store_on_loopback_only(tmp_path: Path) -> None:
    command = ui_command(tmp_path, port=5001)
    assert command[:3] == ["env", "MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=true"]
    assert command[3:7] == [sys.executable, "-m", "mlflow", "server"]
    assert default_uri(tmp_path) in command and command[command.index("--host") + 1] == "127.0.0.1"


def modules_after(imports: str) -> set[str]:
    """Modules loaded by a fresh interpreter; without the coverage hooks, which load some of their own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    command = [sys.executable, "-c", f"import sys, {imports}; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split())


def test_gates_and_reports_import_no_tracker_and_no_load_generator() -> None:
    loaded = modules_after("reports.gates.decide, reports.render, reports.mlflow_store, reports.terminal")
    assert {"mlflow", "locust", "gevent", "pandas"}.isdisjoint(loaded)
    assert {"jinja2", "rich", "pandas"}.isdisjoint(modules_after("reports.gates.decide"))


def test_the_telling_repeat_becomes_the_trace(sample: ModuleType) -> None:
    from dataclasses import replace

    slots = [replace(slot, repeat=number) for slot in sample.card_slots(1) for number in (0, 1, 2)]
    slots = [replace(s, state="judge_error", reason="no judge") if (s.repeat, s.evaluator) == (1, "tools") else s for s in slots]
    rows = [sample.sample_transcript("equipment/card-00", repeat) for repeat in (0, 1, 2)]
    (trace,) = card_traces("run", slots, rows)
    assert (trace.repeat, trace.ok) == (1, False)
    assert [(row.name, row.passed, row.error) for row in trace.assessments] == [
        ("agent", True, ""),
        ("tools", None, "judge_error"),
        ("must_say", True, ""),
    ]


def test_a_transcript_without_turns_is_a_trace_of_nothing(sample: ModuleType) -> None:
    slots = [*sample.card_slots(1), *sample.card_slots(2)[3:]]
    rows = [{"card": "equipment/card-00", "repeat": 0, "turns": []}]
    (trace,) = card_traces("run", slots, rows)
    assert [(span.inputs, span.end_s) for span in trace.spans] == [(None, 0.0)]


def test_what_was_not_measured_is_absent_from_the_ledger(sample: ModuleType) -> None:
    record = sample.make_record((), {"cards.pass_rate": None, "load.lost_turns": sample.exact(0)}, tables={"load_series": 3})
    assert metric_values(record, "") == {"load.lost_turns": 0}
    assert list(load_series(record)) == []
    assert parameters(record)["dirty"] == "no"


def test_waiting_runs_are_sent_by_command_and_fetched_elsewhere(
    stored: tuple[Path, Any, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, _ = stored
    there = tmp_path / "there"
    shutil.copytree(folder, there / "one")
    (there / "one" / "track.json").unlink()
    uri = default_uri(tmp_path / "server")
    (tmp_path / "server").mkdir()
    assert command(["--runs", str(there), "--to", uri]) == 0
    assert command(["--runs", str(there), "--to", uri]) == 0
    assert "nothing waits" in capsys.readouterr().out
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    here = tmp_path / "here"
    assert command(["--runs", str(here), "--pull"]) == 0
    (fetched,) = here.glob("pulled-*")
    for name in ("record.json", "slots.jsonl", "verdict.json"):
        assert (fetched / name).read_bytes() == (folder / name).read_bytes()
    assert command(["--runs", str(here), "--pull"]) == 0
    assert "nothing to fetch" in capsys.readouterr().out
    assert [path.name for path in here.iterdir() if not path.name.startswith(".")] == [fetched.name]


def test_a_tracker_that_is_down_keeps_the_run_waiting_and_says_so(
    sample: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.build(tmp_path / "runs" / "one", "pass")
    assert command(["--runs", str(tmp_path / "runs"), "--to", "http://127.0.0.1:9"]) == 3
    assert "was not stored" in capsys.readouterr().err
    with pytest.raises(EvidenceError, match="is it up"):
        command(["--runs", str(tmp_path / "runs"), "--to", "http://127.0.0.1:9", "--pull"])
    with pytest.raises(UsageError, match="takes no folders"):
        command([str(tmp_path / "runs" / "one"), "--pull"])


def command(words: list[str]) -> int:
    result: int = track_command.main(words, standalone_mode=False)
    return result
