"""Files of labelled answers and of recorded verdicts: JSON lines, every fault of a file reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evals.errors import UsageError
from evals.judging.calibration import Judgement, Labelled

_MOST_FAULTS = 20


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(_Row):
    """One answer a person has labelled. `note` says why, for the next person."""

    id: Annotated[str, Field(min_length=1)]
    input: str
    output: str
    label: Literal["pass", "fail"]
    note: str = ""


class Pair(_Row):
    """Two answers to one input, and which of them a person prefers."""

    id: Annotated[str, Field(min_length=1)]
    input: str
    output_1: str
    output_2: str
    label: Literal[1, 2]
    note: str = ""


class SaidOfAnswer(_Row):
    """A recorded verdict. Anything but `pass` and `fail` is kept as an error of the judge."""

    id: str
    verdict: str | None
    repeat: Annotated[int, Field(ge=0)] = 0


class SaidOfPair(_Row):
    """A recorded choice, already in the order of the labels; `swap`: the judge saw output 2 first. Null: it named neither."""

    id: str
    winner: Literal[1, 2] | None
    swap: bool
    repeat: Annotated[int, Field(ge=0)] = 0


Item = Answer | Pair
_Read = TypeVar("_Read", bound=_Row)


def read_labels(path: Path) -> list[Answer] | list[Pair]:
    """Labelled answers, or labelled pairs where the first line has an `output_1`. Raises `UsageError`."""
    lines = _lines(path)
    rows = _rows(path, lines, Pair) if lines and '"output_1"' in lines[0][1] else _rows(path, lines, Answer)
    twice = sorted({row.id for row in rows if sum(other.id == row.id for other in rows) > 1})
    if twice:
        raise UsageError(f"{path}: field `id`: {twice[0]!r} occurs twice; ids are unique in a file")
    if len({row.label for row in rows}) < 2:
        raise UsageError(f"{path}: field `label`: every item has the same label; a judge is measured on good and bad answers")
    return rows


def read_verdicts(path: Path, items: Sequence[Item]) -> list[Judgement]:
    """Recorded verdicts on `items`. Raises `UsageError`, also for a verdict on an item that has no label and for one given twice."""
    known = {item.id for item in items}
    paired = any(isinstance(item, Pair) for item in items)
    rows = _rows(path, _lines(path), SaidOfPair) if paired else _rows(path, _lines(path), SaidOfAnswer)
    found = [_judgement(row) for row in rows]
    if stray := sorted({one.item for one in found} - known):
        raise UsageError(
            f"{path}: field `id`: {stray[0]!r} has no label ({len(stray)} such); give the labels these verdicts belong to"
        )
    seen: set[tuple[str, int, bool]] = set()
    for one in found:
        key = (one.item, one.repeat, one.swap)
        if key in seen:
            raise UsageError(f"{path}: field `repeat`: {one.item!r} has two verdicts for repeat {one.repeat}; number them")
        seen.add(key)
    return found


def labelled(items: Sequence[Item]) -> list[Labelled]:
    return [Labelled(item=item.id, label=str(item.label)) for item in items]


def _judgement(row: SaidOfAnswer | SaidOfPair) -> Judgement:
    if isinstance(row, SaidOfPair):
        return Judgement(item=row.id, said=None if row.winner is None else str(row.winner), swap=row.swap, repeat=row.repeat)
    return Judgement(item=row.id, said=row.verdict, repeat=row.repeat)


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text") from error
    found = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not found:
        raise UsageError(f"{path}: holds no line; one JSON object a line is expected")
    return found


def _rows(path: Path, lines: Sequence[tuple[int, str]], model: type[_Read]) -> list[_Read]:
    rows: list[_Read] = []
    faults: list[str] = []
    for number, line in lines:
        try:
            rows.append(model.model_validate_json(line))
        except ValidationError as error:
            for item in error.errors(include_url=False, include_input=False):
                where = ".".join(map(str, item["loc"])) or "line"
                faults.append(f"{path}: line {number}: field `{where}`: {item['msg']}")
    if faults:
        more = f"\n{path}: and {len(faults) - _MOST_FAULTS} more faults" if len(faults) > _MOST_FAULTS else ""
        raise UsageError("\n".join(faults[:_MOST_FAULTS]) + more)
    return rows
