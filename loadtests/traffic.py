"""Traffic profile: how much load, in what shape, for how long, against which objectives. One YAML file each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Pattern = Literal["constant", "poisson", "gamma"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ProfileModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Arrivals(ProfileModel):
    """When conversations start. `rate_per_s` counts turns: conversations start at `rate_per_s / mean turns of the script`.

    `burstiness` is the shape of the gamma distribution of the gaps: 1 is Poisson, less is burstier.
    """

    pattern: Pattern
    rate_per_s: Positive
    duration_s: Positive
    burstiness: Positive = 1.0


class ThinkTime(ProfileModel):
    """Log-normal pause between an answer and the next message. `sigma` is the standard deviation of its logarithm."""

    median_s: Positive
    sigma: NotNegative = 0.5


class Objectives(ProfileModel):
    """What a good turn keeps to, counted from its intended start. `ttft_s`: to the first word; `response_s`: to the end."""

    response_s: Positive
    ttft_s: Positive


class TrafficProfile(ProfileModel):
    """`max_in_flight` bounds open conversations: one that finds no slot waits, and its wait counts as latency.

    `warmup_s` of the same traffic precede the measured `duration_s`. After the last measured arrival unmeasured conversations
    keep the load up until the measured ones end, `drain_s` at most; what is still open then is censored.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    model: Annotated[str, Field(min_length=1)]
    arrivals: Arrivals
    warmup_s: NotNegative
    max_in_flight: Annotated[int, Field(ge=1)]
    turn_timeout_s: Positive
    drain_s: Positive
    objectives: Objectives
    seed: int
    think: ThinkTime | None = None

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
        return TrafficProfile.model_validate(data)
    except ValidationError as error:
        raise TrafficError(f"{path}: {describe(error)}") from None


def describe(error: ValidationError) -> str:
    """Every fault of a validation as `field: fault`, in one line."""
    faults = [f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors()]
    return "; ".join(faults)
