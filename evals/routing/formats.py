"""Labelled texts in three formats: JSON lines, CSV with a heading, and JSON with lists of `[text, intent]` as CLINC150 has it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from evals.catalog import nearest
from evals.errors import UsageError

Part = Literal["train", "test", "oos"]
JSON_LISTS: Mapping[Part, str] = {"train": "train", "test": "test", "oos": "oos_test"}
FIELDS = ("text", "intent", "agent", "family", "id")
SYNONYMS = {"category": "intent", "label": "intent"}
SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Row:
    """`place` says where the row stands in its file, `number` counts rows from 0. Empty `intent` and `agent`: not labelled."""

    text: str
    place: str
    number: int
    intent: str = ""
    agent: str = ""
    family: str = ""


def read_rows(source: str, part: Part) -> list[Row]:
    """The rows of a file. Of a JSON file with lists the one of `part`, or the one named in `FILE#LIST`.

    Raises `UsageError` with one line per fault.
    """
    path, chosen = split_source(source)
    text = read_text(path)
    if path.suffix == ".csv":
        parsed = list(_csv_rows(path, text))
    elif path.suffix == ".json":
        parsed = list(_list_rows(path, text, chosen or JSON_LISTS[part]))
    else:
        parsed = list(_json_lines(path, text))
    faults = [item for item in parsed if isinstance(item, str)]
    rows = [item for item in parsed if isinstance(item, Row)]
    if not faults and not rows:
        faults = [f"{path}: holds no row; give at least one labelled text"]
    raise_faults(faults)
    return rows


def split_source(source: str) -> tuple[Path, str]:
    """`FILE#LIST` as the file and the list's name, which is empty when none is named."""
    if "#" in source and not Path(source).exists():
        file, _, chosen = source.rpartition("#")
        return Path(file), chosen
    return Path(source), ""


def read_text(path: Path) -> str:
    """Raises `UsageError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); name a file of labelled texts, see docs/routing.md"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start}: not UTF-8; save the file as UTF-8") from error


def raise_faults(faults: Sequence[str]) -> None:
    """Raises `UsageError` when there is a fault; of very many the first."""
    if faults:
        more = [f"and {len(faults) - SHOWN} more faults"] if len(faults) > SHOWN else []
        raise UsageError("\n".join([*faults[:SHOWN], *more]))


def _json_lines(path: Path, text: str) -> Iterator[Row | str]:
    # Not `splitlines`: a text may hold characters that count as ends of lines there and not in JSON lines.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}: line {number}"
        try:
            data: object = json.loads(line)
        except ValueError as error:
            yield f"{place}: not JSON ({error})"
            continue
        if isinstance(data, dict):
            yield from _row(cast("dict[str, object]", data), place, number - 1)
        else:
            yield f"{place}: not a JSON object with `text` and `intent`"


def _csv_rows(path: Path, text: str) -> Iterator[Row | str]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    heading = [name.strip().lower() for name in next(reader, [])]
    if "text" not in heading or not {"category", "intent", "label"} & {*heading}:
        yield f"{path}: line 1: the heading is {','.join(heading)!r}; give the columns text,category"
        return
    unknown = [name for name in heading if name not in (*FIELDS, *SYNONYMS)]
    if unknown:
        yield from (f"{path}: line 1: unknown column {name!r}{nearest(name, [*FIELDS, 'category'])}" for name in unknown)
        return
    try:
        for number, cells in enumerate(reader):
            place = f"{path}: line {reader.line_num}"
            if cells and len(cells) != len(heading):
                yield f"{place}: {len(cells)} cells, the heading has {len(heading)}; put a text with commas in quotes"
            elif cells:
                yield from _row(dict(zip(heading, cells, strict=True)), place, number)
    except csv.Error as error:
        yield f"{path}: line {reader.line_num}: not CSV ({error})"


def _list_rows(path: Path, text: str, name: str) -> Iterator[Row | str]:
    try:
        data: Any = json.loads(text)
    except ValueError as error:
        yield f"{path}: not JSON ({error})"
        return
    lists: Mapping[str, Any] = {"": data} if isinstance(data, list) else data if isinstance(data, dict) else {}
    found = lists.get("", lists.get(name))
    if not isinstance(found, list):
        yield f"{path}: no list {name!r}{nearest(name, [*lists]) if lists else ''}; name one with {path}#LIST"
        return
    for number, entry in enumerate(cast("list[object]", found)):
        place = f"{path}: {name}[{number}]"
        if isinstance(entry, list) and len(pair := cast("list[object]", entry)) == 2:
            yield from _row({"text": pair[0], "intent": pair[1]}, place, number)
        elif isinstance(entry, dict):
            yield from _row(cast("dict[str, object]", entry), place, number)
        else:
            yield f"{place}: not a pair of text and intent"


def _row(data: Mapping[str, object], place: str, number: int) -> Iterator[Row | str]:
    named = {SYNONYMS.get(name, name): value for name, value in data.items()}
    faults = [f"{place}: unknown field {name!r}{nearest(name, FIELDS)}" for name in named if name not in FIELDS]
    faults += [
        f"{place}: `{name}` is {value!r}; write a text"
        for name, value in named.items()
        if name in FIELDS and not isinstance(value, str) and not (name != "text" and value is None)
    ]
    if "text" not in named:
        faults.append(f"{place}: `text` is missing")
    if faults:
        yield from faults
        return
    told = {name: str(value or "").strip() for name, value in named.items() if name != "id"}
    # The text itself stays as it is: blanks and control characters are part of what a router must bear.
    yield Row(**{**told, "text": str(named["text"])}, place=place, number=number)
