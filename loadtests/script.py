"""Conversation script: the lines that loaded users say, one conversation a line of JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.wire import SandboxRequest
from loadtests.traffic import describe


class ScriptModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScriptTurn(ScriptModel):
    text: Annotated[str, Field(min_length=1, max_length=20_000)]


class Conversation(ScriptModel):
    """`weight` is its share of the conversations, relative to the others. `sandbox` null: it needs no starting state."""

    id: Annotated[str, Field(min_length=1)]
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    user_id: Annotated[str, Field(min_length=1, max_length=200)]
    sandbox: SandboxRequest | None = None
    turns: Annotated[list[ScriptTurn], Field(min_length=1)]


class ScriptError(Exception):
    """A script cannot be played: the message names the file and every faulty line."""


def read_script(path: Path) -> list[Conversation]:
    """Read and check a script. Raises `ScriptError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: cannot be read ({error}); give the path of a script.jsonl") from error
    faults: list[str] = []
    conversations: list[Conversation] = []
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            conversation = Conversation.model_validate_json(line)
        except ValidationError as error:
            faults.append(f"line {number}: {describe(error)}")
            continue
        if conversation.id in seen:
            faults.append(f"line {number}: id: {conversation.id!r} is already used; give every conversation its own")
        seen.add(conversation.id)
        conversations.append(conversation)
    if faults:
        raise ScriptError(f"{path}: " + "; ".join(faults))
    if not conversations:
        raise ScriptError(f"{path}: no conversations; a script has at least one")
    return conversations


def mean_turns(script: Sequence[Conversation]) -> float:
    """Turns of a conversation drawn by weight, on average."""
    return sum(item.weight * len(item.turns) for item in script) / sum(item.weight for item in script)


def script_digest(path: Path) -> str:
    """SHA-256 of the script's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
