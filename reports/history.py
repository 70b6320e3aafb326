"""The accepted runs a candidate is compared with: an append-only file of promotions and revocations.

`<runs>/history/promotions.jsonl` holds one JSON object a line and everything a comparison needs, so run folders may be deleted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from reports.records import Estimate, Record, Tier

FOLDER = "history"
FILE = "promotions.jsonl"
DETERMINISTIC = "deterministic"
"""Key of `Record.tables` that is true when the target gives the same answer every time."""

Aspect = Literal["schema", "pack", "model", "policy", "cards", "routing", "load", "machine"]
"""What must be the same for two runs to be comparable. `pack` is its name: its content is what is being tested."""
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)

Fingerprint = Mapping[Aspect, str | None]
"""Each aspect in words; null where the run does not know it."""

Text = Annotated[str, Field(min_length=1)]


class HistoryError(Exception):
    """The history cannot be read or changed: one sentence with place, fault and remedy."""


class Promotion(BaseModel):
    """A run accepted as baseline. `cards` maps a card to its passed and judged repeats. `deterministic`: the target was one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Literal["promote"] = "promote"
    run_id: Text
    at: AwareDatetime
    who: Text
    why: Text
    created_at: str
    tier: Tier
    commit: str | None
    dirty: bool | None
    deterministic: bool
    fingerprint: dict[Aspect, str | None]
    cards: dict[str, tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(gt=0)]]]
    metrics: dict[str, Estimate]
    digests: dict[str, str]

    @model_validator(mode="after")
    def _passed_within_judged(self) -> Promotion:
        wrong = [card for card, (passed, judged) in self.cards.items() if passed > judged]
        if wrong:
            raise ValueError(f"cards: {wrong[0]} passed more repeats than were judged")
        return self


class Revocation(BaseModel):
    """Takes a promotion back; the line of the promotion stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Literal["revoke"] = "revoke"
    run_id: Text
    at: AwareDatetime
    who: Text
    why: Text


Event = Promotion | Revocation
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="action")])


@dataclass(frozen=True, kw_only=True)
class History:
    """Everything that was promoted and revoked, oldest first."""

    events: tuple[Event, ...] = ()

    @property
    def accepted(self) -> tuple[Promotion, ...]:
        """Promotions in force, oldest first."""
        active: dict[str, Promotion] = {}
        for event in self.events:
            active.pop(event.run_id, None)
            if isinstance(event, Promotion):
                active[event.run_id] = event
        return tuple(active.values())

    def before(self, record: Record) -> tuple[Promotion, ...]:
        """Promotions in force without the record itself: a run is never its own baseline."""
        return tuple(promotion for promotion in self.accepted if promotion.run_id != record.run_id)


def read_history(runs: Path) -> History:
    """Read the history under a folder of runs; no file is an empty history. Raises `HistoryError` at the first broken line."""
    path = runs / FOLDER / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return History()
    except (OSError, UnicodeDecodeError) as error:
        raise HistoryError(f"{path}: cannot be read ({error}); make it readable, or give another folder of runs") from error
    active: set[str] = set()
    events: list[Event] = []
    for number, line in enumerate(text.splitlines(), start=1):
        events.append(event := _event(path, number, line))
        if isinstance(event, Revocation) and event.run_id not in active:
            raise HistoryError(f"{path}:{number}: revokes {event.run_id}, which is not promoted above; restore the missing lines")
        (active.add if isinstance(event, Promotion) else active.discard)(event.run_id)
    return History(events=tuple(events))


def append_event(runs: Path, event: Event) -> Path:
    """Add a line, on disk before this returns. Raises `HistoryError`."""
    path = runs / FOLDER / FILE
    line = event.model_dump_json().encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, (b"\n" if _torn(handle) else b"") + line)
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise HistoryError(f"{path}: cannot be written ({error.strerror}); make the folder writable") from error
    return path


def fingerprint(record: Record) -> dict[Aspect, str | None]:
    """What a run measured, on what, and how. Empty counts as unknown."""
    origin = record.provenance
    return {
        "schema": str(record.schema_version),
        "pack": record.pack or None,
        "model": origin.model or None,
        "policy": origin.digests.get("policy") or None,
        "cards": origin.digests.get("cards") or None,
        "routing": origin.digests.get("routing") or None,
        "load": _words(origin.load),
        "machine": _words(origin.machine),
    }


def mismatches(candidate: Fingerprint, base: Fingerprint, aspects: Collection[Aspect]) -> list[str]:
    """Why two runs cannot be compared, a clause an aspect; empty when all `aspects` are known and equal. Unknown equals nothing."""
    found: list[str] = []
    for aspect in ASPECTS:
        here, there = candidate.get(aspect), base.get(aspect)
        if aspect not in aspects or (here is not None and here == there):
            continue
        if here is None or there is None:
            whose = "both runs" if here == there else "this run" if here is None else "the baseline"
            found.append(f"{aspect} is unknown in {whose}")
        else:
            found.append(f"{aspect} differs: {_told(aspect, here, there)}")
    return found


def needed_aspects(metric: str, *, machine_bound: bool, wanted: Iterable[Aspect]) -> frozenset[Aspect]:
    """The aspects among `wanted` that can change a metric. `machine_bound`: it is a time, a size or a rate per second."""
    needed: set[Aspect] = {"schema", "pack", "model", "policy"}
    needed |= {"routing"} if metric.startswith("routing.") else {"cards"}
    if metric.startswith(("load.", "target.")):
        needed |= {"load", "machine"}
    if machine_bound:
        needed.add("machine")
    return frozenset(needed & set(wanted))


def _event(path: Path, number: int, line: str) -> Event:
    try:
        return _EVENT.validate_json(line)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"][1:])
        raise HistoryError(
            f"{path}:{number}: {f'{where}: ' if where else ''}{fault['msg']}; restore the line from a copy, or remove it"
        ) from error


def _torn(handle: int) -> bool:
    size = os.lseek(handle, 0, os.SEEK_END)
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"


def _words(table: Mapping[str, str]) -> str | None:
    return json.dumps(dict(table), sort_keys=True, ensure_ascii=False) if table else None


def _told(aspect: Aspect, here: str, there: str) -> str:
    """Both values; of tables only the keys that differ."""
    if aspect not in ("load", "machine"):
        return f"{_short(here)} here, {_short(there)} in the baseline"
    one, other = json.loads(here), json.loads(there)
    keys = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
    return "; ".join(f"{key} {one.get(key, 'unset')} here, {other.get(key, 'unset')} in the baseline" for key in keys)


def _short(text: str) -> str:
    return f"{text[:15]}…" if text.startswith("sha256:") and len(text) > 16 else text
