"""Traces: recorded arrivals with the lengths of what was said, read from the public formats and from own recordings.

`azure`: CSV with `TIMESTAMP` (date and time), `ContextTokens`, `GeneratedTokens`. `burstgpt`: CSV with `Timestamp` (seconds), `Request
tokens`, `Response tokens`. `mooncake`: JSON lines with `timestamp` (milliseconds), `input_length`, `output_length`. `samples`: a samples file of
an earlier run, of which the first turn of each conversation is an arrival.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.traffic import RATE_PER_WORKER, Columns, Trace, TrafficError

MOST_FAULTS = 5
"""Faults named before the rest is only counted."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """`t_s` seconds after the trace's first row. Lengths are null where the trace does not tell them."""

    t_s: float
    input_tokens: int | None = None
    output_tokens: int | None = None


def read_trace(trace: Trace, *, workers: int = 1) -> list[Arrival]:
    """The arrivals of a trace at its `speed`. Pauses of any length are fine.

    Raises `TrafficError` with the line numbers when times go backwards, are negative or no numbers, when nothing arrives, and when
    more arrive within a second than the generators can send on time.
    """
    path = Path(trace.file)
    rows, faults = _rows(path, trace.columns)
    arrivals: list[tuple[int, Arrival]] = []
    last_s = -math.inf
    for line, found in rows:
        if found.t_s < 0:
            faults.append((line, f"the time {found.t_s:g} s is negative; times count up from 0"))
        elif found.t_s < last_s:
            faults.append(
                (line, f"the time {found.t_s:g} s is before that of the row above ({last_s:g} s); sort the trace by time")
            )
        else:
            arrivals.append((line, found))
            last_s = found.t_s
    if not faults and not arrivals:
        raise TrafficError(f"{path}: nothing arrives in this trace, its rate is 0; give one with at least one row")
    if not faults:
        first_s = arrivals[0][1].t_s if trace.columns == "azure" else 0.0
        timed = [
            (
                line,
                Arrival(t_s=(item.t_s - first_s) / trace.speed, input_tokens=item.input_tokens, output_tokens=item.output_tokens),
            )
            for line, item in arrivals
        ]
        faults = _too_fast(timed, most=RATE_PER_WORKER * workers)
        arrivals = timed
    if faults:
        told = "; ".join(f"line {line}: {fault}" for line, fault in sorted(faults)[:MOST_FAULTS])
        more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise TrafficError(f"{path}: {told}{more}")
    return [item for _, item in arrivals]


def _too_fast(arrivals: list[tuple[int, Arrival]], *, most: float) -> list[tuple[int, str]]:
    """The first line at which more than `most` arrivals lie within one second."""
    recent: deque[float] = deque()
    for line, arrival in arrivals:
        recent.append(arrival.t_s)
        while recent[0] <= arrival.t_s - 1.0:
            recent.popleft()
        if len(recent) > most:
            fault = f"{len(recent)} arrivals within a second are beyond what the generators can send on time ({most:g}); "
            return [(line, fault + "lower speed or raise workers")]
    return []


Rows = tuple[list[tuple[int, Arrival]], list[tuple[int, str]]]


def _rows(path: Path, columns: Columns) -> Rows:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TrafficError(f"{path}: the trace cannot be read ({error}); give the path of a trace") from error
    raw = _csv_rows(path, text, columns) if columns in {"azure", "burstgpt"} else _json_rows(text)
    parse = _PARSERS[columns]
    rows: list[tuple[int, Arrival]] = []
    faults: list[tuple[int, str]] = []
    for line, row in raw:
        if isinstance(row, str):
            faults.append((line, row))
            continue
        try:
            found = parse(row)
        except (KeyError, TypeError, ValueError) as error:
            fault = f"column {error} is missing" if isinstance(error, KeyError) else str(error)
            faults.append((line, fault))
            continue
        if found is not None:
            rows.append((line, found))
    return rows, faults


def _csv_rows(path: Path, text: str, columns: Columns) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in _NEEDED[columns] if name not in (reader.fieldnames or [])]
    if missing:
        raise TrafficError(f"{path}: line 1: no column {', '.join(missing)}; {columns} traces have {', '.join(_NEEDED[columns])}")
    for row in reader:
        yield reader.line_num, row


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for line, row in enumerate(text.splitlines(), start=1):
        if not row.strip():
            continue
        try:
            data = json.loads(row)
        except ValueError:
            yield line, "not JSON"
            continue
        yield line, data if isinstance(data, dict) else "not a JSON object"


_NEEDED: Mapping[Columns, tuple[str, ...]] = {
    "azure": ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    "burstgpt": ("Timestamp", "Request tokens", "Response tokens"),
}


def _azure(row: Mapping[str, Any]) -> Arrival:
    # The public files carry seven digits of a second, one more than a datetime has.
    text, _, digits = str(row["TIMESTAMP"]).partition(".")
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    t_s = moment.timestamp() + float(f"0.{digits or 0}")
    return Arrival(t_s=t_s, input_tokens=_whole(row["ContextTokens"]), output_tokens=_whole(row["GeneratedTokens"]))


def _burstgpt(row: Mapping[str, Any]) -> Arrival:
    lengths = {"input_tokens": _whole(row["Request tokens"]), "output_tokens": _whole(row["Response tokens"])}
    return Arrival(t_s=_seconds(row["Timestamp"]), **lengths)


def _mooncake(row: Mapping[str, Any]) -> Arrival:
    lengths = {"input_tokens": _whole(row["input_length"]), "output_tokens": _whole(row["output_length"])}
    return Arrival(t_s=_seconds(row["timestamp"]) / 1000, **lengths)


def _samples(row: Mapping[str, Any]) -> Arrival | None:
    return Arrival(t_s=_seconds(row["t_plan"])) if row["turn"] == 1 else None


_PARSERS: Mapping[Columns, Callable[[Mapping[str, Any]], Arrival | None]] = {
    "azure": _azure,
    "burstgpt": _burstgpt,
    "mooncake": _mooncake,
    "samples": _samples,
}


def _seconds(value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError(f"the time {value!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"the time {value!r} is not a number")
    return number


def _whole(value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        raise ValueError(f"the length {value!r} is not a whole number") from None
    if number < 0:
        raise ValueError(f"the length {number} is negative")
    return number
