"""Advice is ranked, every line carries its figures, and without a measurement there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reports.advice import REST, advice
from reports.baseline import history_of
from reports.history import Promotion, append_event
from reports.records import Record
from reports.render import render_run
from reports.statistics.proportions import wilson

STAGES = {
    "agent_s": 1.24,
    "model_s": 1.1,
    "tools_s": 0.14,
    "overhead_s": 0.56,
    "route_s": 0.1,
    "load_s": 0.02,
    "store_s": 0.04,
    "total_s": 1.8,
}
SEVERITY = {
    "critical/a": "critical",
    "quiet/a": "minor",
    "quiet/b": "major",
    "twin/a": "minor",
    "twin/b": "major",
    "odd/a": "minor",
}
TWIN = [0, 1, 1, 0, 1, 0, 1, 1]


def cards(severity: Mapping[str, str] = SEVERITY) -> list[dict[str, Any]]:
    return [{"card": card, "title": card, "severity": word} for card, word in severity.items()]


def nights(results: Mapping[str, list[int]], repeats: int = 2) -> list[Promotion]:
    """Accepted runs in which a card passed all repeats (1) or failed one (0)."""
    count = max(len(row) for row in results.values())
    return [
        Promotion(
            run_id=f"night-{night}",
            at=datetime(2026, 11, 1 + night, tzinfo=UTC),
            who="kim",
            why="passed",
            created_at=f"2026-11-{1 + night:02d}T02:00:00+00:00",
            tier="pr",
            commit=None,
            dirty=None,
            deterministic=False,
            fingerprint={},
            cards={card: (repeats - 1 + row[night], repeats) for card, row in results.items() if night < len(row)},
            metrics={},
            digests={},
        )
        for night in range(count)
    ]


HISTORY = {
    "critical/a": [1] * 8,
    "quiet/a": [1] * 8,
    "quiet/b": [1] * 8,
    "twin/a": TWIN,
    "twin/b": TWIN,
    "odd/a": [1, 0, 1, 0, 1, 1, 1, 0],
}


@pytest.fixture
def record(sample: ModuleType) -> Record:
    return sample.make_record(tables={"stages": STAGES, "cards": cards()})


def with_tables(record: Record, **tables: object) -> Record:
    return replace(record, tables={**record.tables, **tables})


def said(record: Record, runs: list[Promotion] | None = None) -> list[tuple[str, str]]:
    return [(line.title, line.gain.replace("\u202f", " ")) for line in advice(record, runs or [])]


def test_stages_are_ranked_by_what_a_tenth_of_them_saves(record: Record) -> None:
    assert said(record) == [
        ("The model", "110 ms a turn, if 10 % faster"),
        (REST, "40 ms a turn, if 10 % faster"),
        ("Tools", "14 ms a turn, if 10 % faster"),
        ("Routing", "10 ms a turn, if 10 % faster"),
    ], "the spans below 5 % of a turn are not worth a line, and agent_s holds the model's time again"
    assert advice(record, [])[0].sentence == "61.1\u202f% of a turn: 1.1\u202fs of 1.8\u202fs, means of this run."


@pytest.mark.parametrize(
    "stages",
    [
        None,
        {},
        [],
        {"total_s": 1.8},
        {"model_s": 0.0},
        {"other_s": 1.0},
        {"model_s": "long", "total_s": 1.8},
        {"model_s": float("nan")},
        {"model_s": 9.0, "total_s": 1.8},
    ],
)
def test_nothing_is_advised_without_a_measurement(record: Record, stages: object) -> None:
    assert said(with_tables(record, stages=stages, cards=None)) == []


def test_without_a_total_the_spans_are_added(record: Record) -> None:
    assert said(with_tables(record, stages={"model_s": 0.9, "overhead_s": 0.1})) == [
        ("The model", "90 ms a turn, if 10 % faster"),
        (REST, "10 ms a turn, if 10 % faster"),
    ]


def test_missed_cache_hits_are_priced_at_the_measured_model_time(record: Record) -> None:
    rates = {"cache.hit_rate": wilson(300, 1000), "cache.hit_share_of_possible": wilson(500, 1000)}
    cached = replace(record, metrics=rates)
    assert said(cached)[0] == ("The cache", "330 ms a turn, if every possible hit is one")
    assert "answers 30\u202f% of turns, 50\u202f% of those it could: 30\u202f% more" in advice(cached, [])[0].sentence
    assert said(with_tables(cached, stages={})) == [("The cache", "the model in 30 % of turns")]
    for good in (
        rates | {"cache.hit_share_of_possible": wilson(960, 1000)},
        rates | {"cache.hit_share_of_possible": None},
        rates | {"cache.hit_share_of_possible": wilson(0, 1000)},
        rates | {"cache.hit_rate": wilson(0, 0)},
    ):
        assert "The cache" not in [title for title, _ in said(replace(record, metrics=good))]


def test_cards_that_never_failed_are_named_but_never_a_critical_one(record: Record) -> None:
    quiet = advice(with_tables(record, stages={}), nights(HISTORY))[0]
    assert (quiet.title, quiet.gain) == (
        "2 cards that never failed",
        "16.7\u202f% of the card repeats, if played every second run",
    )
    assert quiet.sentence.startswith("quiet/a and quiet/b passed every repeat of the last 8 accepted runs, 16 or more each")
    assert "up to 17.1\u202f% of repeats" in quiet.sentence and quiet.sentence.endswith("took 14.2\u202fs in this run.")
    unsure = with_tables(record, stages={}, cards=cards(dict.fromkeys(SEVERITY, "unknown")))
    assert said(unsure, nights(HISTORY)) == []


def test_one_failure_in_the_history_is_information(record: Record) -> None:
    told = {**HISTORY, "quiet/a": [1] * 7 + [0], "quiet/b": [0] + [1] * 7}
    assert "cards that never failed" not in str(said(with_tables(record, stages={}), nights(told)))


def test_a_card_that_fails_now_has_just_told_something(record: Record) -> None:
    plain = with_tables(record, stages={})
    (left, twins) = advice(plain, nights(HISTORY), {"quiet/a"})
    assert left.title == "1 card that never failed" and "quiet/a" not in left.sentence and "twin/a" in twins.sentence
    assert advice(plain, nights(HISTORY), {"quiet/a", "quiet/b", "twin/b"}) == []


def test_cards_that_always_agree_are_named_where_they_changed(record: Record) -> None:
    twins = advice(with_tables(record, stages={}), nights(HISTORY))[-1]
    assert (twins.title, twins.gain) == ("2 cards that say the same", "16.7\u202f% of the card repeats, if one of them is kept")
    assert twins.sentence.startswith("twin/a and twin/b had the same result in all 8 accepted runs, failing together in 3.")
    apart = {**HISTORY, "twin/b": [*TWIN[:-1], 0]}
    assert "say the same" not in str(said(record, nights(apart)))
    rare = {**HISTORY, "twin/a": [1] * 7 + [0], "twin/b": [1] * 7 + [0]}
    assert "say the same" not in str(said(record, nights(rare))), "one common failure is no evidence"


def test_a_short_history_names_no_card(record: Record) -> None:
    plain = with_tables(record, stages={})
    assert said(plain, nights({card: row[:4] for card, row in HISTORY.items()})) == []
    young = {**{card: row for card, row in HISTORY.items() if "twin" not in card}, "quiet/a": [1] * 3, "quiet/b": [1] * 3}
    assert said(plain, nights(young)) == [], "cards that some of the runs did not play are left out"
    few = {"quiet/a": [1] * 8, **{f"odd/{n}": [1, 0, 1, 0, 1, 1, 1, 0] for n in range(30)}}
    assert said(plain, nights(few)) == [], "one card of 31 is not worth a line"


def test_the_report_shows_advice_only_where_there_is_some(sample: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    sample.build(folder, "pass")
    render_run(folder)
    assert "What would buy most" in (folder / "report.html").read_text()
    assert "would save 74\u202fms a turn, if 10\u202f% faster" in (folder / "report.html").read_text()
    (like,) = history_of(folder).accepted
    for night in range(6):
        append_event(
            tmp_path, like.model_copy(update={"run_id": f"n{night}", "created_at": f"2026-11-0{1 + night}T02:00:00+00:00"})
        )
    render_run(folder)
    assert "1 card that never failed" not in (folder / "report.html").read_text(), "one card of 60 is not worth a line"
    from reports.records import read_record, write_record

    write_record(folder, replace(read_record(folder / "record.json"), tables={}))
    render_run(folder)
    assert "What would buy most" not in (folder / "report.html").read_text()
