"""Runs as tables for other programs: pandas frames, streamed to CSV or Parquet. Imports pandas and pyarrow only when asked."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

from reports.gates.counting import count_slots
from reports.gates.metrics import describe_metric
from reports.gates.verdict import read_verdict
from reports.records import BrokenRecord, Estimate, Record, Slot, read_record, read_slots

if TYPE_CHECKING:
    import pandas as pd

TableName = Literal["metrics", "slots", "gates", "cards"]
TABLES: tuple[TableName, ...] = get_args(TableName)
Form = Literal["csv", "parquet"]
FORMS: tuple[Form, ...] = get_args(Form)
ROWS = 20_000
"""Rows held at once."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet run a cell (OWASP, CSV Injection)."""

Row = tuple[Any, ...]
Kind = Literal["string", "Float64", "Int64", "boolean"]


class ExportError(Exception):
    """A library that the export needs is not installed: one sentence with the remedy."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns in order with their pandas type, and what gives the rows of one run folder."""

    columns: Mapping[str, Kind]
    rows: Callable[[Path], Iterator[Row]]


def frames(folders: Iterable[Path], name: TableName, *, rows: int = ROWS) -> Iterator[pd.DataFrame]:
    """The table `name` of run folders in pieces of at most `rows` rows; one empty frame where there are none.

    Columns and types are the same in every piece; what is not measured is null. Raises `ExportError`, and `RecordError` or
    `VerdictError` at the first run that cannot be read.
    """
    pandas = _library("pandas")
    table = _TABLES[name]
    stream = chain.from_iterable(table.rows(folder) for folder in folders)
    piece = list(islice(stream, rows))
    while True:
        yield pandas.DataFrame(piece, columns=list(table.columns), dtype=object).astype(dict(table.columns))
        if not (piece := list(islice(stream, rows))):
            return


def write_csv(pieces: Iterable[pd.DataFrame], file: IO[str]) -> int:
    """Write UTF-8 text with one header line; the number of rows.

    Text that a spreadsheet would run as a formula gets a quote mark before it: what a model said is data. Null and empty text
    are both an empty cell.
    """
    total = 0
    for number, piece in enumerate(pieces):
        texts = [column for column, kind in piece.dtypes.items() if kind == "string"]
        safe = piece.assign(**{str(column): piece[column].map(inert, na_action="ignore") for column in texts})
        safe.to_csv(file, header=number == 0, index=False, lineterminator="\n")
        total += len(piece)
    return total


def write_parquet(pieces: Iterable[pd.DataFrame], path: Path) -> int:
    """Write one row group a piece, text as it is; the number of rows. Raises `ExportError` without pyarrow."""
    arrow, parquet = _library("pyarrow"), _library("pyarrow.parquet")
    total, writer = 0, None
    try:
        for piece in pieces:
            group = arrow.Table.from_pandas(piece, schema=_schema(arrow, piece), preserve_index=False)
            writer = writer or parquet.ParquetWriter(path, group.schema)
            writer.write_table(group)
            total += len(piece)
    finally:
        if writer is not None:
            writer.close()
    return total


