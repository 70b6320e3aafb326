"""What the assistant adds: a planted delay is found, and spans that leave something out are noticed."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from evals import overhead as measuring
from evals.cli.main import assay
from evals.errors import TargetError, UsageError
from evals.overhead import Added, Overhead, OverheadRun, Timed, TurnFailed, by_spans_s, compare, judged, measure_overhead
from evals.serving import served_model
from reports.records import Estimate

ROOT = Path(__file__).resolve().parents[2]


def rounds_of(
    took_s: float, *, spans_s: float | None = None, seed: int = 1, failing: Callable[[int], bool] = lambda number: False
) -> Any:
    """Rounds on a machine whose speed drifts: both sides of a pair meet the same drift."""
    chance, played = random.Random(seed), [0]

    def play() -> Timed:
        played[0] += 1
        if failing(played[0]):
            raise TurnFailed("http_5xx")
        drift = 0.05 * (played[0] % 7)
        return Timed(took_s=took_s + drift + chance.uniform(0, 0.002), by_spans_s=spans_s)

    return play


def test_a_planted_delay_of_twenty_milliseconds_is_found_through_the_drift_of_the_machine():
    heard: list[int] = []
    found = compare(rounds_of(0.245), rounds_of(0.265, spans_s=0.019, seed=2), 20, heard.append)
    added = found.added_s
    assert added.low is not None and added.high is not None and added.value is not None
    assert added.low < 0.020 < added.high and added.high - added.low < 0.002
    assert (added.n, added.planned, heard) == (20, 20, [*range(21)])
    assert found.by_spans_s == pytest.approx(0.019)
    assert found.disagreement == pytest.approx(0.019 / added.value - 1)
    none = compare(rounds_of(0.245), rounds_of(0.245, seed=2), 20, heard.append).added_s
    assert none.low is not None and none.high is not None and none.low < 0 < none.high


def test_a_round_with_a_failed_turn_is_left_out_and_counted():
    found = compare(rounds_of(0.1, failing=lambda number: number == 4), rounds_of(0.2), 6, lambda _: None).added_s
    assert (found.n, found.planned) == (5, 6)
    with pytest.raises(TargetError, match=r"0 of 6 rounds were answered \(http_5xx\); see the logs"):
        compare(rounds_of(0.1), rounds_of(0.2, failing=lambda number: True), 6, lambda _: None)


def added(value: float, low: float, high: float, spans: float | None = None) -> Added:
    estimate = Estimate(value=value, low=low, high=high, k=None, n=20, planned=20, confidence=0.975, method="t")
    return Added(added_s=estimate, by_spans_s=spans)


KNOWN = added(0.0201, 0.0197, 0.0205)


@pytest.mark.parametrize(
    ("known", "through", "word", "reason"),
    [
        (KNOWN, added(0.025, 0.024, 0.026, 0.0245), "pass", ""),
        (KNOWN, added(0.025, 0.024, 0.026, 0.016), "fail", r"differ from the rounds by -36 ?%; up to 10 ?% is agreement"),
        (KNOWN, added(0.025, 0.024, 0.026, 0.034), "fail", r"by \+36"),
        (KNOWN, added(0.025, 0.018, 0.032, 0.020), "inconclusive", "play more rounds"),
        (KNOWN, added(0.025, 0.024, 0.026), "invalid", "tell of no exchange"),
        (added(0.026, 0.025, 0.027), added(0.025, 0.024, 0.026, 0.025), "invalid", "A known 20 ms was not found"),
        (added(0.006, -0.011, 0.022), added(0.025, 0.024, 0.026, 0.025), "invalid", "A known 20 ms was not found"),
        (added(0.014, 0.013, 0.015), added(0.025, 0.024, 0.026, 0.025), "invalid", "A known 20 ms was not found"),
    ],
)
def test_the_verdict_needs_the_known_delay_and_spans_that_agree(known, through, word, reason):
    import re

    found = judged(known, through, 0.020, 1.5)
    assert found.word == word and re.search(reason, found.reason)
    assert json.loads(json.dumps(found.as_row()))["through"]["disagreement"] == through.disagreement


def events(calls: int, **timings: float) -> list[dict[str, Any]]:
    return [{"type": "usage", "model_calls": calls}, {"type": "done", "timings": {"total_s": 0.3, "tools_s": 0.01, **timings}}]


def test_the_spans_leave_what_is_neither_exchange_nor_tool():
    assert by_spans_s(events(1, wire_s=0.25)) == pytest.approx(0.04)
    assert by_spans_s(events(1)) is None
    with pytest.raises(TurnFailed, match="asked its model 2 times"):
        by_spans_s(events(2, wire_s=0.25))


@pytest.mark.parametrize(("spans_s", "code"), [(0.0245, 0), (0.016, 1)])
def test_the_command_prints_the_table_keeps_a_record_and_says_the_verdict(monkeypatch, tmp_path, spans_s, code):
    monkeypatch.chdir(ROOT)
    asked: list[OverheadRun] = []

    def measured(run: OverheadRun, told: Callable[[int], None]) -> Overhead:
        asked.append(run)
        told(1)
        return judged(KNOWN, added(0.025, 0.024, 0.026, spans_s), run.known_s, 1.5)

    monkeypatch.setattr(measuring, "measure_overhead", measured)
    done = CliRunner().invoke(assay, ["overhead", "--rounds", "7", "--out", str(tmp_path)], standalone_mode=False)
    assert done.return_value == code, done.output
    assert "| through the assistant | 20 of 20 x 5 | 25.0 | 24.0 to 26.0 | " in done.output
    assert "| the model 20 ms slower | 20 of 20 x 5 | 20.1 | 19.7 to 20.5 | – | – |" in done.output
    assert ("fail: " in done.output) == bool(code)
    kept = json.loads((tmp_path / "overhead.json").read_text())
    assert (kept["known"]["added_s"]["value"], kept["provenance"]["load"]) == (0.0201, {"rounds": "7", "turns": "5"})
    assert asked[0].message and kept["message"] == asked[0].message


def test_a_pack_without_a_card_to_ask_needs_a_message(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("evals.cli.overhead.load_cards", lambda path: [SimpleNamespace(reference=SimpleNamespace(turns=[]))])
    done = CliRunner().invoke(assay, ["overhead"])
    assert isinstance(done.exception, UsageError) and "--message: no card of pack qsr cites" in str(done.exception)


def test_a_model_server_that_does_not_start_is_named(tmp_path):
    with pytest.raises(TargetError, match="the model server did not start"), served_model({"nothing": 1}, log=tmp_path / "log"):
        pass


@pytest.mark.slow
def test_an_assistant_adds_something_and_its_spans_see_it(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    run = OverheadRun(
        pack="qsr", message="How long may a cooked patty stay in the holding cabinet?", folder=tmp_path, environ=os.environ,
        rounds=5, turns=3, ttft_s=0.05, gap_s=0.002, tokens=10, known_s=0.1,
    )  # fmt: skip
    found = measure_overhead(run, lambda _: None)
    known, through = found.known.added_s.value, found.through
    assert known is not None and 0.07 < known < 0.13
    assert through.by_spans_s is not None and through.added_s.value is not None
    assert 0.001 < through.by_spans_s < 0.5 and 0.001 < through.added_s.value < 0.5
