"""`assay release`: the whole verdict in one command."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from evals.cli.limits import budget_of, budget_options
from evals.cli.load import traffic_profile
from evals.cli.models import judge_of, judge_option, user_of, user_option
from evals.cli.progress import progress_report
from evals.errors import UsageError
from evals.release import Release, Released, run_release
from evals.targets.opening import parse_target
from reports.records import Tier

RUNS = Path("runs")
_POLICIES = Path("datasets/gates")


@click.command()
@click.option("--tier", type=click.Choice(["pr", "nightly", "release"]), default="pr", show_default=True)
@click.option("--pack", default="qsr", show_default=True)
@click.option(
    "--target",
    "target_text",
    default="inprocess",
    show_default=True,
    help="inprocess, http(s)://..., python:module:function, scripted:FILE",
)
@click.option("--policy", type=click.Path(path_type=Path), help="A policy file; default: datasets/gates/<tier>.yaml")
@click.option("--traffic", default="smoke", show_default=True, help="A profile of datasets/traffic.")
@click.option("--out", type=click.Path(path_type=Path), help="The run folder; default: runs/<time>-<tier>")
@click.option(
    "--resume", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Continue a run folder that was interrupted."
)
@judge_option
@user_option
@budget_options
@click.option("--no-track", is_flag=True, help="Do not write to MLflow.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def release(tier: Tier, **options: Any) -> int:
    """Play the cards, measure agent selection and load, judge, report. The exit code is the verdict.

    \b
    Example:
      assay release --tier pr
    """
    folder = _folder(tier, options["out"], options["resume"])
    request = Release(
        tier=tier,
        pack=options["pack"],
        target=parse_target(options["target_text"]),
        policy=options["policy"] or _POLICIES / f"{tier}.yaml",
        folder=folder,
        environ=os.environ,
        traffic=traffic_profile(options["traffic"]),
        judge=judge_of(options["judge"], os.environ),
        user=user_of(options["user_model"], os.environ),
        budget=budget_of(options),
    )
    with progress_report() as progress:
        released = run_release(request, progress)
    if not options["no_track"]:
        _track(folder)
    show(released, as_json=options["as_json"])
    return released.verdict.exit_code


def show(released: Released, *, as_json: bool) -> None:
    if as_json:
        click.echo((released.folder / "verdict.json").read_text(encoding="utf-8"), nl=False)
        return
    from reports.terminal import print_verdict

    print_verdict(released.folder, sys.stdout)


def _folder(tier: Tier, out: Path | None, resume: Path | None) -> Path:
    if out and resume:
        raise UsageError("--out and --resume: give one of them; --resume names the folder to continue")
    if resume:
        return resume
    if out and (out / "record.json").exists():
        raise UsageError(f"--out {out}: holds a finished run; choose another folder")
    return out or RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{tier}"


def _track(folder: Path) -> None:
    from reports.mlflow_store import track

    result = track(folder, tracking_uri=os.environ.get("MLFLOW_TRACKING_URI"))
    if not result.ok:
        click.echo(f"ledger: {result.sentence}", err=True)
