"""Training and test sets for any router: which label counts, which rows are used, and what is wrong with them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from assistant.routing.head import NO_AGENT
from evals.errors import UsageError
from evals.routing.formats import Row, raise_faults, read_rows, read_text, split_source

MOST_ROWS = 40_000
"""Training solves one system with a row and a column per text: 6.4 GB at this size."""
OUT_OF_SCOPE = ("none", "oos")
"""Intents that mean that nobody should answer."""


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """`level` is what a router chooses: `agent` where the rows name agents, else `intent`. `warnings` name places in the file."""

    source: str
    rows: list[Row]
    level: str
    warnings: list[str] = field(default_factory=list[str])

    @property
    def digest(self) -> str:
        """`sha256:…` of texts and labels; the order does not count."""
        lines = sorted(json.dumps([row.text, row.intent, row.agent]) for row in self.rows)
        return f"sha256:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


def read_training(source: str, *, rows_file: str | None = None, domains: Mapping[str, str] | None = None) -> LabelledSet:
    """Rows to train on, in an order of their own, each text once. Raises `UsageError`.

    A text that comes with two labels is left out with a warning; a class of one text stays with a warning.
    """
    rows = read_rows(source, "train")
    if rows_file:
        rows = _chosen(rows, read_selection(rows_file), rows_file)
    rows = _labelled(rows, domains)
    kept, warnings = _consistent(rows)
    level = _level(kept, source)
    warnings += _thin(kept)
    _check_trainable(kept, level, source)
    kept.sort(key=lambda row: (row.intent, row.text))
    return LabelledSet(source=source, rows=kept, level=level, warnings=warnings)


def read_test(source: str, *, domains: Mapping[str, str] | None = None, agents: Mapping[str, str] | None = None) -> LabelledSet:
    """Rows to test on, in file order, repeated texts included. `agents` names the agent of an intent where a row does not.

    Raises `UsageError`.
    """
    rows = read_rows(source, "test")
    if agents is not None:
        rows = [replace(row, agent=row.agent or agents.get(row.intent, "")) for row in rows]
    rows = _labelled(rows, domains)
    return LabelledSet(source=source, rows=rows, level=_level(rows, source))


def read_out_of_scope(source: str) -> list[Row]:
    """Texts that nobody should answer; whatever label they carry, it becomes `none`. Raises `UsageError`."""
    return [replace(row, intent=NO_AGENT, agent=NO_AGENT) for row in read_rows(source, "oos")]


def own_out_of_scope(test: str) -> str | None:
    """The out-of-scope list that goes with the list a JSON file is tested on, if it has one."""
    path, chosen = split_source(test)
    if path.suffix != ".json":
        return None
    name = f"oos_{chosen or 'test'}"
    data: Any = json.loads(read_text(path))
    return f"{path}#{name}" if isinstance(data, dict) and data.get(name) else None


def read_domains(path: str) -> dict[str, str]:
    """The domain of each intent, from a JSON object that maps a domain to its intents. Raises `UsageError`."""
    try:
        data: object = json.loads(read_text(Path(path)))
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({error})") from error
    if not isinstance(data, dict) or not all(isinstance(listed, list) for listed in cast("dict[str, object]", data).values()):
        raise UsageError(f'{path}: not a JSON object of lists; write {{"banking": ["transfer", "balance"], ...}}')
    owner: dict[str, str] = {}
    faults: list[str] = []
    for domain, intents in cast("dict[str, list[object]]", data).items():
        for intent in map(str, intents):
            if owner.setdefault(intent, domain) != domain:
                faults.append(f"{path}: intent {intent!r} is in {owner[intent]!r} and in {domain!r}; leave it in one domain")
    raise_faults(faults)
    return owner


def read_selection(source: str) -> list[int]:
    """Row numbers from 0: a JSON list, the list `NAME` of an object in `FILE#NAME`, or one number a line. Raises `UsageError`."""
    path, name = split_source(source)
    text = read_text(path)
    try:
        data: Any = json.loads(text) if text.lstrip()[:1] in {"[", "{"} else [int(word) for word in text.split()]
    except ValueError as error:
        raise UsageError(f"{path}: holds no row numbers ({error}); write a JSON list of whole numbers from 0") from error
    if isinstance(data, dict):
        lists = cast("dict[str, Any]", data)
        if name not in lists:
            raise UsageError(f"{path}: holds the lists {', '.join(lists)}; name one with {path}#{next(iter(lists), 'NAME')}")
        data = lists[name]
    numbers = cast("list[object]", data if isinstance(data, list) else [None])
    bad = [number for number in numbers if not isinstance(number, int) or isinstance(number, bool) or number < 0]
    if bad or not numbers:
        raise UsageError(f"{path}: {bad[0] if bad else 'an empty list'!r} is no row number; write whole numbers from 0")
    return cast("list[int]", numbers)


def _chosen(rows: Sequence[Row], numbers: Sequence[int], source: str) -> list[Row]:
    by_number = {row.number: row for row in rows}
    missing = [number for number in numbers if number not in by_number]
    raise_faults([f"{source}: row {number} does not exist; rows are counted from 0 to {max(by_number)}" for number in missing])
    return [by_number[number] for number in dict.fromkeys(numbers)]


def _labelled(rows: Sequence[Row], domains: Mapping[str, str] | None) -> list[Row]:
    """Rows with one spelling for out of scope and, where `domains` are given, the domain as agent."""
    found: list[Row] = []
    faults: list[str] = []
    for row in rows:
        outside = NO_AGENT in {row.agent, row.intent} or (not row.agent and row.intent in OUT_OF_SCOPE)
        agent = NO_AGENT if outside else row.agent
        if domains is not None and not outside:
            agent = domains.get(row.intent, "")
            if not agent:
                faults.append(f"{row.place}: intent {row.intent!r} is in no domain; add it to the file of domains")
        intent = row.intent or agent
        if not intent:
            faults.append(f"{row.place}: `intent` is missing or empty")
        found.append(replace(row, intent=NO_AGENT if intent in OUT_OF_SCOPE else intent, agent=agent))
    raise_faults(faults)
    return found


def _level(rows: Sequence[Row], source: str) -> str:
    inside = [row for row in rows if row.intent != NO_AGENT and row.agent != NO_AGENT]
    named = [row for row in inside if row.agent]
    if named and len(named) < len(inside):
        lacking = next(row for row in inside if not row.agent)
        raise UsageError(
            f"{lacking.place}: `agent` is missing where other rows of {source} have one; give it on every row or on none"
        )
    return "agent" if named else "intent"


def _consistent(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Each text once; texts with contradicting labels not at all."""
    by_text: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_text[" ".join(row.text.casefold().split())].append(row)
    kept: list[Row] = []
    warnings: list[str] = []
    repeated = 0
    for same in by_text.values():
        labels = sorted({row.intent for row in same})
        if len(labels) > 1:
            places = ", ".join(row.place.rpartition(": ")[2] for row in same)
            warnings.append(f"{same[0].place}: the same text has the labels {', '.join(labels)} ({places}); all are left out")
        else:
            kept.append(min(same, key=lambda row: (row.text, row.agent)))
            repeated += len(same) - 1
    if repeated:
        warnings.append(f"{repeated} rows repeat a text with the same label; each text counts once")
    return kept, warnings


