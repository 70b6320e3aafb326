"""`assay export`: runs as CSV or Parquet, for notebooks, spreadsheets and warehouses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evals.errors import EvidenceError, UsageError

if TYPE_CHECKING:
    from reports.frames import Form, TableName


@click.command()
@click.argument("runs", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.option("--table", type=click.Choice(["metrics", "slots", "gates", "cards"]), default="metrics", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Default for csv: standard output.")
def export(runs: Path, form: Form, table: TableName, out: Path | None) -> None:
    """Write a table of one run, or of every run in a folder of runs. A run that cannot be read ends it, and nothing is written.

    \b
    Example:
      assay export runs --format csv --table metrics --out metrics.csv
      assay export runs/20260615-100000-pr --format parquet --table slots --out slots.parquet
    """
    from reports.frames import ExportError, frames, write_csv

    folders = _folders(runs)
    try:
        if out is not None:
            rows = _write(folders, form, table, out)
            click.echo(f"{out}: {rows:,} rows of {table} from {len(folders)} run{'s' * (len(folders) > 1)}", err=True)
        elif form == "parquet":
            raise UsageError("--format parquet: is no text for a terminal; name the file with --out")
        else:
            write_csv(frames(folders, table), sys.stdout)
    except ExportError as error:
        raise UsageError(str(error)) from error


def _folders(runs: Path) -> list[Path]:
    folder = runs.parent if runs.name == "record.json" else runs
    if (folder / "record.json").is_file():
        return [folder]
    found = [path.parent for path in sorted(folder.glob("*/record.json"))]
    if not found:
        raise UsageError(f"{runs}: holds no finished run; give a run folder, or the folder of runs")
    return found


def _write(folders: list[Path], form: Form, table: TableName, out: Path) -> int:
    """Write the whole file or none of it."""
    from reports.frames import frames, write_csv, write_parquet

    draft = out.with_name(f"{out.name}.part")
    try:
        if form == "parquet":
            rows = write_parquet(frames(folders, table), draft)
        else:
            with draft.open("w", encoding="utf-8", newline="") as file:
                rows = write_csv(frames(folders, table), file)
        draft.replace(out)
    except OSError as error:
        raise EvidenceError(
            f"{out}: cannot be written ({error.strerror or error}); name a file in a folder you may write to"
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return rows
