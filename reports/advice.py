"""What would buy most, ranked, each sentence from figures the run or its history measured. Without a measurement there is no advice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from reports import format as form
from reports.history import Promotion
from reports.records import Record
from reports.statistics.proportions import clopper_pearson

FASTER = 0.10
"""How much faster a stage is imagined."""
LEAST_SHARE = 0.05
"""Share of a turn, of turns or of card repeats from which something is worth a line."""
LEAST_RUNS = 5
"""Accepted runs from which a card that never failed is named."""
LEAST_MIXED = 3
"""Runs in which two cards must both have failed, and both have passed, before their agreement says anything."""
STAGES: Mapping[str, str] = {
    "model_s": "The model",
    "tools_s": "Tools",
    "route_s": "Routing",
    "load_s": "Loading the conversation",
    "store_s": "Storing the turn",
}
"""Spans that do not contain each other. `overhead_s` is all but model and tools: what is left of it is the assistant's own code."""
REST = "The assistant's own code"
OWN = ("route_s", "load_s", "store_s")

Result = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One line. `gain` is what it would save, in words with its unit; `sentence` the measurements behind it."""

    title: str
    gain: str
    sentence: str


def advice(record: Record, runs: Sequence[Promotion], failing: Collection[str] = ()) -> list[Advice]:
    """Advice on a record: first what makes a turn faster, most seconds first, then what makes the evaluation shorter.

    `runs` are the accepted runs whose cards are comparable with the record's, oldest first; `failing` the cards that did not pass now:
    they have just told something.
    """
    turn = sorted([*_stage_lines(record), *_cache_lines(record)], key=lambda pair: -pair[0])
    return [line for _, line in turn] + _card_lines(record, runs, failing)


def _stage_lines(record: Record) -> list[tuple[float, Advice]]:
    """Lines with the seconds a turn they would save."""
    stages = _stages(record)
    total = stages.get("total_s") or sum(stages.get(name, 0.0) for name in ("model_s", "tools_s", "overhead_s"))
    parts = {title: stages[name] for name, title in STAGES.items() if name in stages}
    if "overhead_s" in stages:
        parts[REST] = stages["overhead_s"] - sum(stages.get(name, 0.0) for name in OWN)
    found: list[tuple[float, Advice]] = []
    for title, mean_s in parts.items():
        if not LEAST_SHARE * total <= mean_s <= total or total <= 0:
            continue
        saved = FASTER * mean_s
        told = f"{form.share(mean_s / total)} of a turn: {form.seconds(mean_s)} of {form.seconds(total)}, means of this run."
        gain = f"{form.seconds(saved)} a turn, if {form.share(FASTER)} faster"
        found.append((saved, Advice(title=title, gain=gain, sentence=told)))
    return found


def _cache_lines(record: Record) -> list[tuple[float, Advice]]:
    """Turns that the cache could have answered and did not, at the mean time of the model in a turn."""
    hits, reached = (_value(record, name) for name in ("cache.hit_rate", "cache.hit_share_of_possible"))
    if hits is None or not reached or not 0 < reached <= 1:
        return []
    missed = min(1.0, hits / reached) - hits
    if missed < LEAST_SHARE:
        return []
    told = f"It answers {form.share(hits)} of turns, {form.share(reached)} of those it could: {form.share(missed)} more were possible."
    model_s = _stages(record).get("model_s")
    if model_s is None:
        return [(0.0, Advice(title="The cache", gain=f"the model in {form.share(missed)} of turns", sentence=told))]
    gain = f"{form.seconds(missed * model_s)} a turn, if every possible hit is one"
    told += f" The model takes {form.seconds(model_s)} of a turn in the mean."
    return [(missed * model_s, Advice(title="The cache", gain=gain, sentence=told))]


def _card_lines(record: Record, runs: Sequence[Promotion], failing: Collection[str]) -> list[Advice]:
    """Cards whose results told nothing, critical ones and those of unknown severity left out: they guard, whatever they tell."""
    played = [run.cards for run in runs if run.cards]
    rows = [row for row in _cards(record) if row.get("severity") in ("major", "minor")]
    names = [name for row in rows if (name := str(row.get("card"))) not in failing]
    if len(played) < LEAST_RUNS or not names:
        return []
    results = {name: [cards[name] for cards in played] for name in names if all(name in cards for cards in played)}
    took_s = record.durations_s.get("cards")
    spent = f" All cards took {form.seconds(took_s)} in this run." if took_s else ""
    total = sum(judged for _, judged in played[-1].values())
    lines = [_always_passing(results, total, spent), *_alike(results, total, spent)]
    return [line for line in lines if line is not None]


def _always_passing(results: Mapping[str, Sequence[Result]], total: int, spent: str) -> Advice | None:
    quiet = {name: rows for name, rows in results.items() if all(passed == judged for passed, judged in rows)}
    repeats = sum(rows[-1][1] for rows in quiet.values())
    if not quiet or repeats < LEAST_SHARE * total:
        return None
    runs = len(next(iter(quiet.values())))
    fewest = min(sum(judged for _, judged in rows) for rows in quiet.values())
    unseen = clopper_pearson(0, fewest).high or 0.0
    told = (
        f"{form.listing(sorted(quiet))} passed every repeat of the last {runs} accepted runs, {form.count(fewest)} or more each: "
        f"no run was told from another by them, though one may still fail in up to {form.share(unseen)} of repeats.{spent}"
    )
    gain = f"{form.share(repeats / total / 2)} of the card repeats, if played every second run"
    return Advice(title=f"{form.plural(len(quiet), 'cards')} that never failed", gain=gain, sentence=told)


def _alike(results: Mapping[str, Sequence[Result]], total: int, spent: str) -> list[Advice]:
    """Groups of cards with the same result in every run, though it changed."""
    groups: dict[tuple[Result, ...], list[str]] = defaultdict(list)
    for name, rows in results.items():
        failed = sum(passed < judged for passed, judged in rows)
        if LEAST_MIXED <= failed <= len(rows) - LEAST_MIXED:
            groups[tuple(rows)].append(name)
    lines: list[Advice] = []
    for rows, names in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        if len(names) < 2:
            continue
        failed = sum(passed < judged for passed, judged in rows)
        told = f"{form.listing(sorted(names))} had the same result in all {len(rows)} accepted runs, failing together in {failed}.{spent}"
        gain = f"{form.share((len(names) - 1) * rows[-1][1] / total)} of the card repeats, if one of them is kept"
        lines.append(Advice(title=f"{form.plural(len(names), 'cards')} that say the same", gain=gain, sentence=told))
    return lines


def _stages(record: Record) -> dict[str, float]:
    table = record.tables.get("stages")
    rows = table.items() if isinstance(table, dict) else ()
    return {str(name): float(mean) for name, mean in rows if isinstance(mean, int | float) and isfinite(mean) and mean >= 0}


def _cards(record: Record) -> list[dict[str, Any]]:
    table = record.tables.get("cards")
    return [row for row in table if isinstance(row, dict)] if isinstance(table, list) else []


def _value(record: Record, name: str) -> float | None:
    estimate = record.metrics.get(name)
    return estimate.value if estimate is not None and estimate.n else None
