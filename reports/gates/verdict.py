"""What a gate concluded: the verdict, each gate's result, the failing cards; written to and read from `verdict.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from reports.records import Estimate, SlotState, Stage

VERDICT_VERSION = 1

VerdictWord = Literal["pass", "fail", "inconclusive", "invalid"]
EXIT_CODES: Mapping[VerdictWord, int] = {"pass": 0, "fail": 1, "inconclusive": 2, "invalid": 3}

GateState = Literal["pass", "fail", "inconclusive", "invalid", "waived", "not_in_tier", "not_measured", "no_baseline"]
JUDGED_STATES: frozenset[GateState] = frozenset({"pass", "fail", "inconclusive", "invalid"})

LimitKind = Literal["at_least", "at_most", "max_drop", "max_rise", "all_repeats", "no_card_worse", "not_too_good"]


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """One policy line on one metric.

    `sentence` says what happened to a person. `limit` and `threshold` are in the metric's unit; for `max_drop` and `max_rise`
    the `estimate` is the difference from the baseline and `measured` the metric itself; `no_card_worse` has the family-wise alpha, `not_too_good` the factor as `threshold`. `more_needed` is how many more samples
    would decide an inconclusive gate, null when none would. `cards` names the cards that broke it. `slow_machine`: undecided
    because the machine is slower than the policy's.
    """

    id: str
    metric: str
    title: str
    area: str
    state: GateState
    sentence: str
    limit: LimitKind
    threshold: float
    bound: Literal["ci", "point"]
    tiers: list[str]
    estimate: Estimate | None = None
    measured: Estimate | None = None
    more_needed: int | None = None
    critical: bool = False
    why: str = ""
    cards: list[str] = field(default_factory=list[str])
    slow_machine: bool = False


@dataclass(frozen=True, kw_only=True)
class FailedCheck:
    """One slot of a failing card that did not pass."""

    evaluator: str
    repeat: int
    state: SlotState
    reason: str
    stage: Stage | None
    advisory: bool
    expected: str | None = None
    got: str | None = None


@dataclass(frozen=True, kw_only=True)
class FailingCard:
    """A card with a failed or unjudged repeat. `repeats` were planned; `passed`, `failed` and `unjudged` add up to them."""

    card: str
    labels: Mapping[str, str]
    repeats: int
    passed: int
    failed: int
    unjudged: int
    stage: Stage | None
    checks: list[FailedCheck]
    reproduce: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`sentence` is the headline, `reasons` the sentences of all gates that stop a pass. `blame` is the stage most failing
    slots name, `stage_counts` all of them. `suite_counts` maps suite to planned, passed, failed and unjudged repeats."""

    verdict: VerdictWord
    exit_code: int
    sentence: str
    reasons: list[str]
    run_id: str
    policy: str
    tier: str
    gates: list[GateResult]
    failures: list[FailingCard]
    blame: Stage | None
    stage_counts: Mapping[str, int]
    suite_counts: Mapping[str, Mapping[str, int]]
    schema_version: int = VERDICT_VERSION


class VerdictError(Exception):
    """A verdict cannot be read: the message names file and fault."""


def write_verdict(folder: Path, verdict: Verdict) -> Path:
    """Write `verdict.json`, replacing it whole."""
    path = folder / "verdict.json"
    draft = path.with_suffix(".json.part")
    draft.write_text(json.dumps(asdict(verdict), indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def read_verdict(path: Path) -> Verdict:
    """Read `verdict.json`. Raises `VerdictError`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise VerdictError(f"{path}: cannot be read ({error.strerror}); run `assay gate` on the record first") from error
    except json.JSONDecodeError as error:
        raise VerdictError(f"{path}: line {error.lineno}: not JSON ({error.msg})") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != VERDICT_VERSION:
        raise VerdictError(f"{path}: schema_version is {version!r}, this build reads {VERDICT_VERSION}; run `assay gate` again")
    try:
        gates = [_gate(row) for row in data.pop("gates")]
        failures = [_failing(row) for row in data.pop("failures")]
        return Verdict(gates=gates, failures=failures, **data)
    except (KeyError, TypeError, AttributeError) as error:
        raise VerdictError(f"{path}: not a verdict of version {VERDICT_VERSION} ({error}); run `assay gate` again") from error


def _gate(row: dict[str, Any]) -> GateResult:
    for name in ("estimate", "measured"):
        row[name] = None if row[name] is None else Estimate(**row[name])
    return GateResult(**row)


def _failing(row: dict[str, Any]) -> FailingCard:
    return FailingCard(checks=[FailedCheck(**check) for check in row.pop("checks")], **row)
