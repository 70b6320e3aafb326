"""`assay routing --track`: a measurement as one MLflow run, and a tracker that is down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from evals.cli.routing import routing
from evals.errors import UsageError
from evals.routing.tracked import metrics_of, parameters_of
from reports.mlflow_store import default_uri

pytestmark = pytest.mark.filterwarnings("ignore")

ESTIMATE = {"value": 0.5, "low": 0.1, "high": None, "k": 1, "n": 2, "planned": 2, "confidence": 0.95, "method": "Wilson"}


def test_every_figure_has_a_name_and_missing_ones_have_none() -> None:
    found: Mapping[str, Any] = {
        "accuracy": ESTIMATE,
        "intent_accuracy": None,
        "macro_f1": {**ESTIMATE, "value": None, "low": None},
        "oos": {"n": 3, "auroc": ESTIMATE},
        "variant": "forced",
        "latency": {"encode_s": None, "decide_s": {"p50": {**ESTIMATE, "value": 0.002, "low": None}}},
        "items": [{"right": True}],
        "classes": {"a": {"f1": ESTIMATE}},
    }
    assert dict(metrics_of(found)) == {
        "routing.accuracy": 0.5,
        "routing.accuracy.low": 0.1,
        "routing.oos.n": 3.0,
        "routing.oos.auroc": 0.5,
        "routing.oos.auroc.low": 0.1,
        "routing.latency.decide_s.p50": 0.002,
    }
    told = {"router": {"name": "x", "train": {"n": 3}}, "test": {"source": "f", "digest": None}, "variant": "forced"}
    assert dict(parameters_of(told)) == {"router.name": "x", "router.train.n": "3", "test.source": "f", "variant": "forced"}


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`assay routing` of a function on three texts, in a folder of its own."""
    (tmp_path / "shop.py").write_text("def choose(text):\n    return 'a' if 'a' in text else 'b'\n", encoding="utf-8")
    rows = [("an apple", "a"), ("berry", "b"), ("plum", "a")]
    test = tmp_path / "test.jsonl"
    test.write_text("".join(json.dumps({"text": text, "intent": label}) + "\n" for text, label in rows), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*more: str) -> Result:
        return CliRunner().invoke(routing, ["--router", "python:shop:choose", "--test", str(test), *more])

    return run


def test_a_measurement_is_one_finished_run_with_its_page(measure, tmp_path: Path) -> None:
    done = measure("--track", "--json")
    assert done.exit_code == 0 and "The measurement is stored in MLflow." in done.stderr
    found = json.loads(done.stdout)
    from mlflow import MlflowClient

    client = MlflowClient(default_uri(tmp_path / "runs"))
    experiment = client.get_experiment_by_name("assay-routing")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "python:shop:choose on test.jsonl")
    assert run.data.metrics["routing.accuracy"] == pytest.approx(2 / 3) == found["accuracy"]["value"]
    assert run.data.params["test.n"] == "3" and run.data.tags["assay.kind"] == "routing"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"report.html", "result.json"}
    assert str(experiment.artifact_location).startswith((tmp_path / "runs/mlartifacts").as_uri())


def test_a_tracker_that_is_down_changes_nothing_but_says_so(measure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://keeper:secret-word@127.0.0.1:9")
    done = measure("--track")
    assert done.exit_code == 0 and "accuracy" in done.stdout
    assert "The measurement was not stored in MLflow" in done.stderr and "secret-word" not in done.output


def test_without_a_measurement_there_is_nothing_to_store(measure, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(measure("--json").stdout, encoding="utf-8")
    done = measure("--track", "--compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    assert isinstance(done.exception, UsageError) and "nothing was measured" in str(done.exception)
