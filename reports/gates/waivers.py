"""Waivers: known failures that may pass for a while, each with a reason, an owner and a last day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reports.gates.metrics import find_metric, nearest_metric
from reports.gates.verdict import GateResult
from reports.gates.yaml_files import PolicyError, read_model

FILE = "waivers.yaml"
WAIVERS_GATE = "waivers"
Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """Covers every failed or inconclusive gate on `metric`, or `card` wherever a gate names failing cards one by one.

    Exactly one of the two is set. `expires` is the last day it holds. Broken or missing evidence is never waived, and no number
    changes. `place` is its file and line.
    """

    metric: str | None = None
    card: str | None = None
    reason: str
    owner: str
    expires: date
    place: str = FILE

    @property
    def subject(self) -> str:
        return f"metric {self.metric}" if self.metric is not None else f"card {self.card}"

    @property
    def sentence(self) -> str:
        return f"Waived until {self.expires} by {self.owner}: {self.reason.rstrip('.')}."


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Text | None = None
    card: Text | None = None
    reason: Text
    owner: Text
    expires: date

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.metric is None) == (self.card is None):
            raise ValueError("give exactly one of metric, card")
        if self.metric is not None and find_metric(self.metric) is None:
            nearest = nearest_metric(self.metric)
            raise ValueError(f"unknown metric {self.metric!r}" + (f"; did you mean {nearest!r}?" if nearest else ""))
        return self


class _WaiverFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    waivers: list[_Row]


@dataclass(frozen=True, kw_only=True)
class Waived:
    """Waivers in force by what they cover, and those that are not in force."""

    metrics: dict[str, Waiver]
    cards: dict[str, Waiver]
    lapsed: list[Waiver]


def read_waivers(folder: Path) -> list[Waiver]:
    """Read `waivers.yaml` of a folder of policies; no file, no waivers. Raises `PolicyError` with every fault."""
    path = folder / FILE
    if not path.exists():
        return []
    file, locate = read_model(path, _WaiverFile, "a waivers")
    waivers = [Waiver(**row.model_dump(), place=locate(("waivers", index))) for index, row in enumerate(file.waivers)]
    first: dict[str, Waiver] = {}
    faults = [
        f"{waiver.place}: second waiver of {waiver.subject}, the first is at {first[waiver.subject].place}; keep one"
        for waiver in waivers
        if first.setdefault(waiver.subject, waiver) is not waiver
    ]
    if faults:
        raise PolicyError("\n".join(faults))
    return waivers


def in_force(waivers: Iterable[Waiver], created_at: str) -> Waived:
    """Sort waivers by whether they held on the day a run was made; an unreadable day leaves none in force."""
    metrics: dict[str, Waiver] = {}
    cards: dict[str, Waiver] = {}
    lapsed: list[Waiver] = []
    day = _day(created_at)
    for waiver in waivers:
        if day is None or day > waiver.expires:
            lapsed.append(waiver)
        elif waiver.metric is not None:
            metrics[waiver.metric] = waiver
        else:
            cards[str(waiver.card)] = waiver
    return Waived(metrics=metrics, cards=cards, lapsed=lapsed)


def waive(gate: GateResult, waived: Waived) -> GateResult:
    """The gate as waived when a waiver of its metric covers its state; what it found stays readable."""
    waiver = waived.metrics.get(gate.metric)
    if waiver is None or gate.state not in ("fail", "inconclusive"):
        return gate
    return replace(gate, state="waived", sentence=f"{waiver.sentence} Found: {gate.sentence}")


def lapsed_gate(waived: Waived, tier: str) -> GateResult | None:
    """A gate that is invalid while the policy's folder holds waivers that lapsed; null when it holds none."""
    if not waived.lapsed:
        return None
    rows = [f"{row.place}: the waiver of {row.subject} by {row.owner} ended on {row.expires}" for row in waived.lapsed]
    return GateResult(
        id=WAIVERS_GATE,
        metric=WAIVERS_GATE,
        title="Waivers are in force",
        area="Waivers",
        state="invalid",
        sentence=f"{'; '.join(rows)}; repair what it covers and remove it, or renew it with a new reason.",
        limit="all_repeats",
        threshold=0.0,
        bound="point",
        tiers=[tier],
        why="A waiver that nobody renews hides a failure for ever.",
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
