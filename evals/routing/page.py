"""One self-contained page on a measurement: figures, confusion, reliability, what it costs to be sure, the worst choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.routing.words import SEVERAL
from reports import charts
from reports.format import NOTHING, seconds, share
from reports.render import render_routing
from reports.statistics.proportions import wilson

SHOWN_CLASSES = 24
SHOWN_PAIRS = 20

_FIGURES = (
    ("accuracy", "Accuracy"),
    ("accuracy_forced", "Forced choice, in scope"),
    ("accuracy_abstaining", "With abstention"),
    ("intent_accuracy", "Intent"),
    ("macro_f1", "Macro F1"),
)
_OUTSIDE = (
    ("auroc", "Out of scope, AUROC"),
    ("recall_at_5_false_rejection", "Out of scope, recall at 5 % false rejection"),
    ("recall", "Out of scope, recall as decided"),
    ("false_rejection", "In scope, rejected as decided"),
)


def write_page(found: Mapping[str, Any], page: Path) -> None:
    """Write one page on a result of `assay routing`, replacing it whole. It needs no other file and no network."""
    figures = [(words, found[name]) for name, words in _FIGURES if found.get(name)]
    figures += [(words, found["oos"][name]) for name, words in _OUTSIDE if found.get("oos") and found["oos"].get(name)]
    conversations = found.get("conversations") or {}
    figures += [(f"Conversations, {part}", conversations[part]) for part in ("turns", "items") if conversations.get(part)]
    several = found.get("several") or {}
    figures += [(words.capitalize(), several[name]) for name, words in SEVERAL.items() if several.get(name)]
    labels, rows, hidden = _heat(found["confusion"])
    render_routing(
        {
            "found": found,
            "figures": [_figure(words, estimate) for words, estimate in figures],
            "latency": _latency(found["latency"]),
            "labels": labels,
            "heat": rows,
            "hidden": hidden,
            "pairs": _pairs(found["confusion"]),
            "reliability": charts.reliability(_bins(found["reliability"])),
            "ece": f"{found['ece']['value']:.3f}" if found["ece"] else "",
            "coverage": [(share(row["coverage"]), share(row["accuracy"]), row["n"]) for row in found["risk_coverage"]][1::2],
            "robustness": _robustness(found.get("robustness", {})),
            "worst": [
                {**row, "confidence": NOTHING if row["confidence"] is None else f"{row['confidence']:.2f}"}
                for row in found["worst"]
            ],
        },
        page,
    )


def _figure(words: str, estimate: Mapping[str, Any]) -> dict[str, str]:
    if estimate["value"] is None:
        return {"words": words, "value": NOTHING, "bounds": "", "counted": f"{estimate['n']} texts"}
    bounds = (
        "" if estimate["low"] is None or estimate["high"] is None else f"{share(estimate['low'])} to {share(estimate['high'])}"
    )
    counted = f"{estimate['n']} texts" if estimate["k"] is None else f"{estimate['k']} of {estimate['n']}"
    return {"words": words, "value": share(estimate["value"]), "bounds": bounds, "counted": counted}


def _latency(parts: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    return [
        (name.removesuffix("_s"), [seconds(row[q]["value"]) for q in ("p50", "p95", "p99")]) for name, row in parts.items() if row
    ]


def _heat(table: Mapping[str, Any]) -> tuple[list[str], list[dict[str, Any]], int]:
    """The matrix; of very many classes those with the most mistakes, made or drawn, and how many are not shown."""
    labels, counts = [str(label) for label in table["labels"]], table["counts"]
    wrong = [sum(row) - row[place] + sum(other[place] for other in counts) - row[place] for place, row in enumerate(counts)]
    kept = sorted(sorted(range(len(labels)), key=lambda place: -wrong[place])[:SHOWN_CLASSES])
    rows = [
        {
            "label": labels[row],
            "cells": [
                (counts[row][column], charts.shade(counts[row][column], sum(counts[row])), column == row) for column in kept
            ],
            "total": sum(counts[row]),
        }
        for row in kept
    ]
    return [labels[place] for place in kept], rows, len(labels) - len(kept)


def _pairs(table: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    labels, counts = table["labels"], table["counts"]
    found = [
        (str(labels[row]), str(labels[column]), int(number))
        for row, line in enumerate(counts)
        for column, number in enumerate(line)
        if number and row != column
    ]
    return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))[:SHOWN_PAIRS]


def _bins(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, float | None, float | None, int]]:
    bins: list[tuple[float, float, float | None, float | None, int]] = []
    for row in rows:
        if row["n"]:
            rate = wilson(round(row["accuracy"] * row["n"]), int(row["n"]))
            bins.append((float(row["confidence"]), float(row["accuracy"]), rate.low, rate.high, rate.n))
    return bins


def _robustness(rows: Mapping[str, Any]) -> list[tuple[str, str, dict[str, str]]]:
    return [
        (name.replace("_", " "), share(row["accuracy"]), _figure(name, row["difference"]))
        for name, row in rows.items()
        if name != "seed"
    ]
