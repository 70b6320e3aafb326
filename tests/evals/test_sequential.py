"""A pass rate is decided as soon as the evidence suffices, and chance decides it wrongly no more often than it may."""

from __future__ import annotations

import json
import random
from math import log
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate

from evals.cli.eval import evaluate
from evals.errors import UsageError
from evals.sequential import Rule, decide
from reports.statistics.sequential import e_value_above, e_value_below

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("k", "n", "limit"), [(0, 0, 0.9), (9, 10, 0.9), (30, 30, 0.9), (5, 20, 0.5), (0, 7, 0.2)])
def test_e_values_are_the_integral_they_say(k: int, n: int, limit: float) -> None:
    def ratio(p: float, limit: float, k: int) -> float:
        return (p / limit) ** k * ((1 - p) / (1 - limit)) ** (n - k) / (1 - limit)

    above, _ = integrate.quad(ratio, limit, 1, args=(limit, k))
    below, _ = integrate.quad(ratio, 1 - limit, 1, args=(1 - limit, n - k))
    assert e_value_above(k, n, limit) == pytest.approx(above, rel=1e-9)
    assert e_value_below(k, n, limit) == pytest.approx(below, rel=1e-9)


def test_without_a_trial_there_is_no_evidence_and_impossible_counts_are_refused() -> None:
    assert e_value_above(0, 0, 0.9) == pytest.approx(1.0)
    for k, n, limit in ((3, 2, 0.5), (-1, 2, 0.5), (1, 2, 0.0), (1, 2, 1.0)):
        with pytest.raises(ValueError, match="must be within"):
            e_value_above(k, n, limit)
    assert e_value_above(0, 100_000, 0.999999) == 0.0


@pytest.mark.parametrize("rate", [0.9, 0.85])
def test_a_rate_at_or_below_the_limit_is_seldom_taken_for_more(rate: float) -> None:
    source, wrong, rule = random.Random(3), 0, Rule(at_least=0.9, cap=300)
    for _ in range(400):
        states = ["pass" if source.random() < rate else "fail" for _ in range(rule.cap)]
        wrong += decide(rule, states).verdict == "pass"
    assert wrong <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_a_clear_rate_is_decided_early_and_a_close_one_is_not() -> None:
    rule = Rule(at_least=0.9, cap=400)
    good = decide(rule, ["pass"] * 400)
    assert (good.verdict, good.passed) == ("pass", good.plays) and good.plays < 60
    bad = decide(rule, ["fail", "pass"] * 200)
    assert bad.verdict == "fail" and bad.plays < 20
    close = decide(rule, (["pass"] * 9 + ["fail"]) * 40)
    assert (close.verdict, close.plays) == ("inconclusive", 400)
    assert good.above >= 20 > log(20)


def test_unjudged_plays_count_for_neither_side() -> None:
    rule = Rule(at_least=0.9, cap=400)
    found = decide(rule, ["unjudged"] * 300 + ["pass"] * 20)
    assert (found.verdict, found.unjudged, found.passed) == ("inconclusive", 300, 20)


def play(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.chdir(ROOT)
    result: int = evaluate.main(words, standalone_mode=False)
    return result


def test_the_command_stops_when_it_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = tmp_path / "silent.yaml"
    silent.write_text("{}\n")
    words = ["--area", "scope", "--target", f"scripted:{silent}", "--until", "0.9"]
    assert play([*words, "--json"], monkeypatch) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "fail" and found["plays"] < 12
    assert play([*words, "--cap", "1"], monkeypatch) == 2
    assert "not decided within 1 plays" in capsys.readouterr().out
    with pytest.raises(UsageError, match="give one of them"):
        play([*words, "--repeats", "3"], monkeypatch)
