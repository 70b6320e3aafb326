"""`assay judge`: how far a model's verdicts may be trusted."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evals.cli.models import judge_of
from evals.cli.progress import progress_report
from evals.errors import UsageError
from evals.judging.calibration import LEAST_RATE, MOST_ERRORS, Calibration, Judgement, Standing, calibrate
from evals.judging.labels import Item, Pair, labelled, read_labels, read_verdicts
from evals.judging.measuring import judge_items
from evals.judging.rubrics import Rubric, read_rubric
from evals.judging.trust import calibration_file, write_calibration
from reports.records import Estimate

if TYPE_CHECKING:
    from evals.judging.asking import Judge

_EXIT: dict[Standing, int] = {"met": 0, "missed": 1, "open": 2}
_NAMES = {
    "tpr": "good answers judged good (TPR)",
    "tnr": "bad answers judged bad (TNR)",
    "accuracy": "right verdicts",
    "kappa": "agreement beyond chance (kappa)",
    "self_consistency": "the same verdict when asked again",
    "first_share": "the answer shown first wins (0.5: no bias)",
    "right_first_order": "right, as labelled",
    "right_swapped": "right, shown the other way round",
    "same_both_orders": "the same answer wins in both orders",
    "right_both_orders": "right in both orders",
    "kappa_orders": "agreement of the orders (kappa)",
    "errors": "no verdict",
}


@click.group()
def judge() -> None:
    """Measure models that judge answers.

    \b
    Example:
      assay judge calibrate --labels labels.jsonl --verdicts verdicts.jsonl
    """


@judge.command("calibrate")
@click.option("--labels", required=True, type=click.Path(path_type=Path), help="Answers labelled by people, JSON lines.")
@click.option("--verdicts", type=click.Path(path_type=Path), help="Recorded verdicts on them, JSON lines.")
@click.option("--judge", "name", metavar="MODEL", help="Ask this model for verdicts, such as ollama:llama3.2.")
@click.option(
    "--rubric",
    "rubric_path",
    type=click.Path(path_type=Path),
    help="The rubric the verdicts are by; needed to ask and for --out.",
)
@click.option("--repeats", default=1, show_default=True, type=click.IntRange(1, 20), help="Verdicts per question asked.")
@click.option("--judged-by", metavar="MODEL", help="Who gave the recorded verdicts; needed for --out with --verdicts.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the calibration, for datasets/<pack>/judge/calibrations.")
@click.option("--json", "as_json", is_flag=True)
def calibrate_judge(labels: Path, verdicts: Path | None, name: str | None, **options: Any) -> int:
    """Say how often a judge is right, and whether its verdicts may gate.

    Exit codes: 0 it may, 1 it is short of the bounds, 2 there are too few labels to tell.

    \b
    Example:
      assay judge calibrate --labels datasets/qsr/judge/labels.jsonl --verdicts verdicts.jsonl
    """
    if (verdicts is None) == (name is None):
        raise UsageError("--verdicts, --judge: give one of them, recorded verdicts or a model to ask")
    by: str | None = name or options["judged_by"]
    rubric = read_rubric(options["rubric_path"]) if options["rubric_path"] else None
    if options["out"] and (rubric is None or by is None):
        raise UsageError(
            "--out: a calibration is of one judge and one rubric; give --rubric FILE, and --judged-by MODEL with --verdicts"
        )
    items = read_labels(labels)
    given = read_verdicts(verdicts, items) if verdicts else _ask(name, rubric, items, options["repeats"])
    paired = isinstance(items[0], Pair)
    found = calibrate(labelled(items), given, positive="1" if paired else "pass", asked=_asked(items, given))
    if options["out"] and rubric and by:
        digest = f"sha256:{hashlib.sha256(labels.read_bytes()).hexdigest()}"
        proof = calibration_file(found, judge=by, rubric=rubric, labels_digest=digest, estimates=_estimates(found))
        write_calibration(options["out"], proof)
    click.echo(
        json.dumps({**_estimates(found), "items": found.items, "standing": found.standing}, indent=1)
        if options["as_json"]
        else _page(found)
    )
    return _EXIT[found.standing]


def _ask(name: str | None, rubric: Rubric | None, items: Sequence[Item], repeats: int) -> list[Judgement]:
    if rubric is None:
        raise UsageError("--rubric: name the rubric file to ask by, such as datasets/qsr/judge/rubrics/usable-answer.yaml")
    asked: Judge | None = judge_of(name, os.environ)
    assert asked is not None
    with progress_report() as progress:
        return asyncio.run(judge_items(asked, rubric, items, repeats=repeats, progress=lambda d, n: progress("verdicts", d, n)))


def _asked(items: Sequence[Item], given: Sequence[Judgement]) -> int:
    """How many verdicts there should be: every item in each order and repeat that occurs."""
    repeats = max((one.repeat for one in given), default=0) + 1
    return len(items) * repeats * (2 if isinstance(items[0], Pair) else 1)


def _estimates(found: Calibration) -> dict[str, Any]:
    return {name: None if (row := _row(found, name)) is None else asdict(row) for name in _NAMES}


def _row(found: Calibration, name: str) -> Estimate | None:
    return getattr(found, name)


def _page(found: Calibration) -> str:
    lines = [f"{found.items} labelled items; bounds are one-sided 95 %"]
    for name, words in _NAMES.items():
        row = _row(found, name)
        if row is not None:
            lines.append(f"  {words:<44} {_figures(row)}")
    return "\n".join([*lines, _verdict(found)])


def _figures(row: Estimate) -> str:
    if row.value is None:
        return "unknown"
    low, high = ("-" if bound is None else f"{bound:.3f}" for bound in (row.low, row.high))
    return f"{row.value:.3f}  ({low} to {high})  {row.k} / {row.n}"


def _verdict(found: Calibration) -> str:
    bound = f"both rates surely {LEAST_RATE:.0%} or more, at most {MOST_ERRORS:.0%} without a verdict"
    return {
        "met": f"may gate: {bound}",
        "missed": f"advisory: short of the bounds ({bound})",
        "open": f"advisory: too few labels to tell ({bound})",
    }[found.standing]
