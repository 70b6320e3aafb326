"""`assay eval`: cards only."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from evals.cards import Card
from evals.catalog import load_cards, nearest
from evals.cli.progress import progress_report
from evals.errors import UsageError
from evals.scoring import play_states
from evals.suites import CardRun, SuiteResult, run_cards
from evals.targets.opening import parse_target
from reports.records import Slot


@click.command("eval")
@click.option("--pack", default="qsr", show_default=True)
@click.option("--card", "card_ids", multiple=True, help="Only this card; may be given several times.")
@click.option("--area", help="Only cards of this area.")
@click.option("--target", "target_text", default="inprocess", show_default=True)
@click.option("--repeats", default=1, show_default=True, type=click.IntRange(1, 100))
@click.option("--out", type=click.Path(path_type=Path), help="Keep journal and transcripts in this folder.")
@click.option("--json", "as_json", is_flag=True)
def evaluate(pack: str, card_ids: Sequence[str], area: str | None, **options: Any) -> int:
    """Play scenario cards and show what each got wrong.

    \b
    Example:
      assay eval --card fryer-pilot-out
    """
    cards = _chosen(load_cards(Path("datasets") / pack / "scenarios"), card_ids, area)
    folder: Path = options["out"] or Path(tempfile.mkdtemp(prefix="assay-eval-"))
    run = CardRun(
        pack=pack, target=parse_target(options["target_text"]), folder=folder, environ=os.environ, repeats=options["repeats"]
    )
    try:
        with progress_report() as progress:
            result = asyncio.run(run_cards(cards, run, progress))
    finally:
        if options["out"] is None:
            shutil.rmtree(folder, ignore_errors=True)
    if options["as_json"]:
        click.echo(json.dumps([vars(slot) for slot in result.slots], indent=1))
    else:
        _show(result, talk=len(cards) == 1)
    return 0 if all(slot.state == "pass" for slot in result.slots) else 1


def _chosen(cards: Sequence[Card], ids: Sequence[str], area: str | None) -> list[Card]:
    known = [card.id for card in cards]
    unknown = [card_id for card_id in ids if card_id not in known]
    if unknown:
        raise UsageError("\n".join(f"--card {card_id}: no such card{nearest(card_id, known)}" for card_id in unknown))
    chosen = [card for card in cards if (not ids or card.id in ids) and (area is None or card.area == area)]
    if not chosen:
        raise UsageError(f"--area {area}: no card{nearest(area or '', sorted({card.area for card in cards}))}")
    return chosen


def _show(result: SuiteResult, *, talk: bool) -> None:
    if talk:
        _show_talk(result)
    for slot in result.slots:
        if slot.state != "pass":
            click.echo(f"{slot.state:<12} {slot.card} {slot.evaluator}: {slot.reason}")
    for name, reason in result.not_measurable.items():
        click.echo(f"not measurable: {name}: {reason}")
    states = play_states(result.slots)
    passed = sum(state == "pass" for state in states.values())
    click.echo(f"{passed} / {len(states)} planned plays passed ({_slot_words(result.slots)})")


def _show_talk(result: SuiteResult) -> None:
    for transcript in result.transcripts:
        for turn in transcript.turns:
            click.echo(f"user       {turn.user}")
            for call in turn.tool_calls:
                click.echo(f"  tool     {call.tool} {json.dumps(dict(call.arguments))}")
            click.echo(f"{turn.agent or 'assistant':<10} {turn.text}\n")


def _slot_words(slots: Sequence[Slot]) -> str:
    return f"{sum(slot.state == 'pass' for slot in slots)} of {len(slots)} checks"
