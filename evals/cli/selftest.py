"""`assay selftest`: does the suite notice planted faults?"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from evals.catalog import choose_cards, load_cards
from evals.cli.progress import progress_report
from evals.errors import UsageError

SEED = 20261112


@click.command()
@click.option("--pack", default="qsr", show_default=True)
@click.option("--card", "only", multiple=True, help="Only the faults that this card meets; may be repeated.")
@click.option("--fault", "faults", multiple=True, help="Only this planted fault; may be repeated.")
@click.option(
    "--at-least",
    default=0.9,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of the faults that show which must be caught.",
)
@click.option(
    "--gate", "run", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Test the gate on this run instead."
)
@click.option("--draws", type=click.IntRange(20, 5000), default=100, show_default=True, help="With --gate: draws of each case.")
@click.option("--json", "as_json", is_flag=True)
def selftest(pack: str, only: tuple[str, ...], faults: tuple[str, ...], at_least: float, **others: Any) -> int:
    """Plant faults in tools, knowledge and prompts one by one and count those the cards notice.

    With --gate: draw the evidence of a finished run anew, unchanged and with planted regressions, and count false alarms and misses;
    both are added to selftest.jsonl beside the runs.

    \b
    Example:
      assay selftest --pack qsr
      assay selftest --card quat-mix-strength --fault "knowledge:sanitizer-concentrations:wrong unit"
      assay selftest --gate runs/20260615-020000-nightly
    """
    as_json = bool(others["as_json"])
    if others["run"]:
        return _gate(others["run"], others["draws"], as_json=as_json)
    from evals.selftest import run_mutants

    cards = choose_cards(load_cards(Path("datasets") / pack / "scenarios"), ids=only)
    with progress_report() as progress:
        trials = asyncio.run(run_mutants(cards, pack, os.environ, progress, faults=faults))
    fates = Counter(trial.fate for trial in trials)
    shown = fates["caught"] + fates["survived"]
    if as_json:
        click.echo(json.dumps([asdict(trial) for trial in trials], indent=1))
    else:
        for trial in trials:
            if trial.fate == "survived":
                click.echo(f"survived  {trial.mutant}  ({trial.cards} cards met it)\n          {trial.shows}")
        click.echo(f"{fates['caught']} / {shown} planted faults caught; {fates['idle']} changed nothing that anyone meets")
    return 0 if shown and fates["caught"] >= at_least * shown else 1


FALSE_ALARMS = 0.01
MISSES = 0.02


def _gate(folder: Path, draws: int, *, as_json: bool) -> int:
    from evals.gate_trials import gate_trials
    from reports.gates.policy import read_policy
    from reports.gates.verdict import read_verdict
    from reports.history import read_history
    from reports.records import read_record, read_slots

    record, verdict = read_record(folder / "record.json"), read_verdict(folder / "verdict.json")
    if verdict.verdict in ("fail", "invalid"):
        raise UsageError(
            f"--gate {folder}: its verdict is {verdict.verdict}; name a run that is not stopped, to plant regressions in"
        )
    slots = list(read_slots(folder / "slots.jsonl", record.slots_digest))
    policy = read_policy(Path("datasets/gates") / f"{record.tier}.yaml")
    trials = gate_trials((record, slots), policy, read_history(folder.parent), draws=draws, seed=SEED)
    unchanged, *planted = trials
    alarms, misses = unchanged.wrong, max(trial.wrong for trial in planted)
    row = {"run_id": record.run_id, "at": datetime.now(UTC).isoformat(timespec="seconds"), "draws": draws}
    row |= {"false_alarms": alarms, "misses": {trial.name: trial.wrong for trial in planted}}
    with (folder.parent / "selftest.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, sort_keys=True) + "\n")
    if as_json:
        click.echo(json.dumps([asdict(trial) | {"wrong": trial.wrong} for trial in trials], indent=1))
    else:
        for trial in trials:
            said = ", ".join(f"{word} {number}" for word, number in sorted(trial.verdicts.items()))
            click.echo(
                f"{'ok    ' if trial.wrong <= (FALSE_ALARMS if trial is unchanged else MISSES) else 'WRONG '} {trial.name}: {said}"
            )
        click.echo(f"false alarms {alarms:.1%}, allowed {FALSE_ALARMS:.0%}; misses at most {misses:.1%}, allowed {MISSES:.0%}")
    return 0 if alarms <= FALSE_ALARMS and misses <= MISSES else 1
