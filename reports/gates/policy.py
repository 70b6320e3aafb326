"""A policy: what must hold before a build may ship, read from YAML."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from reports.gates.metrics import find_metric, nearest_metric
from reports.records import Tier

Limit = Literal["at_least", "at_most", "max_drop", "max_rise"]
LIMITS: tuple[Limit, ...] = ("at_least", "at_most", "max_drop", "max_rise")


class PolicyError(Exception):
    """A policy cannot be used: every fault on its own line, each with file, line, field, fault and remedy."""


class Line(BaseModel):
    """One gate. Exactly one limit: `at_least` or `at_most` the metric, or `max_drop`, `max_rise` against the baseline.

    Limits are in the metric's own unit (share 0..1, seconds, bytes). `bound: ci` compares the one-sided bound facing the limit,
    `point` the measured value. A metric may end in `*`: one gate per measured name. `planned: later` names a promise that
    nothing measures yet: it shows as `not measured` and never blocks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = ""
    metric: str
    title: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    max_drop: Annotated[float, Field(ge=0)] | None = None
    max_rise: Annotated[float, Field(ge=0)] | None = None
    bound: Literal["ci", "point"] = "ci"
    tiers: Annotated[list[Tier], Field(min_length=1)] = ["pr", "nightly", "release"]
    baseline: Literal["required", "optional", "none"] | None = None
    planned: Literal["now", "later"] = "now"
    critical: bool = False
    why: str = ""

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        if find_metric(name) is None:
            nearest = nearest_metric(name)
            raise ValueError(f"unknown metric {name!r}" + (f"; did you mean {nearest!r}?" if nearest else ""))
        return name

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        given = [name for name in LIMITS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(LIMITS)}; got {', '.join(given) or 'none'}")
        compares = given[0] in ("max_drop", "max_rise")
        if compares and self.baseline == "none":
            raise ValueError(f"{given[0]} compares with a baseline; set baseline to required or optional")
        if not compares and self.baseline == "required":
            raise ValueError(f"{given[0]} needs no baseline; use max_drop or max_rise to compare")
        return self

    @property
    def limit(self) -> Limit:
        return next(name for name in LIMITS if getattr(self, name) is not None)

    @property
    def threshold(self) -> float:
        return float(getattr(self, self.limit))

    @property
    def key(self) -> str:
        return self.id or self.metric


class _PolicyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    extends: str | None = None
    max_unjudged: Annotated[float, Field(ge=0, le=1)] | None = None
    critical_cards: Literal["all_repeats", "ignore"] | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    lines: list[Line] = []


class Policy(BaseModel):
    """`max_unjudged` is the largest share of a suite's repeats, or of a metric's planned samples, that may lack a judgement."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    max_unjudged: float = 0.01
    critical_cards: Literal["all_repeats", "ignore"] = "all_repeats"
    confidence: float = 0.95
    lines: list[Line]


def read_policy(path: Path) -> Policy:
    """Read a policy; `extends: other.yaml` (same folder) starts from that file's settings and lines.

    A line replaces the inherited line of the same id (its metric when it has none). Raises `PolicyError` with every fault.
    """
    files, seen = [_read_file(path)], {path.resolve()}
    while parent := files[-1].extends:
        beside = path.parent / parent
        if beside.resolve() in seen:
            raise PolicyError(f"{path}: extends: {parent!r} leads back to itself; remove one `extends`")
        seen.add(beside.resolve())
        files.append(_read_file(beside))
    lines: dict[str, Line] = {}
    settings: dict[str, Any] = {}
    for file in reversed(files):
        lines.update({line.key: line for line in file.lines})
        settings.update(file.model_dump(include={"name", "max_unjudged", "critical_cards", "confidence"}, exclude_none=True))
    if not lines:
        raise PolicyError(f"{path}: lines: empty; a policy without a gate would pass anything, add at least one line")
    return Policy(lines=list(lines.values()), **settings)


def _read_file(path: Path) -> _PolicyFile:
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror}); give the path of a policy file") from error
    except yaml.YAMLError as error:
        raise PolicyError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise PolicyError(f"{path}: not a policy: a mapping with name and lines is expected")
    try:
        file = _PolicyFile.model_validate(data)
    except ValidationError as error:
        raise PolicyError("\n".join(_fault(path, node, row["loc"], row) for row in error.errors())) from error
    keys = [line.key for line in file.lines]
    twice = [index for index, key in enumerate(keys) if key in keys[:index]]
    if twice:
        rows = (f"{_place(path, node, ('lines', i))}: second line for {keys[i]!r}; give it an id of its own" for i in twice)
        raise PolicyError("\n".join(rows))
    return file


def _fault(path: Path, node: yaml.Node | None, loc: Sequence[int | str], row: Any) -> str:
    where = f"{_place(path, node, loc)}: {_dotted(loc)}"
    message = row["msg"].removeprefix("Value error, ")
    if row["type"] == "extra_forbidden":
        known = Line.model_fields if loc[0] == "lines" else _PolicyFile.model_fields
        nearest = get_close_matches(str(loc[-1]), known, n=1)
        return f"{where}: unknown field" + (f"; did you mean {nearest[0]!r}?" if nearest else f"; use one of {', '.join(known)}")
    return f"{where}: {message}"


def _dotted(loc: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _place(path: Path, node: yaml.Node | None, loc: Sequence[int | str]) -> str:
    """`file:line` of the deepest part of `loc` that the file holds."""
    line = node.start_mark.line if node else 0
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == part]
            if not pairs:
                break
            line, node = int(pairs[0][0].start_mark.line), pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line if node else line
        else:
            break
    return f"{path}:{line + 1}"
