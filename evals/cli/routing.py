"""`assay routing`: agent selection of a pack's router."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from evals.cli.figures import figure
from evals.cli.progress import progress_report


@click.command()
@click.option("--pack", default="qsr", show_default=True)
@click.option("--test", "tests", type=click.Path(path_type=Path), help="Utterances; default: the pack's test set.")
@click.option("--conversations", type=click.Path(path_type=Path), help="Multi-turn items; default: the pack's.")
@click.option("--json", "as_json", is_flag=True)
def routing(pack: str, tests: Path | None, conversations: Path | None, as_json: bool) -> None:
    """Measure agent selection: accuracy, recall and precision per agent, confusion, calibration.

    \b
    Example:
      assay routing --pack qsr
    """
    from evals.routing.suite import RoutingRun, run_routing

    folder = Path("datasets") / pack / "routing"
    with tempfile.TemporaryDirectory(prefix="assay-routing-") as store, progress_report() as progress:
        run = RoutingRun(
            pack=pack,
            tests=tests or folder / "test.jsonl",
            conversations=conversations or (None if tests else folder / "conversations.jsonl"),
            store=Path(store),
            environ=os.environ,
        )
        result = asyncio.run(run_routing(run, progress))
    if as_json:
        metrics = {name: asdict(value) if value else None for name, value in result.metrics.items()}
        click.echo(json.dumps({"metrics": metrics, **result.tables}, indent=1))
        return
    for name, value in result.metrics.items():
        click.echo(f"{name:<34} {figure(name, value)}")
