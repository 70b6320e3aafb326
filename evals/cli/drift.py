"""`assay drift`: what crept over the nights."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evals.errors import UsageError

if TYPE_CHECKING:
    from reports.drift import Drift


@click.command()
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option("--tier", type=click.Choice(["pr", "nightly", "release"]), default="nightly", show_default=True)
@click.option("--metric", "metrics", multiple=True, help="Only this metric; may be given several times.")
@click.option("--label", "labelled", nargs=2, metavar="CHANGE LABEL", help="Say of a change that it is real, noise or expected.")
@click.option("--who", default="", help="Who labels.")
@click.option("--why", default="", help="Why, in one sentence.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where to write the page. Default: drift.html in the folder of runs."
)
@click.option("--json", "as_json", is_flag=True)
def drift(runs: Path, tier: str, metrics: tuple[str, ...], labelled: tuple[str, str] | None, **options: object) -> None:
    """Find changes in the metrics of finished runs, oldest to newest: where two detectors agree and the change lasts.

    It judges nothing: the exit code is 0 whatever moved.

    \b
    Example:
      assay drift --tier nightly
      assay drift --label load.response.p95_s@20260615-020000-nightly-1a2b3c4d noise --who kim --why "host was moved"
    """
    from reports.drift import drift_of, read_runs, read_triage
    from reports.render import render_drift

    if not runs.is_dir():
        raise UsageError(f"--runs {runs}: no such folder; run `assay release --tier {tier}` first")
    records = read_runs(runs, tier)  # type: ignore[arg-type]  click checked the choice
    known = {name for record in records for name in record.metrics}
    unknown = [name for name in metrics if name not in known]
    if unknown:
        from evals.catalog import nearest

        raise UsageError(f"--metric {unknown[0]}: no run measured it{nearest(unknown[0], sorted(known))}")
    found = list(drift_of(records, metrics, read_triage(runs)))
    if labelled:
        _label(runs, found, labelled, (str(options["who"]), str(options["why"])))
        found = list(drift_of(records, metrics, read_triage(runs)))
    page = options["out"] or runs / "drift.html"
    assert isinstance(page, Path)
    render_drift(found, tier, page)
    if options["as_json"]:
        click.echo(
            json.dumps([{**asdict(one), "changes": [asdict(c) | {"key": c.key} for c in one.changes]} for one in found], indent=1)
        )
        return
    _show(found)
    click.echo(f"page  {page}")


def _label(runs: Path, found: list[Drift], labelled: tuple[str, str], signed: tuple[str, str]) -> None:
    from reports.drift import LABELS, Triage, append_triage

    key, label = labelled
    if label not in LABELS:
        raise UsageError(f"--label {key} {label}: labels are {', '.join(LABELS)}")
    who, why = (text.strip() for text in signed)
    if not who or not why:
        raise UsageError("--label: say who labels and why with --who and --why")
    word = Triage(key=key, label=label, who=who, why=why, at=datetime.now(UTC).replace(microsecond=0))
    append_triage(runs, word, [change for one in found for change in one.changes])


def _show(found: list[Drift]) -> None:
    from reports.drift_view import headline, words

    click.echo(headline(found))
    for one in found:
        for change in one.changes:
            first, last = (commit[:12] if commit else "unknown" for commit in change.commits)
            click.echo(
                f"{change.key}\n      {words(change, one.unit)}; commits {first} .. {last}; label {change.label or 'none'}"
            )
