"""`assay track`: send run folders to MLflow that are not there yet, or fetch those that are only there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evals.errors import EvidenceError, UsageError

if TYPE_CHECKING:
    from reports.mlflow_store import TrackResult

UNSENT = 3


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option("--to", "uri", help="Tracking server or store; default: MLFLOW_TRACKING_URI, else mlflow.db among the runs.")
@click.option("--pull", "pulled", is_flag=True, help="Fetch runs that only the tracker holds.")
@click.option("--pack", default="qsr", show_default=True, help="Whose runs are fetched.")
def track(folders: tuple[Path, ...], runs: Path, uri: str | None, pulled: bool, pack: str) -> int:
    """Send FOLDERS, or every run that was not sent yet, to MLflow: each exactly once, however often it is tried.

    \b
    Example:
      assay track --to http://127.0.0.1:5000
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if pulled:
        if folders:
            raise UsageError("--pull: takes no folders; it fetches what is missing below --runs")
        return _pull(runs, pack, uri)
    waiting = list(folders) or [
        path.parent for path in sorted(runs.glob("*/record.json")) if not (path.parent / "track.json").exists()
    ]
    if not waiting:
        click.echo(f"{runs}: nothing waits to be sent")
        return 0
    results = [_send(folder, uri) for folder in waiting]
    return 0 if all(result.ok for result in results) else UNSENT


def _send(folder: Path, uri: str | None) -> TrackResult:
    from reports.gates.verdict import VerdictError
    from reports.mlflow_store import track as send
    from reports.records import RecordError

    try:
        result = send(folder, tracking_uri=uri)
    except (RecordError, VerdictError) as error:
        raise EvidenceError(str(error)) from error
    click.echo(f"{folder}: {result.sentence}", err=not result.ok)
    return result


def _pull(runs: Path, pack: str, uri: str | None) -> int:
    from reports.mlflow_pull import pull
    from reports.mlflow_store import default_uri

    try:
        folders = pull(runs, pack=pack, tracking_uri=uri or default_uri(runs))
    except Exception as error:  # the tracker's many layers raise as they please
        reason = " ".join(str(error).split())[:200]
        raise EvidenceError(
            f"--pull: the tracker does not give its runs ({type(error).__name__}: {reason}); is it up?"
        ) from error
    click.echo(f"fetched {len(folders)} runs into {runs}" if folders else "nothing to fetch")
    return 0
