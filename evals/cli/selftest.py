"""`assay selftest`: does the suite notice planted faults?"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from evals.catalog import choose_cards, load_cards
from evals.cli.progress import progress_report


@click.command()
@click.option("--pack", default="qsr", show_default=True)
@click.option("--card", "only", multiple=True, help="Only the faults that this card meets; may be repeated.")
@click.option(
    "--at-least",
    default=0.9,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of the faults that show which must be caught.",
)
@click.option("--json", "as_json", is_flag=True)
def selftest(pack: str, only: tuple[str, ...], at_least: float, as_json: bool) -> int:
    """Plant faults in tools, knowledge and prompts one by one and count those the cards notice.

    \b
    Example:
      assay selftest --pack qsr
    """
    from evals.selftest import run_mutants

    cards = choose_cards(load_cards(Path("datasets") / pack / "scenarios"), ids=only)
    with progress_report() as progress:
        trials = asyncio.run(run_mutants(cards, pack, os.environ, progress))
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
