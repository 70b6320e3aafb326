"""Draft cards: what an importer makes, how it is kept, and what a draft lacks to become a card.

A draft is the YAML of a card without its sabotage, kept outside the folder of scenarios, so that nothing unproven can gate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from evals.catalog import CatalogError, read_card
from evals.errors import EvidenceError, UsageError

_TITLE = 80
_UNKNOWN_ANSWER = "A right answer, still to be written."


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`item` names it in its source; `card` holds fields of `evals.cards.Card`; `lost` says, one line each, what a card cannot carry."""

    item: str
    card: Mapping[str, Any]
    lost: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Refused:
    """An item from which no card can be made."""

    item: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Every item of a source is in exactly one of the two, in source order."""

    drafts: Sequence[Draft]
    refused: Sequence[Refused] = ()


Reader = Callable[[Path, Path | None], Imported]
"""Reads a source and, where the format has one, its file of answers. Raises `UsageError` when a file cannot be read at all."""


def slug(text: str, *, otherwise: str = "item") -> str:
    """`text` as an id of a card or an area: lower-case words joined by hyphens, at most 60 characters."""
    words = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")
    return words[:60].rstrip("-") or otherwise


def title(text: str) -> str:
    """The first line of `text`, cut to a title's length."""
    line = " ".join(text.split())
    return (line if len(line) <= _TITLE else line[: _TITLE - 3].rstrip() + "...") or "Untitled"


def brief(value: Any) -> str:
    """A value on one line, as JSON unless it is text, cut to 200 characters."""
    text = " ".join((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)).split())
    return text if len(text) <= 200 else text[:197] + "..."


def draft(item: str, name: str, turns: Sequence[Mapping[str, Any]], lost: Sequence[str], **fields: Any) -> Draft:
    """A draft with a reference that does what its turns expect. `fields` are further fields of the card; empty ones are left out."""
    kept = {key: value for key, value in fields.items() if value not in (None, [], {}, "")}
    card = {
        "id": slug(item),
        "title": title(name),
        **kept,
        "turns": list(turns),
        "reference": {"turns": [_play(turn) for turn in turns]},
    }
    return Draft(item=item, card=card, lost=list(dict.fromkeys(lost)))


def turn(user: str, **expect: Any) -> dict[str, Any]:
    """A turn of a card; expectations that are null or, other than `tools`, empty are left out."""
    kept = {key: value for key, value in expect.items() if value is not None and (value != [] or key == "tools")}
    return {"user": user, "expect": kept} if kept else {"user": user}


def write_drafts(imported: Imported, folder: Path, *, area: str, source: str) -> list[Path]:
    """Write `folder/area/ID.yaml` for every draft, each with what was lost at its top. Raises `UsageError` when one exists already."""
    paths: list[Path] = []
    files: dict[Path, str] = {}
    for one in _with_unique_ids(imported.drafts):
        path = folder / area / f"{one.card['id']}.yaml"
        files[path] = _text(replace(one, card={**one.card, "area": area}), source)
        paths.append(path)
    there = [path for path in paths if path.exists()]
    if there:
        raise UsageError(f"{there[0]}: exists already (and {len(there) - 1} more); choose another --out or --area")
    try:
        (folder / area).mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EvidenceError(f"{folder / area}: cannot be written: {error.strerror}; choose another --out") from error
    return paths


def draft_faults(folder: Path) -> dict[Path, list[str]]:
    """What each draft below a folder lacks to be a card; an empty list means it is ready to be moved among the scenarios."""
    found: dict[Path, list[str]] = {}
    for path in sorted(folder.rglob("*.yaml")):
        try:
            read_card(path)
        except CatalogError as error:
            found[path] = [fault.removeprefix(f"{path}: ") for fault in error.faults]
        else:
            found[path] = []
    return found


def read_text(path: Path) -> str:
    """Raises `UsageError`."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text") from error


def read_yaml(path: Path) -> Any:
    """Raises `UsageError`."""
    try:
        return yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise UsageError(f"{path}: {f'line {mark.line + 1}: ' if mark else ''}not valid YAML") from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """JSON lines, blank ones skipped. Raises `UsageError` naming every line that is no object."""
    rows: list[dict[str, Any]] = []
    faults: list[str] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            faults.append(f"{path}: line {number}: not JSON ({error.msg})")
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            faults.append(f"{path}: line {number}: a JSON object is expected")
    if faults:
        raise UsageError("\n".join(faults))
    return rows


def _with_unique_ids(drafts: Sequence[Draft]) -> list[Draft]:
    taken: set[str] = set()
    named: list[Draft] = []
    for one in drafts:
        name, number = str(one.card["id"]), 1
        while name in taken:
            number += 1
            name = f"{one.card['id']}-{number}"
        taken.add(name)
        named.append(replace(one, card={**one.card, "id": name}))
    return named


def _play(spec: Mapping[str, Any]) -> dict[str, Any]:
    expect = spec.get("expect", {})
    said = [phrase if isinstance(phrase, str) else phrase[0] for phrase in expect.get("say", [])]
    agent, outcome = expect.get("agent"), expect.get("outcome")
    play = {
        "text": " ".join(said) or _UNKNOWN_ANSWER,
        "tools": [dict(tool) for tool in expect.get("tools", [])],
        "agent": agent[0] if isinstance(agent, list) else agent,
        "outcome": outcome[0] if isinstance(outcome, list) else outcome,
    }
    return {key: value for key, value in play.items() if value}


def _text(one: Draft, source: str) -> str:
    lines = [f"# Draft from {source}, item {one.item}. Not played until it has a sabotage and lies among the scenarios."]
    if one.lost:
        lines += ["# Not carried over:", *(f"#   - {' '.join(item.split())}" for item in one.lost)]
    order = ("id", "title", "area")
    card = {**{key: one.card[key] for key in order}, **{key: value for key, value in one.card.items() if key not in order}}
    return "\n".join(lines) + "\n" + yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120)
