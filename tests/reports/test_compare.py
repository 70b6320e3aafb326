"""Two runs side by side: what changed is named with its bounds, what else differs is said, and nothing of a transcript runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from evals.cli import main as entry
from reports.compare import compare
from reports.compare_view import changed_cards, gate_cells, headline, metric_rows, paired_words, stage_rows
from reports.records import read_record, read_slots, write_record, write_slots
from reports.render import render_comparison

Build = Callable[[str], Path]


@pytest.fixture
def build(sample: ModuleType, tmp_path: Path) -> Build:
    def run(kind: str) -> Path:
        folder = tmp_path / kind
        sample.build(folder, kind)
        return folder

    return run


def test_a_run_against_itself_shows_no_change(build: Build) -> None:
    found = compare(run := build("pass"), run)
    assert headline(found) == "Of 60 cards judged in both, none broke and none healed; no gate changed."
    assert not [row for row in metric_rows(found) if row.clear]
    assert changed_cards(found) == []
    assert found.paired.chance == 1.0


def test_broken_cards_changed_gates_and_clear_metrics_are_named(build: Build) -> None:
    found = compare(build("pass"), build("fail"))
    assert headline(found) == "Of 60 cards judged in both, 2 broke and 0 healed; 3 gates changed."
    assert [(pair.card, pair.direction) for pair in found.cards] == [
        ("equipment/card-00", "broke"),
        ("training/card-03", "broke"),
    ]
    assert (found.paired.delta.value, found.paired.chance) == (-2 / 60, 0.25)
    assert "−3.3" in paired_words(found) and "McNemar" in paired_words(found)
    assert next(title for title, _, _, changed in gate_cells(found) if changed) == "Critical cards pass every repeat"
    assert {row.title for row in metric_rows(found) if row.clear} == {"Answer time, p95", "Agent switch, p95"}


def test_the_other_way_round_cards_heal(build: Build) -> None:
    found = compare(build("fail"), build("pass"))
    assert {pair.direction for pair in found.cards} == {"healed"}
    assert changed_cards(found)[0].why  # what was wrong before
    assert changed_cards(found)[0].chance == ""


def test_a_card_that_is_gone_or_fresh_is_listed_and_not_counted_as_broken(build: Build) -> None:
    a, b = build("pass"), build("fail")
    kept = [slot for slot in read_slots(b / "slots.jsonl") if slot.card != "safety/card-01"]
    write_slots(
        b / "slots.jsonl", [*kept, *(replace(slot, card="safety/other") for slot in kept if slot.card == "safety/card-06")]
    )
    found = compare(a, b)
    assert [(pair.card, pair.direction) for pair in found.cards][-2:] == [
        ("safety/card-01", "only in a"),
        ("safety/other", "only in b"),
    ]
    assert (found.paired.cards, found.paired.delta.planned) == (59, 61)


def test_repeats_are_compared_by_the_mean_over_cards(build: Build) -> None:
    a, b = build("pass"), build("fail")
    for folder in (a, b):
        slots = list(read_slots(folder / "slots.jsonl"))
        write_slots(folder / "slots.jsonl", [*slots, *(replace(slot, repeat=1, state="pass") for slot in slots)])
    found = compare(a, b)
    assert found.paired.delta.method == "t"
    assert found.paired.delta.value == pytest.approx(-1 / 60)
    assert {pair.chance for pair in found.cards} == {0.5}


def test_what_else_differs_is_said_first(build: Build) -> None:
    a, b = build("pass"), build("fail")
    record = read_record(b / "record.json")
    write_record(b, replace(record, provenance=replace(record.provenance, model="paced:other")))
    found = compare(a, b)
    assert any("model differs" in reason for reason in found.incomparable)


def test_stage_times_and_confusion_are_subtracted(build: Build) -> None:
    a, b = build("pass"), build("fail")
    record = read_record(b / "record.json")
    labels, counts = record.tables["confusion"]["labels"], [list(row) for row in record.tables["confusion"]["counts"]]
    counts[0][0] -= 3
    counts[0][1] += 3
    tables = {**record.tables, "confusion": {"labels": labels, "counts": counts}, "stages": {"model_s": 0.75, "voice_s": 0.04}}
    write_record(b, replace(record, tables=tables))
    found = compare(a, b)
    before = read_record(a / "record.json").tables["confusion"]["counts"]
    assert found.confusion[0][:2] == [counts[0][0] - before[0][0], counts[0][1] - before[0][1]]
    assert stage_rows(found)[0].title == "voice"
    assert (stage_rows(found)[0].a, stage_rows(found)[0].share) == ("–", 100.0)


def test_the_page_shows_hostile_text_inert(build: Build, tmp_path: Path) -> None:
    a, b = build("pass"), build("fail")
    path = b / "transcripts.jsonl"
    path.write_text(path.read_text().replace("Bring it", "<script>alert(1)</script>\\u001b[31m"))
    page = tmp_path / "page.html"
    render_comparison(compare(a, b), page)
    text = page.read_text()
    assert "<script>alert" not in text and "\x1b" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_the_command_writes_the_page_beside_b_and_speaks_json(
    build: Build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = build("pass"), build("fail")

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["assay", "compare", *arguments])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        assert isinstance(stop.value.code, int)
        return stop.value.code

    assert run(str(a), str(b / "record.json")) == 0
    said = capsys.readouterr().out
    assert "card  training/card-03: broke, 1 of 1 passed -> 0 of 1 passed; routed to safety, wanted training" in said
    assert (b / f"compare-{read_record(a / 'record.json').run_id}.html").is_file()
    assert run(str(a), str(b), "--json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["headline"].startswith("Of 60 cards") and plain["paired"]["broke"] == 2
    assert run(str(a), str(a / "nowhere")) == 4
    assert "cannot be read" in capsys.readouterr().err
