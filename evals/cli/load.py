"""`assay load`: one traffic profile against a served assistant."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from evals.catalog import load_cards, nearest
from evals.cli.figures import figure
from evals.cli.progress import progress_report
from evals.errors import UsageError
from evals.targets.opening import parse_target


def traffic_profile(name: str) -> Path:
    """The file of a traffic profile. Raises `UsageError` with the nearest name."""
    path = Path("datasets/traffic") / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise UsageError(f"{name!r}: no such traffic profile{nearest(name, known)}")
    return path


@click.command()
@click.argument("profile", default="smoke")
@click.option("--pack", default="qsr", show_default=True)
@click.option("--target", "target_text", default="inprocess", show_default=True, help="inprocess starts a server of its own.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep samples in this folder.")
@click.option("--json", "as_json", is_flag=True)
def load(profile: str, pack: str, target_text: str, out: Path | None, as_json: bool) -> int:
    """Drive load and score every loaded turn against its card.

    \b
    Example:
      assay load smoke
    """
    from evals.loadsuite import LoadRun, run_load_suite

    path = traffic_profile(profile)
    folder = out or Path(tempfile.mkdtemp(prefix="assay-load-"))
    folder.mkdir(parents=True, exist_ok=True)
    run = LoadRun(pack=pack, profile=path, target=parse_target(target_text), folder=folder, environ=os.environ)
    try:
        with progress_report() as progress:
            result = run_load_suite(load_cards(Path("datasets") / pack / "scenarios"), run, progress)
    finally:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        metrics = {name: asdict(value) if value else None for name, value in result.metrics.items()}
        click.echo(json.dumps({"metrics": metrics, "broken": list(result.broken)}, indent=1))
    else:
        for name, value in result.metrics.items():
            click.echo(f"{name:<34} {figure(name, value)}")
        for reason in result.broken:
            click.echo(f"invalid: {reason}")
    return 3 if result.broken else 0
