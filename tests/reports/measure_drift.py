"""Drift detection on public series: `python tests/reports/measure_drift.py [--nab]`. Prints what docs/measurements/drift.md holds."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from reports.drift import find_changes
from reports.statistics.edivisive import divisive_changes
from reports.statistics.segments import best_segments

DATA = Path(os.environ.get("ASSAY_DATA_DIR", Path(__file__).resolve().parents[3] / "shared/data"))
WINDOW = 60
Detector = Callable[[Sequence[float]], list[int]]


def agreed(values: Sequence[float]) -> list[int]:
    """Both detectors without the least effect: annotators mark changes of any size."""
    near = max(5, len(values) // 20)
    cuts = divisive_changes(values)
    return [place for place in best_segments(values) if any(abs(place - cut) <= near for cut in cuts)]


def tcpd_series() -> Iterator[tuple[str, list[float], dict[str, list[int]]]]:
    annotations = json.loads((DATA / "tcpd/annotations_give.json").read_text())
    for name, marks in sorted(annotations.items()):
        raw = np.array(json.loads((DATA / f"tcpd/series/{name}.json").read_text())["series"][0]["raw"], dtype=float)
        gaps = np.isnan(raw)
        raw[gaps] = np.interp(np.flatnonzero(gaps), np.flatnonzero(~gaps), raw[~gaps])
        yield name, raw.tolist(), marks


def covering_f1(marks: dict[str, list[int]], found: Sequence[int], margin: int = 5) -> float:
    """F1 against several annotators: precision against all their marks, recall averaged over them; index 0 counts as marked
    (van den Burg and Williams, arXiv 2003.06222)."""
    truth = {who: {0, *places} for who, places in marks.items()}
    told = {0, *found}
    precision = len(_matched(set[int]().union(*truth.values()), told, margin)) / len(told)
    recall = mean(len(_matched(places, told, margin)) / len(places) for places in truth.values())
    return 2 * precision * recall / (precision + recall)


def _matched(truth: set[int], told: set[int], margin: int) -> set[int]:
    left, matched = set(told), set[int]()
    for place in sorted(truth):
        near = sorted((abs(place - one), one) for one in left if abs(place - one) <= margin)
        if near:
            matched.add(place)
            left.remove(near[0][1])
    return matched


def noise_windows() -> Iterator[tuple[str, list[float]]]:
    """Sixty runs in a row of one machine with the same software all the time."""
    for path in sorted((DATA / "azure_vm_noise_2024").glob("*.csv")):
        machines: dict[str, list[tuple[str, float]]] = {}
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                machines.setdefault(row["VM_id"], []).append((row["starttime"], float(row["value"])))
        for rows in machines.values():
            values = [value for _, value in sorted(rows)]
            for start in range(0, len(values) - WINDOW, WINDOW):
                yield path.stem, values[start : start + WINDOW]


def step_found(values: Sequence[float], step: float) -> bool:
    """Whether a step in the middle is told within 5 runs of its place; for a step of 1, whether anything is told."""
    half = len(values) // 2
    changed = [value * (step if place >= half else 1.0) for place, value in enumerate(values)]
    found = find_changes(changed)
    return bool(found) if step == 1 else any(abs(place - half) <= 5 for place in found)


def moving_average(values: Sequence[float], width: int = 24, sigmas: float = 3.0) -> list[int]:
    """The baseline people write first: alarm where a value leaves the mean of the last `width` by three deviations."""
    y = np.asarray(values)
    return [
        place
        for place in range(width, len(y))
        if abs(y[place] - y[place - width : place].mean()) > sigmas * (y[place - width : place].std() or 1e-9)
    ]


def nab_scores(detectors: dict[str, Detector]) -> dict[str, float]:
    """F1 over all labelled windows of all series: a window with an alarm is found, an alarm outside of every window is false, alarms
    within 5 rows of each other are one."""
    labels = json.loads((DATA / "nab/labels/combined_windows_give.json").read_text())
    counts = {name: [0, 0, 0] for name in detectors}
    for file, windows in sorted(labels.items()):
        path = DATA / "nab" / file
        if not path.exists():
            continue
        with path.open(encoding="utf-8") as lines:
            rows = [(row["timestamp"], float(row["value"])) for row in csv.DictReader(lines)]
        for name, detect in detectors.items():
            alarms = [rows[place][0] for place in _apart(detect([value for _, value in rows]))]
            hit = [any(start <= alarm <= end for alarm in alarms) for start, end in windows]
            false = sum(not any(start <= alarm <= end for start, end in windows) for alarm in alarms)
            counts[name] = [old + new for old, new in zip(counts[name], (sum(hit), false, len(hit) - sum(hit)), strict=True)]
    return {name: 2 * hit / (2 * hit + false + missed) if hit else 0.0 for name, (hit, false, missed) in counts.items()}


def _apart(places: Sequence[int]) -> list[int]:
    kept: list[int] = []
    for place in places:
        if not kept or place - kept[-1] > 5:
            kept.append(place)
    return kept


def main() -> None:
    print = sys.stdout.write
    rows = {name: (covering_f1(marks, agreed(values)), covering_f1(marks, [])) for name, values, marks in tcpd_series()}
    for name, (ours, none) in rows.items():
        print(f"| {name} | {ours:.3f} | {none:.3f} |\n")
    print(f"| mean of {len(rows)} | {mean(a for a, _ in rows.values()):.3f} | {mean(b for _, b in rows.values()):.3f} |\n\n")
    windows = list(noise_windows())
    for name in sorted({name for name, _ in windows}):
        of_file = [values for one, values in windows if one == name]
        shares = [mean(step_found(values, step) for values in of_file) for step in (1.0, 1.05, 1.10)]
        print(f"| {name} | {len(of_file)} | {' | '.join(f'{100 * share:.1f} %' for share in shares)} |\n")
    if "--nab" in sys.argv:
        scores = nab_scores({"both detectors": agreed, "moving average": moving_average, "no change": lambda _: []})
        print("\n" + "".join(f"| {name} | {score:.3f} |\n" for name, score in scores.items()))


if __name__ == "__main__":
    main()
