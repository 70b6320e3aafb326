"""Sample: one loaded turn as it was lived by the client, and its JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from loadtests.schedule import Phase

OK = "ok"
ERROR_CLASSES = (
    "connect",
    "http_429",
    "http_4xx",
    "http_5xx",
    "timeout",
    "stream_broken",
    "bad_payload",
    "no_output",
    "agent_error",
    "no_sandbox",
    "censored",
)
"""`no_output`: ended well and said nothing. `agent_error`: the answer's outcome is `error`. `no_sandbox`: the server could not make
the conversation's sandbox. `censored`: still open when the drain ended."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One turn. Times are seconds from the run's start on one monotonic clock; null means that it never happened. `t_done` is the end
    of the turn, well or not: only a censored one has none.

    `turn` counts from 1 inside its conversation; `outcome` is `ok` or one of `ERROR_CLASSES`; `status` the HTTP status; `events` the wire events of the turn as they came.
    """

    sample: str
    session: int
    conversation: str
    turn: int
    phase: Phase
    t_plan: float
    t_send: float | None
    t_first: float | None
    t_last: float | None
    t_done: float | None
    outcome: str
    status: int | None
    agent: str | None
    output_tokens: int | None
    text: str
    events: list[dict[str, Any]]
    sandbox: str | None

    @property
    def ok(self) -> bool:
        return self.outcome == OK


class SampleError(Exception):
    """A samples file cannot be read: the message names file, line and fault."""


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
FIELDS = tuple(field.name for field in fields(Sample))


def sample_line(sample: Sample) -> str:
    """One line of JSON with its line end."""
    return _ENCODER.encode(vars(sample)) + "\n"


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for sample in samples:
            file.write(sample_line(sample))


def read_samples(path: Path) -> Iterator[Sample]:
    """Stream one file, or every `*.jsonl` of a folder in name order. Raises `SampleError`.

    A last line without line end is what a killed writer leaves; it is no sample and no error.
    """
    for file_path in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
        try:
            with file_path.open(encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    if line.endswith("\n"):
                        yield _parse(line, f"{file_path}: line {number}")
        except OSError as error:
            raise SampleError(f"{file_path}: cannot be read ({error.strerror}); give a samples file or folder") from error


def _parse(line: str, place: str) -> Sample:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise SampleError(f"{place}: not JSON ({error.msg})") from error
    if not isinstance(data, dict):
        raise SampleError(f"{place}: not a sample; a JSON object is expected")
    missing = [name for name in FIELDS if name not in data]
    unknown = sorted(set(data) - set(FIELDS))
    if missing or unknown:
        raise SampleError(f"{place}: not a sample; missing {missing}, unknown {unknown}")
    if data["outcome"] != OK and data["outcome"] not in ERROR_CLASSES:
        raise SampleError(f"{place}: outcome {data['outcome']!r} is none of {[OK, *ERROR_CLASSES]}")
    if data["phase"] not in get_args(Phase):
        raise SampleError(f"{place}: phase {data['phase']!r} is none of {list(get_args(Phase))}")
    return Sample(**data)
