"""A comparison in words and rows, for the page and for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from reports import format as form
from reports.compare import USAGE, CardPair, Comparison, Direction, Side
from reports.failures import Entry, read_transcripts, turn_entries
from reports.gates.counting import CardCount
from reports.gates.metrics import describe_metric
from reports.records import UNJUDGED_STATES
from reports.views import STATE_ICONS, STATE_WORDS

SHOWN = 50
"""Changed cards shown whole."""
_CHANGE_ICONS: Mapping[Direction, str] = {
    "broke": "fail",
    "changed": "inc",
    "healed": "pass",
    "only in a": "non",
    "only in b": "non",
}
_USAGE_WORDS = {
    "input_tokens": "Input tokens",
    "output_tokens": "Output tokens",
    "model_calls": "Model calls",
    "cost_usd": "Cost, USD",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A gate's state in one run."""

    icon: str
    word: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line with a value on each side and what changed. `share` (-100 to 100) draws the change."""

    title: str
    a: str
    b: str
    change: str
    bounds: str = ""
    clear: bool = False
    share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ChangedCard:
    card: str
    title: str
    icon: str
    words: str
    a: str
    b: str
    why: str
    chance: str
    a_entries: list[Entry]
    b_entries: list[Entry]


def headline(found: Comparison) -> str:
    """What changed, in one sentence."""
    pairs = found.paired
    changed = sum(pair.changed for pair in found.gates)
    if not pairs.cards:
        cards = "No card was judged in both runs"
    elif not pairs.broke and not pairs.healed:
        cards = f"Of {form.plural(pairs.cards, 'cards')} judged in both, none broke and none healed"
    else:
        cards = f"Of {form.plural(pairs.cards, 'cards')} judged in both, {pairs.broke} broke and {pairs.healed} healed"
    gates = f"{form.plural(changed, 'gates')} changed" if changed else "no gate changed"
    return f"{cards}; {gates}."


def paired_words(found: Comparison) -> str:
    """The paired difference with its bounds and the chance of so many broken cards; empty where nothing could be paired."""
    delta = found.paired.delta
    if delta.value is None:
        return ""
    bounds = ""
    if delta.low is not None and delta.high is not None:
        bounds = f", between {form.change(delta.low, 'share')} and {form.change(delta.high, 'share')} (one-sided 95 % bounds, {delta.method})"
    return (
        f"{form.change(delta.value, 'share')} in the pass rate of cards{bounds}. "
        f"Were breaking and healing equally likely, {form.share(found.paired.chance)} of comparisons would break as many (McNemar, exact)."
    )


def gate_cells(found: Comparison) -> list[tuple[str, Cell, Cell, bool]]:
    cells: list[tuple[str, Cell, Cell, bool]] = []
    for pair in found.gates:
        sides: list[Cell] = []
        for gate in (pair.a, pair.b):
            if gate is None:
                sides.append(Cell(icon="non", word="no such line", value=""))
                continue
            measured = gate.measured or gate.estimate
            value = form.quantity(measured.value, describe_metric(gate.metric).unit) if measured and measured.n else ""
            sides.append(Cell(icon=STATE_ICONS[gate.state], word=STATE_WORDS[gate.state], value=value))
        cells.append((pair.title, sides[0], sides[1], pair.changed))
    return cells


def metric_rows(found: Comparison) -> list[Row]:
    rows: list[Row] = []
    for pair in found.metrics:
        delta, bounds = pair.delta, ""
        if delta is not None and delta.low is not None and delta.high is not None:
            bounds = f"{form.change(delta.low, pair.unit)} to {form.change(delta.high, pair.unit)}"
        values = [form.quantity(side.value, pair.unit) if side and side.n else "not measured" for side in (pair.a, pair.b)]
        change = form.change(delta.value if delta else None, pair.unit)
        rows.append(Row(title=pair.title, a=values[0], b=values[1], change=change, bounds=bounds, clear=pair.clear))
    return rows


def stage_rows(found: Comparison) -> list[Row]:
    """Which stage ate the time: mean seconds of a turn, the largest change first."""
    most = max((abs((pair.b_s or 0.0) - (pair.a_s or 0.0)) for pair in found.stages), default=0.0)
    rows: list[Row] = []
    for pair in found.stages:
        change = (pair.b_s or 0.0) - (pair.a_s or 0.0)
        rows.append(
            Row(
                title=pair.stage.removesuffix("_s").replace("_", " "),
                a=form.quantity(pair.a_s, "seconds"),
                b=form.quantity(pair.b_s, "seconds"),
                change=form.change(change, "seconds"),
                share=100 * change / most if most else 0.0,
            )
        )
    return rows


def usage_rows(found: Comparison) -> list[Row]:
    """Tokens, calls and money per played turn; a figure that neither run tells is left out."""
    rows: list[Row] = []
    for name in USAGE:
        ours, theirs = _per_turn(found.a, name), _per_turn(found.b, name)
        if ours is None and theirs is None:
            continue
        change = form.change(theirs - ours, "count") if ours is not None and theirs is not None else form.NOTHING
        values = [form.quantity(value, "count") for value in (ours, theirs)]
        rows.append(Row(title=f"{_USAGE_WORDS[name]} per turn", a=values[0], b=values[1], change=change))
    return rows


def changed_cards(found: Comparison) -> list[ChangedCard]:
    """At most `SHOWN` cards, with the repeat of each side that shows the difference."""
    shown = found.cards[:SHOWN]
    talks = [
        _talks(side, [(pair.card, _repeat(card)) for pair in shown if (card := _of(pair, which))])
        for side, which in _sides(found)
    ]
    titles = {**_titles(found.a), **_titles(found.b)}
    return [
        ChangedCard(
            card=pair.card,
            title=titles.get(pair.card, pair.card),
            icon=_CHANGE_ICONS[pair.direction],
            words=pair.direction,
            a=_passes(pair.a),
            b=_passes(pair.b),
            why=_why(pair),
            chance=form.share(pair.chance) if pair.chance is not None and pair.direction == "broke" else "",
            a_entries=talks[0].get(pair.card, []),
            b_entries=talks[1].get(pair.card, []),
        )
        for pair in shown
    ]


def as_json(found: Comparison) -> dict[str, Any]:
    """The comparison as plain data: what the rows show, unrounded."""
    plain = {name: value for name, value in asdict(found).items() if name not in ("a", "b")}
    for name, side in (("a", found.a), ("b", found.b)):
        plain[name] = {
            "folder": str(side.folder),
            "run_id": side.record.run_id,
            "verdict": side.verdict.verdict,
            "turns": side.turns,
            "usage": dict(side.usage),
        }
    plain["headline"] = headline(found)
    return json.loads(json.dumps(plain))


def _sides(found: Comparison) -> list[tuple[Side, str]]:
    return [(found.a, "a"), (found.b, "b")]


def _of(pair: CardPair, which: str) -> CardCount | None:
    return pair.a if which == "a" else pair.b


def _per_turn(side: Side, name: str) -> float | None:
    return side.usage[name] / side.turns if side.turns and name in side.usage else None


def _repeat(card: CardCount) -> int:
    """The first repeat that failed, else that could not be judged, else the first."""
    checks = [check for check in card.checks if not check.advisory]
    failed = [check for check in checks if check.state not in UNJUDGED_STATES] or checks
    return failed[0].repeat if failed else 0


def _talks(side: Side, wanted: list[tuple[str, int]]) -> dict[str, list[Entry]]:
    rows = read_transcripts(side.folder / "transcripts.jsonl", wanted)
    return {str(row["card"]): [entry for turn in row.get("turns") or [] for entry in turn_entries(turn)] for row in rows}


def _titles(side: Side) -> dict[str, str]:
    table = side.record.tables.get("cards")
    return {str(row["card"]): str(row.get("title") or row["card"]) for row in table} if isinstance(table, list) else {}


def _passes(card: CardCount | None) -> str:
    if card is None:
        return form.NOTHING
    return f"{card.passed} of {card.repeats} passed" + (f", {card.unjudged} unjudged" if card.unjudged else "")


def _why(pair: CardPair) -> str:
    worse = pair.a if pair.direction == "healed" else pair.b
    check = next((check for check in (worse.checks if worse else []) if not check.advisory), None)
    return (check.reason or f"{check.evaluator}: {check.state.replace('_', ' ')}") if check else ""
