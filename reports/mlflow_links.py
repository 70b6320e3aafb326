"""What a run was measured with, as MLflow links it: datasets by digest, prompts and the assistant by version."""

from __future__ import annotations

import json
from pathlib import Path
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


def link_prompts(client: MlflowClient, run_id: str, record: Record, file: Path) -> None:
    """Link the prompts in `file`, `{name: text}`; one whose text is not the registry's newest becomes its next version.

    Without the file, or where it is torn, nothing is linked: prompts are shown beside a run and decide nothing.
    """
    from mlflow.tracing.constant import TraceTagKey

    try:
        prompts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    linked: list[dict[str, str]] = []
    for name, text in sorted(prompts.items()):
        entry = f"{record.pack}-{name.strip('_')}"
        newest = client.load_prompt(f"prompts:/{entry}@latest", allow_missing=True, cache_ttl_seconds=0)
        if newest is None or newest.template != text:
            newest = client.register_prompt(entry, text, commit_message=record.provenance.commit)
        linked.append({"name": newest.name, "version": str(newest.version)})
    # The client's own call looks the run up on the process-wide tracking server, which may be another one.
    client.set_tag(run_id, TraceTagKey.LINKED_PROMPTS, json.dumps(linked))


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
