"""Traffic profile: how much load, in what shape, for how long, against which objectives. One YAML file each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Pattern = Literal["constant", "poisson", "gamma"]
_PATTERNS = frozenset({*get_args(Pattern), "closed", "trace"})
Columns = Literal["azure", "burstgpt", "mooncake", "samples"]
Transport = Literal["sse", "rest", "websocket", "openai"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


RATE_PER_WORKER = 200.0
"""Turns a second that one generator process was seen to send on time; at 300 it was not. See docs/measurements/load.md."""


class ProfileModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Arrivals(ProfileModel):
    """Open loop: when conversations start, whatever the server does. `rate_per_s` counts turns: conversations start at
    `rate_per_s / mean turns of the script`. With `to_rate_per_s` the rate moves to that one in a straight line over `duration_s`.

    `burstiness` is the shape of the gamma distribution of the gaps: 1 is Poisson, less is burstier.
    """

    pattern: Pattern
    rate_per_s: Positive
    duration_s: Positive
    to_rate_per_s: Positive | None = None
    burstiness: Positive = 1.0


class Users(ProfileModel):
    """Closed loop: `users` people, each in one conversation after another until the window ends. They come within `ramp_s`; between
    two turns, and between two conversations, they think. A slow server slows them down: this says how many people it serves, not how
    it does under a rate.
    """

    pattern: Literal["closed"]
    users: Annotated[int, Field(ge=1, le=100_000)]
    duration_s: Positive
    ramp_s: NotNegative = 0.0


class Trace(ProfileModel):
    """Open loop: one conversation at each time of a recorded trace. `file` is relative to the profile. `speed` 2 plays it twice as
    fast. What lies in the first `warmup_s` is warm-up, the following `duration_s` are measured.
    """

    pattern: Literal["trace"]
    file: Annotated[str, Field(min_length=1)]
    columns: Columns
    duration_s: Positive
    speed: Positive = 1.0


class SharedPrefix(ProfileModel):
    """Messages start with one of `groups` fixed texts of about `tokens` tokens; with `salt` each conversation has its own instead, so that
    no prefix cache can help."""

    groups: Annotated[int, Field(ge=1)]
    tokens: Annotated[int, Field(ge=1, le=3000)]
    salt: bool = False


class Content(ProfileModel):
    """What users say: the cards' turns, all of them or those of cards that change the agent, or made-up words of about `input_tokens` tokens
    (a trace's own lengths where it has them), which no card can score."""

    kind: Literal["cards", "switching", "synthetic"] = "cards"
    input_tokens: Annotated[int, Field(ge=1, le=3000)] = 40
    prefix: SharedPrefix | None = None


class Hold(ProfileModel):
    """WebSockets held open beside the turns, opened at `connect_per_s` during the warm-up and pinged every `ping_every_s`."""

    connections: Annotated[int, Field(ge=1, le=50_000)]
    connect_per_s: Positive = 500.0
    ping_every_s: Positive = 10.0


class ThinkTime(ProfileModel):
    """Log-normal pause between an answer and the next message. `sigma` is the standard deviation of its logarithm."""

    median_s: Positive
    sigma: NotNegative = 0.5


class Objectives(ProfileModel):
    """What a good turn keeps to, counted from its intended start. `ttft_s`: to the first word; `response_s`: to the end."""

    response_s: Positive
    ttft_s: Positive


class Spell(ProfileModel):
    """From when, in seconds into the run, and for how long."""

    at_s: Positive
    for_s: Positive


class ModelSpell(Spell):
    """A fault of the server's own paced model: `stall` says nothing until it is over, `slow` takes `factor` times as long, `error` and
    `rate_limited` answer with HTTP 503 and 429, `cut` breaks off in the middle."""

    fault: Literal["stall", "slow", "error", "rate_limited", "cut"]
    factor: Annotated[float, Field(gt=1, le=1000)] = 5.0


class Chaos(ProfileModel):
    """What befalls the server, which must be an own one, while the load goes on. `kill_at_s`: it is killed without warning and started
    again. `frozen`: its process is stopped and goes on. `database_locked`: another process holds the write lock of its store.
    `database_gone`: the folder of its store is moved away and back; a PostgreSQL database lets nobody in. `disk_full`: it can write to no
    file. `model`: faults of its model, one after the other."""

    kill_at_s: Positive | None = None
    frozen: Spell | None = None
    database_locked: Spell | None = None
    database_gone: Spell | None = None
    disk_full: Spell | None = None
    model: list[ModelSpell] = []

    @model_validator(mode="after")
    def _says_something(self) -> Chaos:
        if not self.model_fields_set:
            raise ValueError("chaos: names no fault; give kill_at_s, frozen, database_locked, database_gone, disk_full or model")
        spells = sorted(self.model, key=lambda spell: spell.at_s)
        for one, other in pairwise(spells):
            if one.at_s + one.for_s > other.at_s:
                raise ValueError(f"chaos.model: {one.fault} at {one.at_s:g} s and {other.fault} at {other.at_s:g} s overlap")
        return self


class TrafficProfile(ProfileModel):
    """`max_in_flight` bounds open conversations: one that finds no slot waits, and its wait counts as latency.

    `warmup_s` of the same traffic precede the measured `duration_s`. After the last measured arrival unmeasured conversations
    keep the load up until the measured ones end, `drain_s` at most; what is still open then is censored. With `canary` each conversation
    carries a mark of its own in what it says, which must never come back in another's answer. `soak` reports the share of answered turns as the availability of a long run.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    model: Annotated[str, Field(min_length=1)]
    arrivals: Annotated[Arrivals | Users | Trace, Field(discriminator="pattern")]
    warmup_s: NotNegative
    max_in_flight: Annotated[int, Field(ge=1)]
    turn_timeout_s: Positive
    drain_s: Positive
    objectives: Objectives
    seed: int
    think: ThinkTime | None = None
    transport: Transport = "sse"
    content: Content = Content()
    hold: Hold | None = None
    chaos: Chaos | None = None
    canary: bool = False
    soak: bool = False
    workers: Annotated[int, Field(ge=1, le=64)] = 1

    @model_validator(mode="after")
    def _fits_together(self) -> TrafficProfile:
        if isinstance(self.arrivals, Users) and self.think is None:
            raise ValueError("arrivals: closed needs think; users who never think are a rate, which is open")
        if isinstance(self.arrivals, Users) and self.content.kind == "synthetic":
            raise ValueError("content: synthetic needs open arrivals or a trace")
        if self.chaos is not None and self.chaos.model and not self.model.startswith("paced:"):
            raise ValueError(f"chaos.model: only a paced: model fails by the clock, not {self.model!r}")
        if isinstance(self.arrivals, Arrivals):
            peak = max(self.arrivals.rate_per_s, self.arrivals.to_rate_per_s or 0.0)
            if peak > self.workers * RATE_PER_WORKER:
                raise ValueError(
                    f"arrivals.rate_per_s: {peak:g} turns a second are beyond what {self.workers} generator process(es) can "
                    f"send on time ({RATE_PER_WORKER:g} each); lower it or raise workers"
                )
        return self

    @property
    def tightest_objective_s(self) -> float:
        return min(self.objectives.response_s, self.objectives.ttft_s)


class TrafficError(Exception):
    """A profile cannot be used: the message names the file and every fault in it."""


def load_profile(path: Path) -> TrafficProfile:
    """Read and check one profile. Raises `TrafficError`."""
    try:
        data: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrafficError(f"{path}: cannot be read ({error.strerror}); give the path of a traffic profile") from error
    except UnicodeDecodeError as error:
        raise TrafficError(f"{path}: byte {error.start}: not UTF-8 text; save the file as UTF-8") from error
    except yaml.YAMLError as error:
        raise TrafficError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(data, Mapping):
        raise TrafficError(f"{path}: not a traffic profile; it starts with 'name: ...'")
    try:
        profile = TrafficProfile.model_validate(data)
    except ValidationError as error:
        raise TrafficError(f"{path}: {describe(error)}") from None
    if not isinstance(profile.arrivals, Trace):
        return profile
    trace = str((path.parent / profile.arrivals.file).resolve())
    return profile.model_copy(update={"arrivals": profile.arrivals.model_copy(update={"file": trace})})


def describe(error: ValidationError) -> str:
    """Every fault of a validation as `field: fault`, in one line."""
    faults = [f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return "; ".join(faults)


def _place(loc: tuple[int | str, ...]) -> str:
    """The dotted path of a field, without the tag that says which kind of arrivals it is one of."""
    parts = [str(part) for number, part in enumerate(loc) if not (number == 1 and loc[0] == "arrivals" and part in _PATTERNS)]
    return ".".join(parts) or "file"
