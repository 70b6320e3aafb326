"""`assay gate`, `report` and `ui`: judge, render and browse runs that are finished."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from evals.errors import EvidenceError, UsageError

WORST = (3, 1, 2, 0)
"""Exit codes of verdicts, the one that counts most first."""


@click.command()
@click.argument("record", type=click.Path(path_type=Path), required=False)
@click.option("--policy", type=click.Path(path_type=Path), help="Default: datasets/gates/<tier of the record>.yaml")
@click.option("--baseline", type=click.Path(path_type=Path), help="A record to compare with.")
@click.option("--benchmarks", type=click.Path(path_type=Path), help="A file of `pytest --benchmark-json` to judge, too.")
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Earlier benchmarks: a file, or a folder of files. Repeatable.",
)
@click.option("--margin", type=click.FloatRange(min=0), help="How much slower a benchmark may be, as a share.  [default: 0.1]")
def gate(record: Path | None, policy: Path | None, baseline: Path | None, **timed: Any) -> int:
    """Judge a finished run again, or benchmarks against their earlier runs, or both; the exit code is the worse verdict.

    \b
    Example:
      assay gate runs/20260615-100000-pr
      assay gate --benchmarks now.json --against .benchmarks --margin 0.1
    """
    if timed["benchmarks"] is None and (timed["against"] or timed["margin"] is not None):
        raise UsageError("--against and --margin: belong to --benchmarks; name the file to judge with it")
    if record is None and (policy or baseline):
        raise UsageError("--policy and --baseline: belong to a record; name the run folder")
    if record is None and timed["benchmarks"] is None:
        raise UsageError("nothing to judge: name a run folder, or a file of benchmarks with --benchmarks")
    codes = [] if record is None else [_judge_record(record, policy, baseline)]
    if timed["benchmarks"] is not None:
        codes.append(_judge_benchmarks(timed["benchmarks"], timed["against"], timed["margin"]))
    return min(codes, key=WORST.index)


def _judge_record(record: Path, policy: Path | None, baseline: Path | None) -> int:
    from reports.baseline import history_of
    from reports.gates.decide import decide
    from reports.gates.policy import read_policy
    from reports.gates.verdict import write_verdict
    from reports.history import read_history
    from reports.junit import CardRepeats
    from reports.records import read_record, read_slots
    from reports.render import render_run
    from reports.terminal import print_verdict

    if not record.exists():
        raise UsageError(f"{record}: no such run folder; `assay release` makes one, runs/ holds yours")
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


def _judge_benchmarks(file: Path, against: tuple[Path, ...], margin: float | None) -> int:
    from reports.benchmarks import MARGIN, BenchmarkError, BrokenBenchmarks, compare_benchmarks, read_benchmarks, word_of
    from reports.gates.verdict import EXIT_CODES
    from reports.terminal import ICONS
    from reports.views import STATE_ICONS, STATE_WORDS

    try:
        run = read_benchmarks(file)
        earlier = [read_benchmarks(path) for path in _files(against)]
    except BrokenBenchmarks as error:
        raise EvidenceError(str(error)) from error
    except BenchmarkError as error:
        raise UsageError(str(error)) from error
    results = compare_benchmarks(run, earlier, margin=MARGIN if margin is None else margin)
    for result in results:
        click.echo(f"{ICONS[STATE_ICONS[result.state]]} {STATE_WORDS[result.state].lower()}  {result.name}: {result.sentence}")
    word = word_of(results)
    click.echo(f"{len(results)} benchmarks: {word}; exit {EXIT_CODES[word]}")
    return EXIT_CODES[word]


def _files(against: tuple[Path, ...]) -> list[Path]:
    """Files named, and those in the folders named."""
    files = [file for path in against for file in (sorted(path.rglob("*.json")) if path.is_dir() else [path])]
    if against and not files:
        raise UsageError(f"--against {against[0]}: holds no file of benchmarks; write some with `pytest --benchmark-autosave`")
    return files


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
