"""`assay capacity`: the highest rate at which a policy still holds."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evals.catalog import load_cards
from evals.cli.load import traffic_profile
from evals.cli.progress import progress_report
from evals.targets.opening import parse_target

if TYPE_CHECKING:
    from evals.capacity import RateResult
    from loadtests.capacity import Capacity, Step

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 2, "invalid": 3}
RATE = click.FloatRange(min=0.0, min_open=True)


@click.command()
@click.argument("profile", default="ramp")
@click.option("--pack", default="qsr", show_default=True)
@click.option("--target", "target_text", default="inprocess", show_default=True, help="inprocess starts a server for each rate.")
@click.option("--policy", type=click.Path(path_type=Path), help="Default: datasets/gates/<tier>.yaml")
@click.option("--tier", type=click.Choice(["pr", "nightly", "release"]), default="pr", show_default=True)
@click.option("--start", default=4.0, show_default=True, type=RATE, help="Turns a second of the first step.")
@click.option("--most", default=100.0, show_default=True, type=RATE, help="Turns a second never exceeded.")
@click.option("--precision", default=0.1, show_default=True, type=click.FloatRange(0.01, 1.0), help="Width of the answer.")
@click.option("--steps", default=10, show_default=True, type=click.IntRange(1, 40))
@click.option("--turns", default=330, show_default=True, type=click.IntRange(20), help="Measured turns of a step.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep every step's samples and capacity.json in this folder.")
@click.option("--json", "as_json", is_flag=True)
def capacity(profile: str, out: Path | None, as_json: bool, **options: Any) -> int:
    """Find the highest open-loop rate at which the policy's load lines still hold.

    The answer is an interval: the highest rate that passed, the lowest that failed. Exit code 0 when some rate holds, 1 when the
    lowest one tried fails, 2 and 3 when nothing could be concluded.

    \b
    Example:
      assay capacity ramp --start 4 --most 40
    """
    folder = out or Path(tempfile.mkdtemp(prefix="assay-capacity-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = _search(traffic_profile(profile), folder, options, quiet=as_json)
        (folder / "capacity.json").write_text(json.dumps(_plain(found), indent=1), encoding="utf-8")
    finally:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(json.dumps(_plain(found), indent=1) if as_json else sentence(found))
    return EXIT_CODES[found.word]


def _search(profile: Path, folder: Path, options: dict[str, Any], *, quiet: bool) -> Capacity[RateResult]:
    from evals.capacity import CapacityRun, find_capacity
    from evals.loadsuite import LoadRun
    from loadtests.capacity import Bounds
    from reports.gates.policy import read_policy

    target = parse_target(options["target_text"])
    policy = options["policy"] or Path("datasets/gates") / f"{options['tier']}.yaml"
    run = CapacityRun(
        load=LoadRun(pack=options["pack"], profile=profile, target=target, folder=folder, environ=os.environ),
        policy=read_policy(policy),
        policy_path=policy,
        tier=options["tier"],
        bounds=Bounds(start=options["start"], most=options["most"], precision=options["precision"], steps=options["steps"]),
        turns=options["turns"],
    )
    cards = load_cards(Path("datasets") / options["pack"] / "scenarios")
    shown: list[str] = []

    def tell(step: Step[RateResult]) -> None:
        if quiet:
            return
        for line in ([] if shown else [HEAD]) + [row(step)]:
            shown.append(line)
            click.echo(line)

    with progress_report() as progress:
        return find_capacity(cards, run, progress, tell)


HEAD = f"{'turns/s':>8}  {'verdict':<12} {'correct/s':>9} {'p95':>8} {'TTFT p95':>9} {'errors':>7} {'CPU':>5}  why"


def row(step: Step[RateResult]) -> str:
    """One line of the curve; a dash where nothing was measured or the percentile is infinite."""
    found = step.found
    why = found.reasons[0] if found.reasons else ""
    return (
        f"{step.rate_per_s:>8.2f}  {step.word:<12} {_number(found, 'correct_goodput_per_s', '{:.2f}'):>9} "
        f"{_number(found, 'response_p95_s', '{:.2f} s'):>8} {_number(found, 'ttft_p95_s', '{:.2f} s'):>9} "
        f"{_number(found, 'error_rate', '{:.1%}'):>7} {'–' if found.server_cpu is None else f'{found.server_cpu:.2f}':>5}  {why}"
    ).rstrip()


def _number(found: RateResult, name: str, form: str) -> str:
    estimate = found.metrics[name]
    return "–" if estimate is None or estimate.value is None else form.format(estimate.value)


def sentence(found: Capacity[RateResult]) -> str:
    """The answer as a person would say it."""
    good, bad = found.highest_pass, found.lowest_fail
    if good is None:
        return f"No rate held; the lowest that failed is {bad:g} turns a second." if bad else "No rate could be judged."
    if bad is None:
        return f"Capacity is at least {good:.2f} turns a second; no rate tried failed for certain."
    return f"Capacity lies between {good:.2f} turns a second, which held, and {bad:.2f}, which did not."


def _plain(found: Capacity[RateResult]) -> dict[str, Any]:
    return {"verdict": found.word, "highest_pass": found.highest_pass, "lowest_fail": found.lowest_fail} | {
        "steps": [asdict(step) for step in found.steps]
    }
