"""Cards on disk: finding, reading and checking a suite. Every fault of every file is reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from evals.cards import Card
from evals.errors import UsageError
from evals.evaluators.foreign import read_spec

LARGEST = 256_000
"""Bytes of one card."""


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them can stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(problem="holds an alias (*name); write the value out", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


class CatalogError(UsageError):
    """Cards that cannot be used; the message has one line per fault: file, field, fault, remedy."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = list(faults)


def load_cards(folder: Path) -> list[Card]:
    """All cards below a folder in id order. Raises `CatalogError` with every fault."""
    if not folder.is_dir():
        raise CatalogError([f"{folder}: no such folder; `assay cards list` shows the suites there are"])
    cards: list[Card] = []
    faults: list[str] = []
    seen: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.yaml")):
        try:
            card = read_card(path)
        except CatalogError as error:
            faults += error.faults
            continue
        faults += _place_faults(path, card, seen)
        seen[card.id] = path
        cards.append(card)
    if faults:
        raise CatalogError(faults)
    if not cards:
        raise CatalogError([f"{folder}: holds no card (*.yaml); `assay cards new` writes a first one"])
    return sorted(cards, key=lambda card: card.id)


def read_card(path: Path) -> Card:
    """Read one card file. Raises `CatalogError`."""
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise CatalogError([f"{path}: {size:,} bytes, a card has at most {LARGEST:,}; move long texts out of it"])
        data: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    except OSError as error:
        raise CatalogError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise CatalogError([f"{path}: not UTF-8 text"]) from error
    except yaml.YAMLError as error:
        raise CatalogError([f"{path}: {_yaml_fault(error)}"]) from error
    if not isinstance(data, dict):
        raise CatalogError([f"{path}: a card is a mapping of fields; `assay cards new` writes an example"])
    try:
        card = Card.model_validate(data)
    except ValidationError as error:
        raise CatalogError([f"{path}: {fault}" for fault in validation_faults(error, Card)]) from error
    if faults := _evaluator_faults(card):
        raise CatalogError([f"{path}: {fault}" for fault in faults])
    return card


def _evaluator_faults(card: Card) -> list[str]:
    faults: list[str] = []
    for number, spec in enumerate(card.evaluators):
        try:
            read_spec(spec)
        except ValueError as error:
            faults.append(f"field `evaluators.{number}`: {error}")
    return faults


def validation_faults(error: ValidationError, model: type[Any]) -> list[str]:
    """One line per fault: field, fault, and for an unknown field the nearest known one."""
    known = _field_names(model.model_json_schema())
    lines: list[str] = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"]) or "card"
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else "; remove it"
            lines.append(f"field `{where}`: no such field{hint}")
        else:
            lines.append(f"field `{where}`: {item['msg'].removeprefix('Value error, ')} (found {_short(item['input'])})")
    return lines


def unknown_names(cards: Iterable[Card], *, agents: Sequence[str], tools: Sequence[str], documents: Sequence[str]) -> list[str]:
    """Faults for agents, tools and documents a card names that the pack does not have."""
    faults: list[str] = []
    for card in cards:
        for number, turn in enumerate(card.turns, start=1):
            expect = turn.expect
            named = {
                "agent": (_listed(expect.agent), [*agents, "none"]),
                "tools": ([tool.name for tool in expect.tools or []] + expect.forbid_tools, tools),
                "cite": (expect.cite if isinstance(expect.cite, list) else [], documents),
            }
            for name, (values, known) in named.items():
                faults += [
                    f"card {card.id}: field `turns.{number}.expect.{name}`: unknown {value!r}{nearest(value, known)}"
                    for value in values
                    if value not in known
                ]
    return faults


def choose_cards(cards: Sequence[Card], *, ids: Sequence[str] = (), area: str | None = None) -> list[Card]:
    """Those with one of `ids` (none given: all) that are in `area`. Raises `UsageError` for an unknown id and for an area without cards."""
    known = [card.id for card in cards]
    unknown = [card_id for card_id in ids if card_id not in known]
    if unknown:
        raise UsageError("\n".join(f"--card {card_id}: no such card{nearest(card_id, known)}" for card_id in unknown))
    chosen = [card for card in cards if (not ids or card.id in ids) and (area is None or card.area == area)]
    if not chosen:
        raise UsageError(f"--area {area}: no card{nearest(area or '', sorted({card.area for card in cards}))}")
    return chosen


def nearest(value: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(value, known, n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; known: {', '.join(sorted(known)[:20])}"


def _listed(value: str | list[str] | None) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else value


def _place_faults(path: Path, card: Card, seen: dict[str, Path]) -> list[str]:
    faults: list[str] = []
    if card.id in seen:
        faults.append(f"{path}: field `id`: {card.id!r} is also the id of {seen[card.id]}; ids are unique in a suite")
    if path.stem != card.id:
        faults.append(f"{path}: field `id`: is {card.id!r}, the file is named {path.stem!r}; make them equal")
    if path.parent.name != card.area:
        faults.append(f"{path}: field `area`: is {card.area!r}, the folder is {path.parent.name!r}; make them equal")
    return faults


def _field_names(schema: dict[str, Any]) -> list[str]:
    names = set(schema.get("properties", {}))
    for part in schema.get("$defs", {}).values():
        names |= set(part.get("properties", {}))
    return sorted(names)


def _yaml_fault(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}: " if mark else ""
    return f"{place}not valid YAML: {getattr(error, 'problem', None) or 'unreadable'}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
