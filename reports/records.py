"""What a run leaves behind: slots, estimates, provenance and the frozen record.

Plain data without behaviour beyond reading and writing. A run folder holds `record.json`, `slots.jsonl` (one `Slot` a line) and
`transcripts.jsonl` (one JSON object per played card and repeat, shape in `docs/design.md`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic_core import from_json

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)
"""Version 1 has neither seal nor digest of the slots: nothing tells whether it was edited."""

SlotState = Literal["pass", "fail", "agent_error", "timeout", "infra_error", "judge_error", "simulator_error", "not_run"]
SLOT_STATES: tuple[SlotState, ...] = get_args(SlotState)
FAILED_STATES: frozenset[SlotState] = frozenset({"fail", "agent_error", "timeout"})
UNJUDGED_STATES: frozenset[SlotState] = frozenset({"infra_error", "judge_error", "simulator_error", "not_run"})

Suite = Literal["cards", "routing", "load"]
Stage = Literal["routing", "retrieval", "tool", "model", "judge", "network"]
Tier = Literal["pr", "nightly", "release"]
Unit = Literal["share", "seconds", "bytes", "per_second", "count", "yes_no"]
"""What a metric counts in."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its evidence.

    `low` and `high` are one-sided bounds, each at `confidence`; null means unbounded on that side (not enough samples).
    `k` of `n` where the number is a rate or a percentile (then `k` counts samples above the value); `planned` is how many
    were planned, so `n < planned` shows what is missing. `value` null: not measured, never 0.
    """

    value: float | None
    low: float | None
    high: float | None
    k: int | None
    n: int
    planned: int
    confidence: float
    method: str


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One planned judgement: card x repeat x evaluator, in exactly one state.

    `card` is the unit's id in its suite (card id, utterance id, load sample id). `stage` names what to blame for a slot that did
    not pass. `labels` hold strings to group by: `agent area severity family intent`. `expected` and `got` are what the check
    compared, in words, where it compared two things.
    """

    slot_id: str
    suite: Suite
    card: str
    repeat: int
    evaluator: str
    state: SlotState
    advisory: bool = False
    reason: str = ""
    stage: Stage | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    expected: str | None = None
    got: str | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a run came from. Unknown is null, never equal to anything."""

    commit: str | None
    dirty: bool | None
    versions: Mapping[str, str]
    seeds: Mapping[str, int]
    digests: Mapping[str, str]
    machine: Mapping[str, str]
    model: str
    load: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished run. `metrics` maps stable dotted names to estimates; a planned metric that could not be measured is null.

    `not_measurable` maps a check to the reason this target cannot show it. `broken` lists why the evidence of the whole run is
    unusable (empty: it is usable). A key of `not_measurable` may be a check, a metric name, or the start of metric names
    (`load` stands for every `load.…`). `slot_counts` maps suite to state to number of slots.

    `slots_digest` is `sha256:…` of `slots.jsonl`; null where nobody knows it.

    `tables` holds what a report draws beside metrics, each optional:
    `confusion` `{"labels": [agent], "counts": [[int]]}`, rows the right agent, columns the agent chosen;
    `mistakes` `[{"text", "expected", "got", "confidence"}]`, routing cases that went wrong;
    `reliability` `[{"low", "high", "confidence", "accuracy", "n"}]`, one bin of confidence a row;
    `load_series` `[{"t_s", "due", "answered", "correct", "errors", "in_flight", "response_p50_s", "response_p95_s"}]`, one second a
    row, null or absent where unknown;
    `latency` `{name: {"rows": [[lower_s, upper_s, count]], "infinite", "count"}}`, histograms, failed turns as infinite;
    `load` whatever else the load test knows, of which `errors` `{error class: turns}` and `turns` `{"planned", "played",
    "answered"}` are drawn;
    `stages` `{stage: mean seconds of a turn}`;
    `cards` `[{"card", "title", "area", "severity", "agent", "requires", "known_issue"}]`.
    """

    run_id: str
    created_at: str
    tier: Tier
    pack: str
    target: str
    provenance: Provenance
    slot_counts: Mapping[str, Mapping[str, int]]
    metrics: Mapping[str, Estimate | None]
    not_measurable: Mapping[str, str]
    broken: list[str]
    durations_s: Mapping[str, float]
    tables: Mapping[str, Any]
    slots_digest: str | None = None
    schema_version: int = SCHEMA_VERSION


class RecordError(Exception):
    """A record cannot be read: the message names file, field and fault."""


