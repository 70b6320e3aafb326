"""Measure the judge statistics on LLMBar's recorded verdicts: `python tests/evals/measure_judges.py [FOLDER]`.

FOLDER holds the LLMBar files; by default `$ASSAY_DATA_DIR/llmbar`, else `../shared/data/llmbar`. Every published statistic of every run is worked out
again from the verdicts, and what the published figures do not say stands beside them. Exits 0 and says so when the files are absent, 1 when a
figure differs.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from evals.judging.calibration import Calibration, Judgement, Labelled, calibrate
from reports.records import Estimate
from reports.statistics.kappa import cohen_kappa

Run = tuple[str, str]
TOLERANCE = 1e-12


def default_folder() -> Path:
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("ASSAY_DATA_DIR", root.parent / "shared/data")) / "llmbar"


def read_runs(folder: Path) -> dict[Run, tuple[list[Labelled], list[Judgement]]]:
    """Labels and verdicts of every judge and prompting; an empty winner is a verdict that could not be read."""
    labels: dict[Run, dict[str, Labelled]] = defaultdict(dict)
    verdicts: dict[Run, list[Judgement]] = defaultdict(list)
    with (folder / "judge_verdicts_natural.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            run = row["judge"], row["prompting"]
            labels[run][row["idx"]] = Labelled(item=row["idx"], label=row["label"])
            verdicts[run].append(Judgement(item=row["idx"], said=row["winner"] or None, swap=row["swap"] == "True"))
    return {run: (list(labels[run].values()), verdicts[run]) for run in sorted(labels)}


def read_published(folder: Path) -> dict[Run, dict[str, Any]]:
    lines = (folder / "judge_statistics_natural.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {(row["judge"], row["prompting"]): row for row in rows}


def measured(labels: Sequence[Labelled], verdicts: Sequence[Judgement]) -> Calibration:
    return calibrate(labels, verdicts, positive="1", asked=2 * len(labels))


def recomputed(labels: Sequence[Labelled], verdicts: Sequence[Judgement]) -> dict[str, float]:
    """The published figures. Their `equal` counts two unreadable verdicts as equal, and their kappas code the winner 2 as 0 beside labels of
    1 and 2, so `kappa_False`, `kappa_True` and `kappa_average` are not agreement with the labels."""
    found = measured(labels, verdicts)
    said = {(one.item, one.swap): one.said for one in verdicts}
    mute = sum(said[item.item, False] is None and said[item.item, True] is None for item in labels)
    coded = {order: [(1 if said[item.item, order] == "1" else 0) for item in labels] for order in (False, True)}
    truth = [int(item.label) for item in labels]
    kappas = [_value(cohen_kappa(list(zip(coded[order], truth, strict=True)))) for order in (False, True)]
    first, swapped = _known(found.right_first_order), _known(found.right_swapped)
    return {
        "correct_False": first.k or 0,
        "correct_True": swapped.k or 0,
        "correct_average": ((first.k or 0) + (swapped.k or 0)) / 2 / len(labels) * 100,
        "correct_both": _known(found.right_both_orders).k or 0,
        "equal": (_known(found.same_both_orders).k or 0) + mute,
        "kappa_False": kappas[0],
        "kappa_True": kappas[1],
        "kappa_average": (kappas[0] + kappas[1]) / 2,
        "kappa_agreement": _value(cohen_kappa(list(zip(coded[False], coded[True], strict=True)))),
    }


def differences(folder: Path) -> Iterator[str]:
    """A line per figure that is not the published one, over every run published or recorded."""
    published, runs = read_published(folder), read_runs(folder)
    yield from (f"{run}: {'no verdicts' if run not in runs else 'nothing published'}" for run in runs.keys() ^ published.keys())
    for run in sorted(runs.keys() & published.keys()):
        for name, value in recomputed(*runs[run]).items():
            wanted = _published(published[run][name])
            if abs(value - wanted) > TOLERANCE * max(1.0, abs(wanted)):
                yield f"{run} {name}: {value!r}, published {wanted!r}"


def _published(value: float | str) -> float:
    """`81 / 100 = 81.0%` counts, `82.0%` is a percentage, the rest are numbers."""
    return float(value.partition(" / ")[0].rstrip("%")) if isinstance(value, str) else float(value)


def _known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


def _value(estimate: Estimate) -> float:
    return 0.0 if estimate.value is None else estimate.value


def table(runs: Mapping[Run, tuple[list[Labelled], list[Judgement]]]) -> Iterator[str]:
    yield "| judge | prompting | right | TPR (1 better) | TNR (2 better) | kappa with labels | right both orders | first shown wins | no verdict |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for (judge, prompting), (labels, verdicts) in runs.items():
        found = measured(labels, verdicts)
        cells = [found.accuracy, found.tpr, found.tnr, found.kappa, found.right_both_orders, found.first_share]
        shown = " | ".join(f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})" for row in map(_known, cells))
        yield f"| {judge} | {prompting} | {shown} | {found.errors.k} / {found.errors.n} |"


def main(arguments: Sequence[str]) -> int:
    folder = Path(arguments[0]) if arguments else default_folder()
    if not folder.is_dir():
        click.echo(f"{folder}: no LLMBar files; nothing measured")
        return 0
    runs = read_runs(folder)
    different = list(differences(folder))
    click.echo("\n".join(table(runs)))
    biased = [run for run, data in runs.items() if _off_half(_known(measured(*data).first_share))]
    standings = [measured(*data).standing for data in runs.values()]
    click.echo(f"\n{len(runs)} runs, {sum(len(verdicts) for _, verdicts in runs.values())} verdicts")
    click.echo(f"figures that differ from the published ones: {len(different)} of {len(runs) * 9}")
    click.echo(
        f"runs whose order bias is beyond chance: {len(biased)}; standings: { {name: standings.count(name) for name in sorted(set(standings))} }"
    )
    click.echo("\n".join(different))
    return 1 if different else 0


def _off_half(share: Estimate) -> bool:
    """Two one-sided 95 % bounds: a 90 % interval that leaves out one half."""
    return (share.low or 0.0) > 0.5 or (share.high or 1.0) < 0.5


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