def _thin(rows: Sequence[Row]) -> list[str]:
    first: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        first[row.intent].append(row)
    return [
        f"{same[0].place}: {intent!r} has this example only; give two or more" for intent, same in first.items() if len(same) == 1
    ]


def _check_trainable(rows: Sequence[Row], level: str, source: str) -> None:
    path = Path(source)
    agents: dict[str, Row] = {}
    faults = [
        f"{row.place}: intent {row.intent!r} belongs to {agents[row.intent].agent!r} at {agents[row.intent].place}, not to {row.agent!r}"
        for row in rows
        if agents.setdefault(row.intent, row).agent != row.agent
    ]
    raise_faults(faults)
    classes = sorted({row.agent if level == "agent" else row.intent for row in rows})
    if len(classes) < 2:
        place = rows[0].place if rows else str(path)
        raise UsageError(
            f"{place}: {len(rows)} usable texts of {len(classes)} class ({', '.join(classes)}); give two classes or more"
        )
    intents = [row.intent for row in rows]
    if len(intents) == len({*intents}):
        raise UsageError(f"{rows[0].place}: every intent has one example; give two or more of at least one, for calibration")
    if len(rows) > MOST_ROWS:
        raise UsageError(f"{path}: {len(rows)} texts, at most {MOST_ROWS} can be trained on; choose some with --rows")
