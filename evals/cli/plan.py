"""`assay plan`: what a run would cost and prove."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from evals.catalog import load_cards, nearest
from evals.errors import UsageError
from evals.plan import Plan, plan_cards
from evals.planning import (
    ASSUMED_DISCORDANCE,
    Drop,
    Outlook,
    noise_from,
    outlook,
    play_seconds,
    routing_drops,
)
from evals.reliability import read_histories
from evals.runfiles import read_transcripts
from evals.targets.opening import TargetSpec, open_target, parse_target

_DATASETS = Path("datasets")


@click.command("plan")
@click.option("--pack", default="qsr", show_default=True)
@click.option("--area", help="Only cards of this area.")
@click.option("--target", "target_text", default="inprocess", show_default=True)
@click.option(
    "--repeats", default=2, show_default=True, type=click.IntRange(1, 100), help="Plays per card: 2 pr, 4 nightly, 8 release."
)
@click.option(
    "--from", "former", type=click.Path(path_type=Path, file_okay=False), help="A former run folder, for time and noise."
)
@click.option("--json", "as_json", is_flag=True)
def plan(pack: str, area: str | None, target_text: str, **options: Any) -> None:
    """Show slots, expected time and the smallest drop a run could detect, before it is run.

    \b
    Example:
      assay plan --repeats 4 --from runs/20260615-100000-pr
    """
    former: Path | None = options["former"]
    spec = parse_target(target_text)
    planned, deterministic = asyncio.run(_plan(pack, area, spec, options["repeats"]))
    histories = read_histories([former]) if former else []
    seconds = play_seconds(read_transcripts(former)) if former else {}
    noise = noise_from(histories, deterministic=deterministic)
    found = outlook(planned, noise=noise, seconds=seconds, concurrency=1 if deterministic else 4)
    routing = _routing_drops(pack, os.environ) if spec.ours and area is None else []
    if options["as_json"]:
        click.echo(json.dumps({**asdict(found), "drops": [asdict(drop) for drop in [*found.drops, *routing]]}, indent=1))
    else:
        _show(found, routing, repeats=max((play.repeat for play in planned.plays), default=0) + 1)


async def _plan(pack: str, area: str | None, spec: TargetSpec, repeats: int) -> tuple[Plan, bool]:
    """The plan a run would follow, and whether the target can only repeat itself. The target is opened, never asked."""
    cards = load_cards(_DATASETS / pack / "scenarios")
    chosen = [card for card in cards if area in (None, card.area)]
    if not chosen:
        raise UsageError(f"--area {area}: no card{nearest(area or '', sorted({card.area for card in cards}))}")
    with tempfile.TemporaryDirectory(prefix="assay-plan-") as store:
        async with open_target(spec, pack=pack, environ=os.environ, store=Path(store)) as target:
            deterministic, visible = target.deterministic, target.visible
    llm = os.environ.get("ASSAY_MODEL", "embedded") != "embedded"
    return plan_cards(chosen, repeats=1 if deterministic else repeats, visible=visible, llm=llm), deterministic


def _routing_drops(pack: str, environ: Mapping[str, str]) -> list[Drop]:
    from evals.routing.data import read_utterances
    from evals.targets.inprocess import pack_facts

    tests = _DATASETS / pack / "routing" / "test.jsonl"
    return routing_drops(read_utterances(tests, agents=[*pack_facts(pack, environ).agents, "none"])) if tests.is_file() else []


def _show(found: Outlook, routing: Sequence[Drop], *, repeats: int) -> None:
    from reports.format import count, plural, seconds, share

    plays, slots = plural(found.plays, "plays"), plural(found.slots, "slots")
    click.echo(f"{plural(found.cards, 'cards')} x {plural(repeats, 'repeats')} = {plays}, {slots}")
    for name, number in sorted(found.slots_by_check.items(), key=lambda row: -row[1]):
        click.echo(f"  {name:<12} {number:>6}")
    for name, reason in found.not_measurable.items():
        click.echo(f"not measurable: {name}: {reason}")
    if found.expected_s is None:
        click.echo("expected time: unknown; name a former run with --from")
    else:
        unknown = f" ({plural(found.unknown_cards, 'cards')} never played count as average)" if found.unknown_cards else ""
        click.echo(f"expected time: {seconds(found.expected_s)} of answers{unknown}")
    click.echo("\nsmallest drop this plan finds four times in five (one-sided 95 %, both builds with the same plan)")
    for drop in [*found.drops, *routing]:
        size = "none: too few" if drop.smallest is None else share(drop.smallest)
        click.echo(f"  {drop.metric:<36} {size:>14}   {count(drop.units)} {drop.unit}")
    click.echo(f"a play's variance: {found.noise.within:.3f} ({found.noise.source})")
    if found.noise.within:
        click.echo(f"variance of the change of a card: {found.noise.between:g} (assumed)")
    if routing or not found.noise.within:
        click.echo(f"decisions that change between builds: {share(ASSUMED_DISCORDANCE)} (assumed)")
