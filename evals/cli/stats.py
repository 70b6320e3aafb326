"""`assay cards stats`: how reliably cards passed in former runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from evals.errors import UsageError
from evals.reliability import Reliability, read_histories, reliability
from reports.records import Estimate


@click.command("stats")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--k", "ks", multiple=True, default=(1, 2, 4, 8), show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "as_json", is_flag=True)
def stats(runs: Sequence[Path], ks: Sequence[int], as_json: bool) -> None:
    """Show pass^k, pass@k and flaky cards over run folders of one target.

    \b
    Example:
      assay cards stats runs/monday runs/tuesday
    """
    if len({run.resolve() for run in runs}) < len(runs):
        raise UsageError("a run is named twice; name each once")
    found = reliability(read_histories(runs), ks=sorted(set(ks)))
    if as_json:
        click.echo(json.dumps({**asdict(found), "cards": [_row(found, at) for at in range(len(found.cards))]}, indent=1))
    else:
        _show(found)


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
