"""What a run folder left of its plays: transcripts and judged slots, whole runs and interrupted ones alike.

A finished run has `transcripts.jsonl` and `slots.jsonl`; one that was interrupted, or played by `assay eval --out`, has only its journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.errors import EvidenceError, UsageError
from evals.journal import FILE_NAME
from evals.transcript import Transcript, transcript_from_json
from reports.records import Slot


def read_transcripts(folder: Path) -> Iterator[Transcript]:
    """Stream the transcripts of a run folder, of cards and of routing conversations. Raises `UsageError` or `EvidenceError`."""
    whole = folder / "transcripts.jsonl"
    path = whole if whole.is_file() else folder / FILE_NAME
    for number, row in _rows(path, folder):
        data = row if path == whole else row.get("transcript")
        if path != whole and row.get("kind") != "play":
            continue
        try:
            yield transcript_from_json(data or {})
        except (KeyError, TypeError, AttributeError) as error:
            raise EvidenceError(f"{path}: line {number}: not a transcript ({error})") from error


def read_card_slots(folder: Path) -> Iterator[Slot]:
    """Stream the slots of the cards of a run folder. Raises `UsageError` or `EvidenceError`."""
    whole = folder / "slots.jsonl"
    path = whole if whole.is_file() else folder / FILE_NAME
    for number, row in _rows(path, folder):
        try:
            for data in [row] if path == whole else row.get("slots", []):
                slot = Slot(**data)
                if slot.suite == "cards":
                    yield slot
        except (TypeError, AttributeError) as error:
            raise EvidenceError(f"{path}: line {number}: not a slot ({error})") from error


def _rows(path: Path, folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered rows; a last line without its end is a torn write and is left out."""
    if not path.is_file():
        raise UsageError(f"{folder}: holds neither finished plays nor a journal; give a run folder")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
            except ValueError as error:
                raise EvidenceError(f"{path}: line {number}: not JSON ({error}); the run cannot be read") from error
            if not isinstance(row, dict):
                raise EvidenceError(f"{path}: line {number}: a JSON object is expected")
            yield number, row
