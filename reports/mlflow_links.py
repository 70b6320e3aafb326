"""What a run was measured with, as MLflow links it: datasets by digest, and the version of the assistant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.records import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATASETS = ("cards", "routing", "script")
"""Digests of a record that name a dataset: scenario cards, agent-selection cases, the script of the load."""
DIGEST_LENGTH = 36


def link_inputs(client: MlflowClient, experiment_id: str, run_id: str, record: Record) -> None:
    """Link the datasets of the run, and one logged model per version of the assistant (commit, pack with its prompts, model)."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

    digests = record.provenance.digests
    datasets = [
        DatasetInput(
            Dataset(
                name=f"{record.pack}-{name}",
                digest=digests[name].removeprefix("sha256:")[:DIGEST_LENGTH],
                source_type="local",
                source=f"datasets/{record.pack}",
            ),
            [InputTag("mlflow.data.context", name)],
        )
        for name in DATASETS
        if digests.get(name)
    ]
    client.log_inputs(run_id, datasets=datasets, models=[LoggedModelInput(_version(client, experiment_id, record))])


def _version(client: MlflowClient, experiment_id: str, record: Record) -> str:
    """The logged model of this version of the assistant, made when no earlier run had it."""
    origin = record.provenance
    name = f"{record.pack}-{(origin.commit or 'unknown')[:7]}-{(origin.digests.get('pack') or 'unknown').removeprefix('sha256:')[:7]}"
    params = {
        "commit": origin.commit or "unknown",
        "pack": origin.digests.get("pack") or "unknown",
        "model": origin.model,
        "target": record.target,
    }
    for found in client.search_logged_models([experiment_id], filter_string=f"name = '{name}'"):
        if dict(found.params) == params:
            return str(found.model_id)
    made = client.create_logged_model(experiment_id, name=name, params=params, model_type="assistant")
    client.finalize_logged_model(made.model_id, "READY")
    return str(made.model_id)
