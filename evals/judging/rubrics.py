"""Rubrics: what a judge is asked, versioned, with a digest that changes whenever the question does.

One YAML file a rubric, `datasets/<pack>/judge/rubrics/<name>.yaml`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from evals.cards import Card, CardModel, JudgeExpectation
from evals.catalog import nearest, validation_faults
from evals.errors import UsageError

WORST, BEST = 1, 5
"""The scale of a `scale` rubric; scores are given to cards as 0 to 1."""


class Rubric(CardModel):
    """`statement`: the judge says whether `asks` is true of the answer. `scale`: it scores `asks` by `steps`, and `threshold` decides.
    `pair`: it says which of two answers is better by `asks`; only for measuring a judge, never on a card."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Annotated[int, Field(ge=1)]
    kind: Literal["statement", "scale", "pair"] = "statement"
    asks: Annotated[str, Field(min_length=1)]
    steps: list[str] = Field(default=[])
    threshold: Annotated[float | None, Field(ge=0, le=1, description="Least score that passes, 0 to 1; `scale` only")] = None

    @model_validator(mode="after")
    def _kind_has_its_fields(self) -> Rubric:
        scaled = self.kind == "scale"
        if scaled != bool(self.steps):
            raise ValueError("steps: a `scale` rubric needs at least one, any other kind has none")
        if scaled != (self.threshold is not None):
            raise ValueError("threshold: a `scale` rubric needs one, any other kind has none")
        return self

    @property
    def digest(self) -> str:
        """`sha256:…` of everything the judge is asked; the threshold and the version number are part of it."""
        return f"sha256:{hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()}"

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version} {self.digest[:15]}"


def harness() -> str:
    """The library whose prompt surrounds a rubric: another version is another instrument."""
    return f"pydantic-evals {metadata.version('pydantic-evals')}"


def read_rubric(path: Path) -> Rubric:
    """Read one rubric file. Raises `UsageError` with every fault."""
    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        rubric = Rubric.model_validate(data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: not valid YAML") from error
    except ValidationError as error:
        raise UsageError("\n".join(f"{path}: {fault}" for fault in validation_faults(error, Rubric))) from error
    if rubric.name != path.stem:
        raise UsageError(f"{path}: field `name`: is {rubric.name!r}, the file is named {path.stem!r}; make them equal")
    return rubric


def read_rubrics(folder: Path) -> dict[str, Rubric]:
    """All rubrics of a folder by name; none when there is no folder. Raises `UsageError`."""
    return {rubric.name: rubric for rubric in map(read_rubric, sorted(folder.glob("*.yaml")))}


def rubric_of(asked: JudgeExpectation, rubrics: Mapping[str, Rubric]) -> Rubric:
    """The rubric a card names, with the card's threshold, or the card's own statement as one. Raises `UsageError`."""
    if asked.statement is not None:
        return Rubric(name=asked.check.removeprefix("judge:"), version=1, asks=asked.statement)
    found = rubrics.get(asked.rubric or "")
    if found is None:
        raise UsageError(f"unknown rubric {asked.rubric!r}{nearest(asked.rubric or '', list(rubrics))}")
    if found.kind == "pair":
        raise UsageError(f"rubric {asked.rubric!r} compares two answers; a card has one, name a `statement` or `scale` rubric")
    if asked.threshold is None:
        return found
    if found.kind != "scale":
        raise UsageError(f"rubric {asked.rubric!r} is a statement, true or not; remove `threshold` or name a `scale` rubric")
    return found.model_copy(update={"threshold": asked.threshold})


def rubric_faults(cards: Sequence[Card], rubrics: Mapping[str, Rubric]) -> list[str]:
    """One line per judge expectation that names no usable rubric."""
    faults: list[str] = []
    for card in cards:
        for number, turn in enumerate(card.turns, start=1):
            for asked in turn.expect.judge:
                try:
                    rubric_of(asked, rubrics)
                except UsageError as error:
                    faults.append(f"card {card.id}: field `turns.{number}.expect.judge`: {error}")
    return faults