class BrokenRecord(RecordError):
    """The evidence is there and cannot be trusted: torn, edited, or impossible."""


def write_record(folder: Path, record: Record) -> Path:
    """Write `record.json` with its seal, replacing it whole: a reader sees the old file or the new one."""
    path = folder / "record.json"
    draft = path.with_suffix(".json.part")
    plain = asdict(replace(record, schema_version=SCHEMA_VERSION))
    text = json.dumps({**plain, "seal": _seal(plain)}, indent=1, sort_keys=True, allow_nan=False)
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def read_record(path: Path) -> Record:
    """Read `record.json` of this version or an older one. Raises `RecordError`, and `BrokenRecord` for one that cannot be trusted."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); give the path of a record.json") from error
    except json.JSONDecodeError as error:
        raise BrokenRecord(
            f"{path}: line {error.lineno}: not JSON ({error.msg}); it is torn or edited: play the run again"
        ) from error
    except ValueError as error:
        raise BrokenRecord(f"{path}: {error}; nothing measured is not a number: play the run again") from error
    if not isinstance(data, dict):
        raise RecordError(f"{path}: not a record: a JSON object is expected")
    version = data.get("schema_version")
    if version not in READABLE_VERSIONS:
        raise RecordError(f"{path}: schema_version is {version!r}, this build reads {', '.join(map(str, READABLE_VERSIONS))}")
    seal = data.pop("seal", None)
    if version != 1 and seal != _seal(data):
        raise BrokenRecord(f"{path}: was changed after it was written (its seal does not fit); use the file as the run wrote it")
    try:
        metrics = {name: None if row is None else Estimate(**row) for name, row in data.pop("metrics").items()}
        provenance = Provenance(**data.pop("provenance"))
        record = Record(metrics=metrics, provenance=provenance, **data)
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path}: not a record of version {version} ({error})") from error
    if faults := _impossible(record):
        raise BrokenRecord("\n".join(f"{path}: {fault}" for fault in faults))
    return record


def write_slots(path: Path, slots: Iterable[Slot]) -> str:
    """Write `slots.jsonl`; its digest, `sha256:…`."""
    total = hashlib.sha256()
    with path.open("wb") as file:
        for slot in slots:
            line = (json.dumps(asdict(slot), sort_keys=True) + "\n").encode()
            total.update(line)
            file.write(line)
    return f"sha256:{total.hexdigest()}"


def read_slots(path: Path, digest: str | None = None) -> Iterator[Slot]:
    """Stream `slots.jsonl`. Raises `RecordError` at the first broken line, and after the last one when the file has not this `digest`."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            total.update(line)
            try:
                slot = Slot(**_parsed(line))
            except (ValueError, TypeError) as error:
                raise BrokenRecord(f"{path}: line {number}: not a slot ({error})") from error
            if slot.state not in SLOT_STATES:
                raise BrokenRecord(
                    f"{path}: line {number}: field `state`: unknown {slot.state!r}; states: {', '.join(SLOT_STATES)}"
                )
            yield slot
    if digest is not None and digest != f"sha256:{total.hexdigest()}":
        raise BrokenRecord(
            f"{path}: was changed after the record was written (its digest does not fit); use the file as the run wrote it"
        )


def _parsed(line: bytes) -> dict[str, Any]:
    """The faster parser knows no lone surrogates, which a model's output may hold."""
    try:
        return from_json(line)
    except ValueError:
        return json.loads(line)


def _seal(plain: Mapping[str, Any]) -> str:
    """Digest of a record's content in one spelling. It tells a slip from the truth, not a forger from its owner."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _no_number(word: str) -> None:
    raise ValueError(f"holds {word}")


def _impossible(record: Record) -> list[str]:
    """Counts that no run can have."""
    faults = [
        f"field `slot_counts.{suite}.{state}`: {number!r} slots; a count is a whole number from 0"
        for suite, row in record.slot_counts.items()
        for state, number in row.items()
        if number < 0
    ]
    for name, estimate in record.metrics.items():
        if estimate is None:
            continue
        if estimate.n < 0 or estimate.planned < 0:
            faults.append(
                f"field `metrics.{name}`: {estimate.n} samples of {estimate.planned} planned; a count is a whole number from 0"
            )
        elif estimate.k is not None and not 0 <= estimate.k <= estimate.n:
            faults.append(f"field `metrics.{name}`: {estimate.k} of {estimate.n}; the first must be within 0 and the second")
    return faults
