"""What a run leaves behind: slots, estimates, provenance and the frozen record.

Plain data without behaviour beyond reading and writing. A run folder holds `record.json`, `slots.jsonl` (one `Slot` a line) and
`transcripts.jsonl` (one JSON object per played card and repeat, shape in `docs/design.md`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

SCHEMA_VERSION = 1

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
    schema_version: int = SCHEMA_VERSION


class RecordError(Exception):
    """A record cannot be read: the message names file, field and fault."""


def write_record(folder: Path, record: Record) -> Path:
    """Write `record.json`, replacing it whole: a reader sees the old file or the new one."""
    path = folder / "record.json"
    draft = path.with_suffix(".json.part")
    draft.write_text(json.dumps(asdict(record), indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def read_record(path: Path) -> Record:
    """Read `record.json`. Raises `RecordError`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); give the path of a record.json") from error
    except json.JSONDecodeError as error:
        raise RecordError(f"{path}: line {error.lineno}: not JSON ({error.msg})") from error
    if not isinstance(data, dict):
        raise RecordError(f"{path}: not a record: a JSON object is expected")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise RecordError(f"{path}: schema_version is {version!r}, this build reads {SCHEMA_VERSION}")
    try:
        metrics = {name: None if row is None else Estimate(**row) for name, row in data.pop("metrics").items()}
        provenance = Provenance(**data.pop("provenance"))
        return Record(metrics=metrics, provenance=provenance, **data)
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path}: not a record of version {SCHEMA_VERSION} ({error})") from error


def write_slots(path: Path, slots: Iterable[Slot]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for slot in slots:
            file.write(json.dumps(asdict(slot), sort_keys=True) + "\n")


def read_slots(path: Path) -> Iterator[Slot]:
    """Stream `slots.jsonl`. Raises `RecordError` at the first broken line."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield Slot(**json.loads(line))
            except (json.JSONDecodeError, TypeError) as error:
                raise RecordError(f"{path}: line {number}: not a slot ({error})") from error
