"""Reads the labelled utterances a router is trained on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from assistant.errors import AssistantError

FILE_NAME = "utterances.jsonl"
FIELDS = ("text", "intent", "agent", "family")
SHOWN_FAULTS = 20


class RoutingDataError(AssistantError):
    """Training data cannot be used. The message lists every fault with its line and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """`family` names the situation an utterance comes from; `line` counts from 1 in its file."""

    text: str
    intent: str
    agent: str
    family: str
    line: int


def read_utterances(path: Path) -> list[Utterance]:
    """The utterances of a JSON-lines file, or of `utterances.jsonl` in a folder. Raises `RoutingDataError`."""
    file = path / FILE_NAME if path.is_dir() else path
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RoutingDataError(f"{file}: not readable ({error}); a pack needs its routing utterances there") from error
    utterances: list[Utterance] = []
    faults: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            parsed = _parse(line, number)
            if isinstance(parsed, Utterance):
                utterances.append(parsed)
            else:
                faults += [f"line {number}: {fault}" for fault in parsed]
    faults += _set_faults(utterances)
    if faults:
        raise RoutingDataError(f"{file}: {_join(faults)}; each line is a JSON object with the texts {', '.join(FIELDS)}")
    return utterances


def _parse(line: str, number: int) -> Utterance | list[str]:
    try:
        row = json.loads(line)
    except ValueError as error:
        return [f"not JSON ({error})"]
    if not isinstance(row, dict):
        return ["not a JSON object"]
    fields = cast("dict[str, object]", row)
    faults = [f"{name} is missing or empty" for name in FIELDS if not _is_text(fields.get(name))]
    faults += [f"unknown field {name!r}" for name in fields if name not in FIELDS]
    if faults:
        return faults
    return Utterance(line=number, **{name: str(fields[name]).strip() for name in FIELDS})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _set_faults(utterances: Sequence[Utterance]) -> list[str]:
    faults: list[str] = []
    agents: dict[str, str] = {}
    seen: dict[str, int] = {}
    for item in utterances:
        if agents.setdefault(item.intent, item.agent) != item.agent:
            faults.append(f"line {item.line}: intent {item.intent!r} belongs to {agents[item.intent]!r}, not to {item.agent!r}")
        text = item.text.casefold()
        if text in seen:
            faults.append(f"line {item.line}: same text as line {seen[text]}")
        seen.setdefault(text, item.line)
    if len(set(agents.values())) < 2:
        faults.append("fewer than two agents have utterances")
    thin = [intent for intent in sorted(agents) if len({item.family for item in utterances if item.intent == intent}) < 2]
    faults += [f"intent {intent!r} has fewer than two families" for intent in thin]
    return faults


def _join(faults: Iterable[str]) -> str:
    listed = list(faults)
    more = f"; and {len(listed) - SHOWN_FAULTS} more" if len(listed) > SHOWN_FAULTS else ""
    return "; ".join(listed[:SHOWN_FAULTS]) + more
