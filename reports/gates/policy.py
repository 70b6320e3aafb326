"""A policy: what must hold before a build may ship, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reports.gates.metrics import GUARDS, find_metric, nearest_metric
from reports.gates.waivers import Waiver, read_waivers
from reports.gates.yaml_files import PolicyError, read_model
from reports.history import ASPECTS, Aspect
from reports.records import Tier

__all__ = ["BaselineOptions", "Guards", "Line", "MachineSpeed", "Policy", "PolicyError", "read_policy"]

Limit = Literal["at_least", "at_most", "max_drop", "max_rise"]
LIMITS: tuple[Limit, ...] = ("at_least", "at_most", "max_drop", "max_rise")


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
        if name in {guard.name for guard in GUARDS}:
            raise ValueError(f"{name!r} is set under guards, not as a line")
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


class BaselineOptions(BaseModel):
    """Which accepted runs a candidate is compared with: the last `window` that agree with it in every aspect of `same`.

    A run counts half as much as one accepted `half_life_runs` later; null counts all alike. `required`: without a comparable run
    every comparison is invalid instead of `no baseline`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: Annotated[int, Field(ge=1)] = 20
    half_life_runs: Annotated[float, Field(gt=0)] | None = None
    required: bool = False
    same: Annotated[list[Aspect], Field(min_length=1)] = list(ASPECTS)


class Guards(BaseModel):
    """Comparisons of cards with the accepted runs; a null setting leaves its guard out.

    `mean_drop_margin`: how far the mean of card pass rates may drop. `per_card_alpha`: chance, over all cards together, of naming
    a card that did not get worse. `too_good_factor`: a gated metric better than this many times the accepted runs is not believed
    without a person.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean_drop_margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    per_card_alpha: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    too_good_factor: Annotated[float, Field(gt=1)] | None = None
    tiers: Annotated[list[Tier], Field(min_length=1)] = ["pr", "nightly", "release"]


class MachineSpeed(BaseModel):
    """The slowest machine whose times are believed: `lap_s` is what the fixed work of `machine.lap.p50_s` may take there.

    On a slower one a time over its limit fails only if it would, divided by how much slower the machine is and a quarter more, still be over
    it; otherwise it decides nothing. `waiting` is the share of time in which work may wait for a processor (`machine.waiting_share`): beyond it
    other programs were in the way, by how much in the tail nobody knows, and a time over its limit decides nothing. A time within its
    limit passes on any machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lap_s: Annotated[float, Field(gt=0)]
    waiting: Annotated[float, Field(gt=0, lt=1)] | None = None


class _PolicyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    extends: str | None = None
    max_unjudged: Annotated[float, Field(ge=0, le=1)] | None = None
    critical_cards: Literal["all_repeats", "ignore"] | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    baseline: BaselineOptions | None = None
    guards: Guards | None = None
    machine: MachineSpeed | None = None
    lines: list[Line] = []


class Policy(BaseModel):
    """`max_unjudged` is the largest share of a suite's repeats, or of a metric's planned samples, that may lack a judgement."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    max_unjudged: float = 0.01
    critical_cards: Literal["all_repeats", "ignore"] = "all_repeats"
    confidence: float = 0.95
    baseline: BaselineOptions = BaselineOptions()
    guards: Guards | None = None
    machine: MachineSpeed | None = None
    waivers: list[Waiver] = []
    lines: list[Line]


_SETTINGS = ("name", "max_unjudged", "critical_cards", "confidence", "baseline", "guards", "machine")


def read_policy(path: Path) -> Policy:
    """Read a policy; `extends: other.yaml` (same folder) starts from that file's settings and lines.

    A line replaces the inherited line of the same id (its metric when it has none). Waivers come from `waivers.yaml` in the same
    folder, if there is one. Raises `PolicyError` with every fault.
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
        given = {name: getattr(file, name) for name in _SETTINGS}
        settings.update({name: value for name, value in given.items() if value is not None})
    if not lines:
        raise PolicyError(f"{path}: lines: empty; a policy without a gate would pass anything, add at least one line")
    return Policy(lines=list(lines.values()), waivers=read_waivers(path.parent), **settings)


def _read_file(path: Path) -> _PolicyFile:
    file, locate = read_model(path, _PolicyFile, "a policy")
    keys = [line.key for line in file.lines]
    twice = [index for index, key in enumerate(keys) if key in keys[:index]]
    if twice:
        rows = (f"{locate(('lines', i))}: second line for {keys[i]!r}; give it an id of its own" for i in twice)
        raise PolicyError("\n".join(rows))
    return file
