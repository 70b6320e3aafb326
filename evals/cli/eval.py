"""`assay eval`: cards only."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from evals.cards import Card
from evals.catalog import choose_cards, load_cards
from evals.cli.limits import budget_of, budget_options
from evals.cli.models import judge_of, judge_option, judged_lines, user_of, user_option
from evals.cli.progress import progress_report
from evals.errors import UsageError
from evals.scoring import play_states
from evals.suites import CardRun, SuiteResult, run_cards
from evals.targets.opening import parse_target
from reports.gates.verdict import EXIT_CODES
from reports.records import UNJUDGED_STATES, Slot


@click.command("eval")
@click.option("--pack", default="qsr", show_default=True)
@click.option("--card", "card_ids", multiple=True, help="Only this card; may be given several times.")
@click.option("--area", help="Only cards of this area.")
@click.option("--target", "target_text", default="inprocess", show_default=True)
@click.option("--repeats", default=1, show_default=True, type=click.IntRange(1, 100))
@click.option("--out", type=click.Path(path_type=Path), help="Keep journal and transcripts in this folder.")
@judge_option
@user_option
@budget_options
@click.option(
    "--until",
    "until",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Play cards drawn at random until the pass rate is decided against this.",
)
@click.option("--cap", type=click.IntRange(min=1), default=400, show_default=True, help="With --until: plays at most.")
@click.option("--json", "as_json", is_flag=True)
def evaluate(pack: str, card_ids: Sequence[str], area: str | None, **options: Any) -> int:
    """Play scenario cards and show what each got wrong.

    \b
    Example:
      assay eval --card fryer-pilot-out
    """
    cards = choose_cards(load_cards(Path("datasets") / pack / "scenarios"), ids=card_ids, area=area)
    folder: Path = options["out"] or Path(tempfile.mkdtemp(prefix="assay-eval-"))
    run = CardRun(
        pack=pack,
        target=parse_target(options["target_text"]),
        folder=folder,
        environ=os.environ,
        repeats=options["repeats"],
        judge=judge_of(options["judge"], os.environ),
        user=user_of(options["user_model"], os.environ),
        budget=budget_of(options),
    )
    if options["until"] is not None:
        return _until(cards, run, options)
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
    return 0 if all(slot.state == "pass" or slot.advisory for slot in result.slots) else 1


def _until(cards: Sequence[Card], run: CardRun, options: Mapping[str, Any]) -> int:
    from evals.sequential import Rule, run_sequential

    if options["repeats"] != 1:
        raise UsageError("--until and --repeats: give one of them; --until draws as many plays as it needs")
    rule = Rule(at_least=options["until"], cap=options["cap"])
    try:
        with progress_report() as progress:
            found = asyncio.run(run_sequential(cards, run, rule, progress))
    finally:
        if options["out"] is None:
            shutil.rmtree(run.folder, ignore_errors=True)
    if options["as_json"]:
        click.echo(json.dumps(vars(found)))
    else:
        side = {"pass": "at least", "fail": "less than"}.get(found.verdict)
        said = f"decided: {side} {rule.at_least:.0%} of plays pass" if side else f"not decided within {found.plays} plays"
        unjudged = f", {found.unjudged} unjudged" if found.unjudged else ""
        click.echo(
            f"{said}; {found.passed} of {found.plays} plays passed{unjudged}, evidence {max(found.above, found.below):.3g} of {1 / rule.alpha:.0f}"
        )
    return EXIT_CODES[found.verdict]


def _show(result: SuiteResult, *, talk: bool) -> None:
    if talk:
        _show_talk(result)
    for slot in result.slots:
        if slot.state != "pass":
            click.echo(f"{slot.state:<12} {slot.card} {slot.evaluator}{' (advisory)' if slot.advisory else ''}: {slot.reason}")
    for name, reason in result.not_measurable.items():
        click.echo(f"not measurable: {name}: {reason}")
    for line in judged_lines(result.tables.get("judge"), result.metrics):
        click.echo(line)
    states = play_states(result.slots)
    passed = sum(state == "pass" for state in states.values())
    click.echo(f"{passed} / {len(states)} planned plays passed ({_slot_words(result.slots)}){_unjudged(result.slots, states)}")


def _show_talk(result: SuiteResult) -> None:
    for transcript in result.transcripts:
        for turn in transcript.turns:
            click.echo(f"user       {turn.user}")
            for call in turn.tool_calls:
                click.echo(f"  tool     {call.tool} {json.dumps(dict(call.arguments))}")
            click.echo(f"{turn.agent or 'assistant':<10} {turn.text}\n")


def _slot_words(slots: Sequence[Slot]) -> str:
    return f"{sum(slot.state == 'pass' for slot in slots)} of {len(slots)} checks"


def _unjudged(slots: Sequence[Slot], states: Mapping[tuple[str, int], str]) -> str:
    """Plays that say nothing about the assistant, by what kept them from being judged."""
    kinds = {(s.card, s.repeat): s.state for s in slots if not s.advisory and s.state in UNJUDGED_STATES}
    left = Counter(kinds[play] for play, state in states.items() if state == "unjudged")
    return "; not judged: " + ", ".join(f"{n} {state}" for state, n in sorted(left.items())) if left else ""
