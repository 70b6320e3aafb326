"""`assay cards import`: cases of other tools as draft cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from evals.importing import bfcl, feedback, openai_evals, promptfoo, pydantic_evals, tau2
from evals.importing.drafts import Imported, Reader, slug, write_drafts

FORMATS: dict[str, Reader] = {
    "promptfoo": promptfoo.read,
    "openai-evals": openai_evals.read,
    "pydantic-evals": pydantic_evals.read,
    "bfcl": bfcl.read,
    "tau2": tau2.read,
}


@click.command("import")
@click.argument("source_format", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--answers", type=click.Path(path_type=Path, dir_okay=False), help="bfcl: possible answers; default: possible_answer/ beside."
)
@click.option("--pack", default="qsr", show_default=True)
@click.option("--area", help="Area of the drafts; default: the name of the file.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Default: datasets/<pack>/drafts")
@click.option("--json", "as_json", is_flag=True)
def import_cards(source_format: str, source: Path, **options: Any) -> int:
    """Turn cases of FORMAT (promptfoo, openai-evals, pydantic-evals, bfcl, tau2) into draft cards.

    \b
    Example:
      assay cards import promptfoo promptfooconfig.yaml
    """
    imported = FORMATS[source_format](source, options["answers"])
    folder: Path = options["out"] or Path("datasets") / options["pack"] / "drafts"
    paths = write_drafts(imported, folder, area=slug(options["area"] or source.stem), source=source.name)
    if options["as_json"]:
        click.echo(json.dumps(_rows(imported, paths), indent=1))
    else:
        _show(imported, paths)
    return 0 if paths else 1


@click.command("from-feedback")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--pack", default="qsr", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Default: datasets/<pack>/drafts")
@click.option("--json", "as_json", is_flag=True)
def from_feedback(source: Path, pack: str, out: Path | None, as_json: bool) -> int:
    """Turn disliked conversations (JSON lines with reason and messages) into draft cards; personal data is masked.

    \b
    Example:
      assay cards from-feedback thumbs-down.jsonl
    """
    imported = feedback.read(source)
    paths = write_drafts(imported, out or Path("datasets") / pack / "drafts", area="feedback", source=source.name)
    if as_json:
        click.echo(json.dumps(_rows(imported, paths), indent=1))
    else:
        _show(imported, paths)
    return 0 if paths else 1


def _rows(imported: Imported, paths: list[Path]) -> dict[str, Any]:
    return {
        "drafts": [
            {"item": draft.item, "file": str(path), "lost": list(draft.lost)}
            for draft, path in zip(imported.drafts, paths, strict=True)
        ],
        "refused": [{"item": one.item, "reason": one.reason} for one in imported.refused],
    }


def _show(imported: Imported, paths: list[Path]) -> None:
    for draft, path in zip(imported.drafts, paths, strict=True):
        click.echo(f"{path}")
        for line in draft.lost:
            click.echo(f"    not carried over: {line}")
    for one in imported.refused:
        click.echo(f"no card: {one.item}: {one.reason}")
    whole = sum(not draft.lost for draft in imported.drafts)
    click.echo(f"{len(paths)} drafts written, {whole} of them without loss; {len(imported.refused)} items gave no card")
    if paths:
        click.echo("give each a sabotage, move it among the scenarios, then run `assay cards validate`")
