"""Precision, recall and F1 by class, their mean over classes, and the confusion they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reports.records import Estimate
from reports.statistics.proportions import wilson

RESAMPLES = 1_000
Pair = tuple[str, str]


def class_scores(pairs: Sequence[Pair], labels: Sequence[str]) -> dict[str, dict[str, Estimate]]:
    """`precision`, `recall` and `f1` of each label over pairs of expected and chosen label, with one-sided Wilson bounds.

    F1 = 2J / (1 + J), J = TP / (TP + FP + FN): J is a rate among texts that are of the class or were given to it, and F1 grows with it,
    so its bounds are those of J carried over. A class without such a text has no value.
    """
    hits = Counter(expected for expected, chosen in pairs if expected == chosen)
    actual, given = Counter(expected for expected, _ in pairs), Counter(chosen for _, chosen in pairs)
    return {
        label: {
            "precision": wilson(hits[label], given[label]),
            "recall": wilson(hits[label], actual[label]),
            "f1": _f1(hits[label], actual[label] + given[label] - hits[label]),
        }
        for label in labels
    }


def _f1(hits: int, union: int) -> Estimate:
    shared = wilson(hits, union)
    value, low, high = (None if x is None else 2 * x / (1 + x) for x in (shared.value, shared.low, shared.high))
    return replace(shared, value=value, low=low, high=high, method="Wilson on TP / (TP + FP + FN), as F1")


def macro_f1(pairs: Sequence[Pair], labels: Sequence[str], *, seed: int = 7, confidence: float = 0.95) -> Estimate:
    """Mean F1 of the labels that occur in `pairs` as expected, with percentile bounds over seeded resamples of the texts."""
    present = [label for label in labels if any(expected == label for expected, _ in pairs)]
    n = len(pairs)
    place = {label: number for number, label in enumerate(present)}
    cells = Counter(pairs)
    counts = np.array([list(cells.values())], dtype=np.int64)
    rows = [place.get(expected, -1) for expected, _ in cells]
    columns = [place.get(chosen, -1) for _, chosen in cells]
    method = "percentile bootstrap over texts"
    if not present:
        return Estimate(value=None, low=None, high=None, k=None, n=n, planned=n, confidence=confidence, method=method)
    drawn = np.random.default_rng(seed).multinomial(n, counts[0] / n, size=RESAMPLES)
    value = float(_mean_f1(counts, rows, columns, len(present))[0])
    low, high = np.quantile(_mean_f1(drawn, rows, columns, len(present)), [1 - confidence, confidence])
    return Estimate(value=value, low=float(low), high=float(high), k=None, n=n, planned=n, confidence=confidence, method=method)


def _mean_f1(counts: Any, rows: Sequence[int], columns: Sequence[int], classes: int) -> Any:
    """Mean F1 per line of `counts` (lines, cells); `rows` and `columns` number the cells' classes, -1 being none of them."""
    sums = np.zeros((3, len(counts), classes))
    for cell, (row, column) in enumerate(zip(rows, columns, strict=True)):
        for kind, number, wanted in ((0, row, row == column), (1, row, True), (2, column, True)):
            if number >= 0 and wanted:
                sums[kind, :, number] += counts[:, cell]
    return (2 * sums[0] / np.maximum(sums[1] + sums[2], 1)).mean(axis=1)


def confusion_table(pairs: Sequence[Pair], labels: Sequence[str]) -> Mapping[str, Any]:
    """`counts[i][j]`: texts of `labels[i]` given to `labels[j]`; labels that only the router named come last."""
    named = [*labels, *sorted({chosen for _, chosen in pairs} - {*labels})]
    place = {label: number for number, label in enumerate(named)}
    counts = [[0] * len(named) for _ in named]
    for expected, chosen in pairs:
        counts[place[expected]][place[chosen]] += 1
    return {"labels": named, "counts": counts}
