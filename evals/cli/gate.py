"""`assay gate`, `report` and `ui`: judge, render and browse runs that are finished."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from evals.errors import UsageError


@click.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option("--policy", type=click.Path(path_type=Path), help="Default: datasets/gates/<tier of the record>.yaml")
@click.option("--baseline", type=click.Path(path_type=Path), help="A record to compare with.")
def gate(record: Path, policy: Path | None, baseline: Path | None) -> int:
    """Judge a finished run again; the exit code is the verdict.

    \b
    Example:
      assay gate runs/20260615-100000-pr
    """
    from reports.baseline import history_of
    from reports.gates.decide import decide
    from reports.gates.policy import read_policy
    from reports.gates.verdict import write_verdict
    from reports.history import read_history
    from reports.junit import CardRepeats
    from reports.records import read_record, read_slots
    from reports.render import render_run
    from reports.terminal import print_verdict

    folder = record if record.is_dir() else record.parent
    found = read_record(folder / "record.json")
    chosen = read_policy(policy or Path("datasets/gates") / f"{found.tier}.yaml")
    before = read_record(baseline / "record.json" if baseline.is_dir() else baseline) if baseline else None
    past = history_of(baseline if baseline.is_dir() else baseline.parent) if baseline else read_history(folder.parent)
    repeats = CardRepeats()
    verdict = decide(
        found, repeats.watch(read_slots(folder / "slots.jsonl", found.slots_digest)), chosen, baseline=before, history=past
    )
    write_verdict(folder, verdict)
    render_run(folder, repeats)
    print_verdict(folder, sys.stdout)
    return verdict.exit_code


FORMS = ("github", "chat", "schema")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True, help="For `index`."
)
@click.option(
    "--as", "form", type=click.Choice(FORMS), help="Print the verdict for another program instead; schema: of the JSON files."
)
@click.option("--link", default="", help="Where the report can be read; for --as chat.")
def report(folder: Path, runs: Path, form: str | None, link: str) -> None:
    """Render a finished run again: report.html, summary.md, junit.xml. `index` makes the front page over all runs.

    \b
    Example:
      assay report runs/20260615-100000-pr
      assay report runs/20260615-100000-pr --as github
      assay report index
    """
    from reports.render import render_index, render_run

    if form == "schema":
        click.echo(json.dumps(_schemas(), indent=1, sort_keys=True))
        return
    if folder == Path("index") and not folder.exists():
        if not runs.is_dir():
            raise UsageError(f"--runs {runs}: no such folder; run `assay release` first")
        click.echo(render_index(runs))
        return
    if not (folder / "verdict.json").is_file():
        raise UsageError(f"{folder}: holds no verdict.json; give a finished run folder, or judge it with `assay gate {folder}`")
    if form:
        _announce(folder, form, link)
        return
    render_run(folder)
    click.echo(folder / "report.html")


def _announce(folder: Path, form: str, link: str) -> None:
    from reports.announce import chat_text, github_commands
    from reports.gates.verdict import read_verdict
    from reports.records import read_record

    verdict = read_verdict(folder / "verdict.json")
    if form == "chat":
        record = read_record(folder / "record.json")
        click.echo(chat_text(verdict, pack=record.pack, commit=record.provenance.commit, link=link))
        return
    for line in github_commands(verdict):
        click.echo(line)
    step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if step_summary:
        with Path(step_summary).open("a", encoding="utf-8") as file:
            file.write((folder / "summary.md").read_text(encoding="utf-8"))


def _schemas() -> dict[str, object]:
    """JSON schemas of what a run folder holds, generated from the code that reads it."""
    from pydantic import TypeAdapter

    from reports.gates.verdict import Verdict
    from reports.records import Record, Slot

    return {
        "record.json": TypeAdapter(Record).json_schema(),
        "slots.jsonl": TypeAdapter(Slot).json_schema(),
        "verdict.json": TypeAdapter(Verdict).json_schema(),
    }


@click.command()
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
def ui(runs: Path, port: int) -> None:
    """Open MLflow on the ledger of the run folders.

    \b
    Example:
      assay ui --port 5000
    """
    from reports.mlflow_store import ui_command

    if not runs.is_dir():
        raise UsageError(f"--runs {runs}: no such folder; run `assay release` first")
    click.echo(f"MLflow on http://127.0.0.1:{port} (Ctrl-C stops)", err=True)
    command = ui_command(runs, port=port)
    os.execv(command[0], command)  # so that a signal meant for the page reaches it
