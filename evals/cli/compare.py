"""`assay compare`: what changed from one run to another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from reports.compare import Comparison


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the page. Default: compare-<run id of A>.html in B.")
@click.option("--json", "as_json", is_flag=True)
def compare(a: Path, b: Path, out: Path | None, as_json: bool) -> None:
    """Show what changed from run A to run B: gates, cards with their transcripts, routing, time by stage, cost.

    It judges nothing: `assay gate B --baseline A` does. The exit code is 0 whatever changed.

    \b
    Example:
      assay compare runs/20260614-020000-nightly runs/20260615-020000-nightly
    """
    from reports.compare import compare as compare_runs
    from reports.compare_view import as_json as plain
    from reports.render import render_comparison

    found = compare_runs(*(path.parent if path.name == "record.json" else path for path in (a, b)))
    page = out or found.b.folder / f"compare-{found.a.record.run_id}.html"
    render_comparison(found, page)
    if as_json:
        click.echo(json.dumps(plain(found), indent=1))
        return
    _show(found)
    click.echo(f"page  {page}")


def _show(found: Comparison) -> None:
    from reports import compare_view as view

    click.echo(view.headline(found))
    for words in filter(None, [view.paired_words(found), *(f"beside the build: {reason}" for reason in found.incomparable)]):
        click.echo(words)
    for title, one, other, changed in view.gate_cells(found):
        if changed:
            click.echo(f"gate  {title}: {one.word.lower()} {one.value} -> {other.word.lower()} {other.value}".rstrip())
    for item in view.changed_cards(found):
        click.echo(f"card  {item.card}: {item.words}, {item.a} -> {item.b}{f'; {item.why}' if item.why else ''}")
    for row in view.metric_rows(found):
        if row.clear:
            click.echo(f"clear {row.title}: {row.a} -> {row.b} ({row.change}, bounds {row.bounds})")
    for row in [*view.stage_rows(found)[:3], *view.usage_rows(found)]:
        click.echo(f"mean  {row.title}: {row.a} -> {row.b} ({row.change})")
