"""Runs that a tracker holds and this machine does not, fetched back as run folders."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from reports.gates.verdict import read_verdict
from reports.mlflow_store import ARTIFACTS, RUN_TAG, quiet_environment, tracker
from reports.records import read_record

MOST = 10_000
NEEDED = ("record.json", "verdict.json")


def pull(runs: Path, *, pack: str, tracking_uri: str) -> list[Path]:
    """Fetch the finished runs of `pack` that no folder below `runs` holds; returns the new folders, oldest first.

    A run comes whole or not at all, and is checked like any record. Raises what the tracker raises, `RecordError`, `VerdictError`.
    """
    here = {read_record(path).run_id for path in sorted(runs.glob("*/record.json"))}
    with quiet_environment():
        client = tracker(tracking_uri)
        experiment = client.get_experiment_by_name(f"assay-{pack}")
        if experiment is None:
            return []
        found: list[Any] = client.search_runs(
            [experiment.experiment_id],
            filter_string="attributes.status = 'FINISHED'",
            order_by=["attributes.start_time ASC"],
            max_results=MOST,
        )
        wanted = [run for run in found if run.data.tags.get(RUN_TAG) and run.data.tags[RUN_TAG] not in here]
        runs.mkdir(parents=True, exist_ok=True)
        return [folder for run in wanted if (folder := _fetched(tracking_uri, run, runs)) is not None]


def _fetched(uri: str, run: Any, runs: Path) -> Path | None:
    """Null for a run without its files, such as one whose artifacts were removed."""
    client = tracker(uri)
    there = {item.path for item in client.list_artifacts(run.info.run_id)}
    if not there.issuperset(NEEDED):
        return None
    with tempfile.TemporaryDirectory(dir=runs, prefix=".pulled-") as scratch:
        for name in there.intersection(ARTIFACTS):
            client.download_artifacts(run.info.run_id, name, scratch)
        record = read_record(Path(scratch) / "record.json")
        read_verdict(Path(scratch) / "verdict.json")
        folder = runs / f"pulled-{record.run_id}"
        shutil.copytree(scratch, folder)
    return folder
