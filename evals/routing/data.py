"""Labelled utterances and conversations for agent selection, read from JSON lines; every fault is reported at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evals.catalog import nearest, validation_faults
from evals.errors import UsageError


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Utterance(_Row):
    """`agent` is the label that counts; `none` means out of scope. Intervals cluster by `family`. Without an `id` the line names it."""

    id: str
    text: str
    agent: str
    intent: str | None = None
    family: str = ""


class LabelledTurn(_Row):
    text: str
    agent: str


class LabelledConversation(_Row):
    id: str
    family: str = ""
    turns: Annotated[list[LabelledTurn], Field(min_length=1)]


class SeveralRequests(_Row):
    """A message and the agents that should answer it, in order; one agent where it holds a single request."""

    id: str
    family: str = ""
    text: Annotated[str, Field(min_length=1)]
    agents: Annotated[list[str], Field(min_length=1)]


RowT = TypeVar("RowT", bound=_Row)


def read_utterances(path: Path, *, agents: Sequence[str]) -> list[Utterance]:
    """Raises `UsageError` with one line per fault."""
    rows = _read(path, Utterance)
    _check([(row.id, row.agent) for row in rows], path, agents)
    return rows


def read_conversations(path: Path, *, agents: Sequence[str]) -> list[LabelledConversation]:
    """Raises `UsageError` with one line per fault."""
    rows = _read(path, LabelledConversation)
    _check([(row.id, turn.agent) for row in rows for turn in row.turns], path, agents)
    return rows


def read_several(path: Path, *, agents: Sequence[str]) -> list[SeveralRequests]:
    """Raises `UsageError` with one line per fault."""
    rows = _read(path, SeveralRequests)
    _check([(row.id, agent) for row in rows for agent in row.agents], path, agents, field="agents")
    return rows


def _read(path: Path, row_type: type[RowT]) -> list[RowT]:
    try:
        # Not `splitlines`: a text may hold characters that end a line there and not in JSON lines.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start}: not UTF-8; save the file as UTF-8") from error
    rows: list[RowT] = []
    faults: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            data: Any = json.loads(line)
            if isinstance(data, dict):
                data = {"id": f"line-{number}", **cast("dict[str, Any]", data)}
            rows.append(row_type.model_validate(data))
        except json.JSONDecodeError as error:
            faults.append(f"{path}: line {number}: not JSON ({error.msg})")
        except ValidationError as error:
            faults += [f"{path}: line {number}: {fault}" for fault in validation_faults(error, row_type)]
    if not rows and not faults:
        faults.append(f"{path}: holds no row; write one JSON object a line")
    if faults:
        raise UsageError("\n".join(faults))
    return rows


def _check(labels: Sequence[tuple[str, str]], path: Path, agents: Sequence[str], *, field: str = "agent") -> None:
    faults = [
        f"{path}: row {row}: field `{field}`: unknown {agent!r}{nearest(agent, agents)}"
        for row, agent in labels
        if agent not in agents
    ]
    if faults:
        raise UsageError("\n".join(faults))
