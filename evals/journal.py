"""The append-only journal of a run: what was planned and every finished play, so that a killed run resumes without loss.

One JSON object a line: `{"kind": "plan", "digest", ...}` first, then `{"kind": "play", "card", "repeat", "transcript", "slots"}`. A play is
one write, so a kill leaves at most a torn last line, which the next opening drops.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from evals.errors import EvidenceError, UsageError
from evals.transcript import Transcript, transcript_from_json, transcript_to_json
from reports.records import Slot

FILE_NAME = "journal.jsonl"


@dataclass(frozen=True, kw_only=True)
class FinishedPlay:
    transcript: Transcript
    slots: Sequence[Slot]

    @property
    def key(self) -> tuple[str, int]:
        return self.transcript.card, self.transcript.repeat


class Journal:
    """Opened for one run folder; `finished` holds the plays of earlier sittings."""

    def __init__(self, path: Path, finished: dict[tuple[str, int], FinishedPlay]) -> None:
        self.path = path
        self.finished = finished
        self._file = path.open("ab", buffering=0)

    @classmethod
    def open(cls, folder: Path, *, digest: str) -> Journal:
        """Start a journal, or continue one whose plan has the same digest. Raises `UsageError` on another plan, `EvidenceError` on a full disk."""
        path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            finished = _continue(path, digest) if path.exists() and path.stat().st_size else {}
            journal = cls(path, finished)
            if not path.stat().st_size:
                journal.write({"kind": "plan", "digest": digest})
        except OSError as error:
            raise EvidenceError(
                f"{path}: cannot be written: {error.strerror}; free some space or choose another --out"
            ) from error
        return journal

    def add(self, play: FinishedPlay) -> None:
        """Append one play durably. Raises `EvidenceError` when the disk refuses."""
        row = {
            "kind": "play",
            "transcript": transcript_to_json(play.transcript),
            "slots": [asdict(slot) for slot in play.slots],
        }
        try:
            self.write(row)
        except OSError as error:
            raise EvidenceError(
                f"{self.path}: cannot be written: {error.strerror}; free some space, then continue with --resume"
            ) from error
        self.finished[play.key] = play

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.fsync(self._file.fileno())
        self._file.close()

    def write(self, row: dict[str, Any]) -> None:
        """Append one line. Raises `OSError`."""
        line = json.dumps(row, sort_keys=True).encode() + b"\n"
        if self._file.write(line) != len(line):
            raise OSError(28, "No space left on device")


def _continue(path: Path, digest: str) -> dict[tuple[str, int], FinishedPlay]:
    rows = _whole_lines(path)
    plan = next(rows, {})
    if plan.get("kind") != "plan":
        raise EvidenceError(f"{path}: does not begin with a plan; choose another --out")
    if plan["digest"] != digest:
        raise UsageError(
            f"{path}: was written for another plan (cards, repeats or target changed); start afresh with another --out"
        )
    finished: dict[tuple[str, int], FinishedPlay] = {}
    for row in rows:
        play = FinishedPlay(transcript=transcript_from_json(row["transcript"]), slots=[Slot(**slot) for slot in row["slots"]])
        finished[play.key] = play
    return finished


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of all complete lines; a torn last line is cut off the file."""
    whole = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                row = _parsed(line)
            except ValueError as error:
                raise EvidenceError(f"{path}: line {number} is damaged ({error}); the run cannot be resumed") from error
            whole += len(line)
            yield row
    if whole < path.stat().st_size:
        os.truncate(path, whole)


def _parsed(line: bytes) -> dict[str, Any]:
    """The faster parser knows no lone surrogates, which a model's output may hold."""
    try:
        return from_json(line)
    except ValueError:
        return json.loads(line)
