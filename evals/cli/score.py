"""`assay score`: a finished run judged again by today's cards."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evals.errors import UsageError

if TYPE_CHECKING:
    from evals.rescoring import Rescored


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--pack", default="qsr", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write a run folder with the fresh verdict here.")
@click.option("--json", "as_json", is_flag=True)
def score(run: Path, pack: str, out: Path | None, as_json: bool) -> int:
    """Judge the transcripts of a finished run by today's cards and evaluators, without playing anything.

    Prints what changed. With --out the exit code is the fresh verdict, else 0.

    \b
    Example:
      assay score runs/20260615-100000-pr --out runs/rescored
    """
    from evals.catalog import load_cards
    from evals.rescoring import rescore

    scenarios = Path("datasets") / pack / "scenarios"
    rescored = rescore(run, load_cards(scenarios))
    if as_json:
        click.echo(json.dumps([asdict(change) for change in rescored.changes], indent=1))
    else:
        for change in rescored.changes:
            click.echo(f"{change.slot_id}: {change.before or 'no slot'} -> {change.after or 'no slot'} {change.reason}".rstrip())
        click.echo(f"{len(rescored.changes)} of {len(rescored.slots)} checks changed")
    return _write(run, out, rescored, scenarios) if out else 0


def _write(run: Path, out: Path, rescored: Rescored, scenarios: Path) -> int:
    from evals.rescoring import rescored_record
    from reports.gates.decide import decide
    from reports.gates.policy import read_policy
    from reports.gates.verdict import write_verdict
    from reports.history import read_history
    from reports.records import read_record, write_record, write_slots
    from reports.render import render_run

    if (out / "record.json").exists():
        raise UsageError(f"--out {out}: holds a finished run; choose another folder")
    old = read_record(run / "record.json")
    record, slots = rescored_record(old, run, rescored, scenarios)
    out.mkdir(parents=True, exist_ok=True)
    record = replace(record, slots_digest=write_slots(out / "slots.jsonl", slots))
    write_record(out, record)
    shutil.copyfile(run / "transcripts.jsonl", out / "transcripts.jsonl")
    policy = read_policy(Path("datasets/gates") / f"{record.tier}.yaml")
    verdict = decide(record, slots, policy, history=read_history(out.parent))
    write_verdict(out, verdict)
    render_run(out)
    click.echo(f"{verdict.verdict}: {verdict.sentence}  {out / 'report.html'}", err=True)
    return verdict.exit_code
