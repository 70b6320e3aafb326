"""The terminal says verdict, gates, failures and where the report is, at any width and without colour."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from reports.gates.decide import decide
from reports.gates.policy import Policy
from reports.gates.verdict import VerdictError
from reports.terminal import VerdictScreen, print_verdict


def screen(folder: Path, width: int) -> str:
    stream = io.StringIO()
    print_verdict(folder, stream, width=width)
    return stream.getvalue()


@pytest.mark.parametrize("width", [40, 60, 100, 160])
@pytest.mark.parametrize("kind", ["pass", "fail", "inconclusive", "invalid"])
def test_it_fits_and_stays_plain(kind: str, width: int, sample: ModuleType, tmp_path: Path) -> None:
    verdict = sample.build(tmp_path, kind)
    text = screen(tmp_path, width)
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    flat = " ".join(text.split())
    assert verdict.verdict.upper() in flat and "report.html" in flat.replace(" ", "")
    assert flat.endswith(f"exit {verdict.exit_code} {verdict.verdict}")


def test_it_shows_each_gate_with_value_bound_counts_threshold_and_word(sample: ModuleType, tmp_path: Path) -> None:
    sample.build(tmp_path, "fail")
    lines = screen(tmp_path, 120).splitlines()
    row = next(line for line in lines if "Right agent chosen " in line and "97.9" in line)
    assert row.split("  ")[0] == "✓ pass"
    for part in ("97.9\u202f%", "at least 97.1\u202f%", "≥ 95\u202f%", "1,115\u202f/\u202f1,139"):
        assert part in row
    text = " ".join(" ".join(lines).split())
    assert "✕ failed equipment/card-00 critical tool the answer says 145 °F where 165 °F is required" in text
    assert "expected 165 °F got 145 °F repeats 0 of 1 repeat" not in text
    assert "reproduce assay eval --card equipment/card-00" in text


def test_many_failures_are_cut_and_counted(sample: ModuleType, pr_policy: Policy, tmp_path: Path) -> None:
    slots = sample.card_slots()
    for number in range(0, 60, 3):
        slots = sample.change_card(slots, slots[3 * number].card, "agent", state="judge_error" if number else "fail")
    verdict = decide(sample.make_record(slots), slots, pr_policy)
    stream = io.StringIO()
    Console(file=stream, width=80).print(VerdictScreen(verdict, tmp_path))
    assert "and 12 cards more in the report" in stream.getvalue()
    assert "! unjudged" in stream.getvalue() and "1 unjudged" in stream.getvalue()


def test_colour_is_used_where_the_terminal_has_it(sample: ModuleType, tmp_path: Path) -> None:
    verdict = sample.build(tmp_path, "fail")
    stream = io.StringIO()
    Console(file=stream, width=80, force_terminal=True, color_system="standard").print(VerdictScreen(verdict, tmp_path))
    assert "\x1b[" in stream.getvalue()


def test_a_run_that_judged_nothing_still_prints(sample: ModuleType, pr_policy: Policy, tmp_path: Path) -> None:
    late = pr_policy.model_copy(update={"lines": [line for line in pr_policy.lines if "pr" not in line.tiers]})
    stream = io.StringIO()
    Console(file=stream, width=60).print(VerdictScreen(decide(sample.make_record(), [], late), tmp_path))
    assert "INVALID" in stream.getvalue() and "– not in this tier: " in stream.getvalue()


def test_a_missing_verdict_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(VerdictError):
        print_verdict(tmp_path, io.StringIO())
