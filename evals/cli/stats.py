"""`assay cards stats`: how reliably cards passed in former runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click
import yaml

from evals.errors import UsageError
from evals.reliability import Reliability, read_histories, reliability
from reports.records import Estimate


@click.command("stats")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--k", "ks", multiple=True, default=(1, 2, 4, 8), show_default=True, type=click.IntRange(1, 1000))
@click.option("--quarantine", "owner", metavar="OWNER", help="Print waivers of the flaky cards instead, for waivers.yaml.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="With --quarantine: the last day.")
@click.option("--json", "as_json", is_flag=True)
def stats(runs: Sequence[Path], ks: Sequence[int], owner: str | None, until: datetime | None, as_json: bool) -> None:
    """Show pass^k, pass@k and flaky cards over run folders of one target.

    \b
    Example:
      assay cards stats runs/monday runs/tuesday
      assay cards stats runs/* --quarantine ana --until 2026-12-31
    """
    if (owner is None) != (until is None):
        raise UsageError("--quarantine and --until: a quarantine needs an owner and a last day; give both")
    if len({run.resolve() for run in runs}) < len(runs):
        raise UsageError("a run is named twice; name each once")
    found = reliability(read_histories(runs), ks=sorted(set(ks)))
    if owner is not None and until is not None:
        click.echo(_quarantine(found, owner, until), nl=False)
    elif as_json:
        click.echo(json.dumps({**asdict(found), "cards": [_row(found, at) for at in range(len(found.cards))]}, indent=1))
    else:
        _show(found)


def _quarantine(found: Reliability, owner: str, until: datetime) -> str:
    """A file of waivers; the cards go on being played and shown, and on the last day's morrow they stop a release again."""
    rows = [
        {
            "card": history.card,
            "reason": f"Flaky: {history.passed} of {history.planned} identical plays passed.",
            "owner": owner,
            "expires": until.date(),
        }
        for history in found.cards
        if history.stability == "flaky"
    ]
    return yaml.safe_dump({"waivers": rows}, sort_keys=False, allow_unicode=True)


def _row(found: Reliability, at: int) -> dict[str, object]:
    history = found.cards[at]
    return {**asdict(history), "planned": history.planned, "stability": history.stability, "flips": history.flips}


def _show(found: Reliability) -> None:
    for history in found.cards:
        if history.stability in {"flaky", "stable-fail"} or history.unjudged:
            unjudged = f", {history.unjudged} unjudged" if history.unjudged else ""
            click.echo(f"{history.stability:<12} {history.card:<44} {history.passed} / {history.planned} passed{unjudged}")
    for k, estimate in found.all_of.items():
        click.echo(f"k = {k:<3} pass^k {_share(estimate)}   pass@k {_share(found.any_of[k])}")
    click.echo(f"a card changes its verdict between identical plays: {_share(found.noise_floor)}")
    counts = Counter(history.stability for history in found.cards)
    click.echo(f"{len(found.cards)} cards: {', '.join(f'{number} {name}' for name, number in sorted(counts.items()))}")


def _share(estimate: Estimate) -> str:
    from reports.format import share

    if estimate.value is None:
        return "undefined: no card was played often enough"
    return f"{share(estimate.value):>7} ({estimate.n} of {estimate.planned} cards)"