def inert(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _schema(arrow: Any, piece: pd.DataFrame) -> Any:
    """Types by column, so that a column that is null throughout a piece keeps its type."""
    types = {"Float64": arrow.float64(), "Int64": arrow.int64(), "boolean": arrow.bool_()}
    return arrow.schema([(str(column), types.get(str(kind), arrow.string())) for column, kind in piece.dtypes.items()])


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        first = name.partition(".")[0]
        raise ExportError(f"{first} is not installed, and this export needs it; `pip install 'assay[export]'`") from error


def _metric_rows(folder: Path) -> Iterator[Row]:
    record = read_record(folder / "record.json")
    for name, estimate in sorted(record.metrics.items()):
        yield (*_origin(record), name, describe_metric(name).unit, *_numbers(estimate))


def _gate_rows(folder: Path) -> Iterator[Row]:
    record, verdict = read_record(folder / "record.json"), read_verdict(folder / "verdict.json")
    for gate in verdict.gates:
        value = gate.measured.value if gate.measured else None
        said = (gate.id, gate.metric, gate.area, gate.state, gate.critical, _plain(gate.sentence), gate.limit, gate.threshold)
        yield (*_origin(record), verdict.verdict, *said, value, *_numbers(gate.estimate), _plain(json.dumps(gate.cards)))


def _slot_rows(folder: Path) -> Iterator[Row]:
    record = read_record(folder / "record.json")
    for slot in _slots(folder, record):
        texts = (slot.slot_id, slot.suite, slot.card, slot.repeat, slot.evaluator, slot.state, slot.advisory)
        said = (_plain(text) for text in (slot.reason, slot.expected, slot.got))
        yield (record.run_id, *(_plain(x) if isinstance(x, str) else x for x in texts), slot.stage, *said, _words(slot.labels))


def _card_rows(folder: Path) -> Iterator[Row]:
    record = read_record(folder / "record.json")
    for card in count_slots(_slots(folder, record)).cards:
        labels = (card.labels.get(name) for name in ("area", "agent", "severity"))
        counts = (card.repeats, card.passed, card.failed, card.unjudged)
        yield (*_origin(record), _plain(card.card), *(_plain(label) for label in labels), *counts, _words(card.labels))


def _slots(folder: Path, record: Record) -> Iterator[Slot]:
    path = folder / "slots.jsonl"
    if not path.is_file():
        raise BrokenRecord(f"{path}: is missing; export the run where all its files are")
    return read_slots(path, record.slots_digest)


def _origin(record: Record) -> Row:
    texts = (record.run_id, record.created_at, record.tier, record.pack, record.target, record.provenance.commit)
    return tuple(_plain(text) for text in texts)


def _numbers(estimate: Estimate | None) -> Row:
    if estimate is None:
        return (None,) * 8
    counts = (estimate.k, estimate.n, estimate.planned, estimate.confidence, estimate.method)
    return (estimate.value, estimate.low, estimate.high, *counts)


def _words(labels: Mapping[str, str]) -> str:
    return _plain(json.dumps(dict(labels), sort_keys=True, ensure_ascii=False)) or ""


def _plain(text: str | None) -> str | None:
    """Text that UTF-8 can hold: a lone surrogate, which a model may say, is replaced."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _typed(kind: Kind, names: Sequence[str]) -> dict[str, Kind]:
    return dict.fromkeys(names, kind)


_ORIGIN = _typed("string", ["run_id", "created_at", "tier", "pack", "target", "commit"])
_ESTIMATE: dict[str, Kind] = {
    **_typed("Float64", ["value", "low", "high"]),
    **_typed("Int64", ["k", "n", "planned"]),
    "confidence": "Float64",
    "method": "string",
}
_TABLES: Mapping[TableName, Table] = {
    "metrics": Table(columns={**_ORIGIN, **_typed("string", ["metric", "unit"]), **_ESTIMATE}, rows=_metric_rows),
    "slots": Table(
        columns={
            **_typed("string", ["run_id", "slot_id", "suite", "card"]),
            "repeat": "Int64",
            **_typed("string", ["evaluator", "state"]),
            "advisory": "boolean",
            **_typed("string", ["stage", "reason", "expected", "got", "labels"]),
        },
        rows=_slot_rows,
    ),
    "gates": Table(
        columns={
            **_ORIGIN,
            **_typed("string", ["verdict", "gate", "metric", "area", "state"]),
            "critical": "boolean",
            **_typed("string", ["sentence", "limit"]),
            **_typed("Float64", ["threshold", "measured"]),
            **_ESTIMATE,
            "cards": "string",
        },
        rows=_gate_rows,
    ),
    "cards": Table(
        columns={
            **_ORIGIN,
            **_typed("string", ["card", "area", "agent", "severity"]),
            **_typed("Int64", ["repeats", "passed", "failed", "unjudged"]),
            "labels": "string",
        },
        rows=_card_rows,
    ),
}
