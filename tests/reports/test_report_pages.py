"""The report is one safe file that says the verdict first; summary and JUnit agree with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from reports import charts
from reports.baseline import history_of
from reports.failures import read_transcripts
from reports.gates.decide import decide
from reports.gates.policy import Policy
from reports.gates.verdict import read_verdict, write_verdict
from reports.history import History, append_event, read_history
from reports.recent import earlier_runs, recent_values
from reports.records import RecordError, read_record, read_slots, write_record, write_slots
from reports.render import render_run
from reports.sections import sections
from reports.statistics.proportions import wilson
from reports.traces import trace_id

VOID = {"meta", "br", "col", "link", "img", "input", "hr"}


class Outline(HTMLParser):
    """Collects tags, ids and text, and fails on tags that do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


def outline(folder: Path) -> Outline:
    found = Outline()
    found.feed((folder / "report.html").read_text(encoding="utf-8"))
    assert found.open == []
    return found


@pytest.fixture
def built(sample: ModuleType, tmp_path: Path) -> Callable[..., Path]:
    def build(kind: str = "fail", **settings: str) -> Path:
        folder = tmp_path / kind
        sample.build(folder, kind, **settings)
        render_run(folder)
        return folder

    return build


@pytest.mark.parametrize("kind", ["pass", "fail", "inconclusive", "invalid"])
def test_the_page_is_one_well_formed_file_that_opens_with_the_verdict(kind: str, built: Callable[..., Path]) -> None:
    folder = built(kind)
    page, verdict = outline(folder), read_verdict(folder / "verdict.json")
    text = " ".join(" ".join(page.text).split())
    assert text.index(verdict.verdict.upper()) < text.index(" ".join(verdict.sentence.split())) < text.index("Against threshold")
    html = (folder / "report.html").read_text(encoding="utf-8")
    outside = re.findall(r"""(?:src|href)=["'](?!#)[^"']*|url\(|@import""", html)
    assert outside == []
    assert not [tag for tag, _ in page.tags if tag in ("link", "img", "iframe")]
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    targets = {(attrs.get("href") or "#")[1:] for tag, attrs in page.tags if tag == "a"}
    assert targets - {""} <= set(ids)


def test_every_chart_has_a_text_alternative_and_every_state_a_word(built: Callable[..., Path]) -> None:
    page = outline(built())
    drawn = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert drawn and all(attrs.get("aria-label") or attrs.get("aria-hidden") == "true" for attrs in drawn)
    text = " ".join(page.text)
    for word in ("Fail", "Inconclusive", "Pass", "Not in this tier", "No baseline"):
        assert word in text


def test_a_failing_card_shows_why_transcript_expectation_stage_and_command(built: Callable[..., Path]) -> None:
    text = " ".join(" ".join(outline(built()).text).split())
    for part in (
        "the answer says 145 °F where 165 °F is required",
        "Ice machine makes no ice",
        'holding_limits(food="grilled chicken")',
        "165 °F 145 °F",
        "blamed tool",
        "assay eval --card equipment/card-00",
        "safety 0.97, then operations 0.02",
    ):
        assert part in text


def test_traces_are_linked_once_the_run_is_stored(built: Callable[..., Path]) -> None:
    folder = built()
    trace = trace_id("5d1e07b2", "equipment/card-00", 0)
    assert f"<code>{trace}</code>" in (folder / "report.html").read_text()
    (folder / "track.json").write_text(json.dumps({"tracking_uri": "https://ml.example", "experiment_id": "3"}))
    render_run(folder)
    link = f'href="https://ml.example/#/experiments/3/traces?selectedEvaluationId={trace}&amp;traceId={trace}"'
    assert link in (folder / "report.html").read_text()


HOSTILE = "<script>alert(1)</script>\x00\x0b'\"&]]>`|*\ud800"


def test_nothing_a_model_says_can_become_markup(sample: ModuleType, pr_policy: Policy, tmp_path: Path) -> None:
    slots = [
        replace(slot, reason=HOSTILE, state="fail", expected=HOSTILE, got=HOSTILE, evaluator=HOSTILE)
        if slot.card == "equipment/card-00"
        else slot
        for slot in sample.card_slots()
    ]
    tables = sample.sample_tables() | {
        "confusion": {"labels": [HOSTILE], "counts": [[3]]},
        "mistakes": [{"text": HOSTILE, "expected": HOSTILE, "got": HOSTILE, "confidence": None}],
        "stages": {HOSTILE: 0.5},
        "cards": [{"card": "equipment/card-00", "title": HOSTILE, "requires": "llm", "known_issue": {"note": HOSTILE}}],
    }
    record = sample.make_record(slots, tables=tables, not_measurable={HOSTILE: HOSTILE}, target=HOSTILE)
    write_record(tmp_path, record)
    write_slots(tmp_path / "slots.jsonl", slots)
    transcript = json.loads(json.dumps(sample.sample_transcript("equipment/card-00")))
    turn = transcript["turns"][0]
    turn |= {"user": HOSTILE, "text": HOSTILE, "error": HOSTILE}
    turn["tool_calls"][0] |= {"tool": HOSTILE, "ok": False, "result": HOSTILE * 400}
    turn["citations"][0] |= {"title": HOSTILE, "exists": False}
    (tmp_path / "transcripts.jsonl").write_text(json.dumps(transcript) + "\n")
    write_verdict(tmp_path, decide(record, slots, pr_policy))
    render_run(tmp_path)
    page = outline(tmp_path)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "more characters)" in " ".join(page.text)
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "<script" not in summary and "\x00" not in summary
    ElementTree.fromstring((tmp_path / "junit.xml").read_bytes())


def test_junit_counts_one_test_per_planned_repeat_and_per_gate(built: Callable[..., Path]) -> None:
    folder = built()
    root = ElementTree.fromstring((folder / "junit.xml").read_bytes())
    cards, gates = root.findall("testsuite")
    verdict = read_verdict(folder / "verdict.json")
    assert (cards.attrib["tests"], cards.attrib["failures"]) == ("60", "2")
    assert int(gates.attrib["tests"]) == len(verdict.gates)
    assert int(gates.attrib["errors"]) == sum(gate.state in ("inconclusive", "invalid") for gate in verdict.gates)
    assert int(gates.attrib["skipped"]) == sum(gate.state in ("not_in_tier", "no_baseline") for gate in verdict.gates)
    assert int(root.attrib["tests"]) == 60 + len(verdict.gates)


def test_an_unjudged_repeat_is_a_junit_error_not_a_failure(sample: ModuleType, pr_policy: Policy, tmp_path: Path) -> None:
    folder = tmp_path
    sample.build(folder, "pass")
    slots = sample.change_card(sample.card_slots(), "training/card-03", "agent", state="infra_error", reason="no route to host")
    record = sample.make_record(slots)
    write_record(folder, record)
    write_slots(folder / "slots.jsonl", slots)
    write_verdict(folder, decide(record, slots, pr_policy))
    render_run(folder)
    suite = ElementTree.fromstring((folder / "junit.xml").read_bytes())[0]
    assert (suite.attrib["errors"], suite.attrib["failures"]) == ("1", "0")
    assert "unjudged" in (folder / "report.html").read_text()


def test_the_summary_says_verdict_gates_and_what_was_not_judged(built: Callable[..., Path]) -> None:
    summary = (built() / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("## ❌ FAIL: Critical card equipment/card-00 fails 1 of 1 repeat")
    assert "| ❔ Inconclusive | Answer time, p95 | 1.97\u202fs |" in summary
    assert "Not judged:" in summary and "WebSockets held at once" in summary
    assert "`assay eval --card equipment/card-00`" in summary


def test_an_empty_run_renders_and_says_what_is_missing(sample: ModuleType, pr_policy: Policy, tmp_path: Path) -> None:
    record = sample.make_record((), {}, tables={}, slot_counts={}, durations_s={}, not_measurable={}, created_at="once")
    empty = replace(record, provenance=replace(record.provenance, commit=None, dirty=None, machine={}, load={}))
    write_record(tmp_path, empty)
    (tmp_path / "slots.jsonl").write_text("")
    write_verdict(tmp_path, decide(empty, [], pr_policy))
    render_run(tmp_path)
    text = " ".join(outline(tmp_path).text)
    for part in ("holds no routing tables", "holds no load tables", "No slot was planned", "unknown", "shows everything"):
        assert part in text


def test_a_table_of_another_shape_is_named_and_costs_only_itself(sample: ModuleType) -> None:
    tables = sample.sample_tables() | {
        "latency": {"response_s": {"rows": 3}},
        "confusion": {"labels": ["a"], "counts": [[1], [2]]},
    }
    found = sections(sample.make_record(tables=tables))
    assert (found.heat, found.ecdf, found.percentiles) == ([], "", [])
    assert {name.split(" ")[0] for name in found.skipped} == {"latency", "confusion"}
    assert found.series and found.reliability


def test_failed_turns_make_percentiles_infinite(sample: ModuleType) -> None:
    tables = {
        "latency": {
            "response_s": {"rows": [[0.1, 0.2, 90]], "infinite": 10, "count": 100},
            "x_s": {"rows": [], "infinite": 0, "count": 0},
        }
    }
    rows = sections(sample.make_record(tables=tables)).percentiles
    assert rows[0] == ["answer", "200\u202fms", "200\u202fms", "infinite", "infinite", "infinite", "100"]


def test_transcripts_stream_only_what_is_wanted(sample: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "transcripts.jsonl"
    assert list(read_transcripts(path)) == []
    path.write_text("".join(json.dumps(sample.sample_transcript(card)) + "\n" for card in ("a", "b")))
    assert [row["card"] for row in read_transcripts(path)] == ["a", "b"]
    assert [row["card"] for row in read_transcripts(path, [("b", 0)])] == ["b"]
    assert list(read_transcripts(path, [])) == []
    path.write_text("{\n")
    with pytest.raises(RecordError, match="line 1: not a transcript"):
        list(read_transcripts(path))


def test_charts_without_data_are_empty() -> None:
    assert charts.reliability([]) == charts.ecdf([]) == charts.bars([], name="x") == ""
    assert charts.timeline([], y_name="y", form=str) == ""
    flat = charts.Series(name="zero", style="cand", points=[(0, 0), (1, None), (2, 0)])
    assert charts.timeline([flat], y_name="y", form=str).count('<path class="ln cand"') == 2
    gone = charts.Series(name="none", style="cand", points=[(0, None)])
    assert "none: nothing" in charts.timeline([flat, gone], y_name="y", form=str)
    assert charts.ecdf([charts.Series(name="a", style="ok", points=[(0.1, 0.5), (1, 1)])], limit_s=2).count("thr") == 1


@pytest.mark.parametrize(
    ("state", "shape"),
    [
        ("pass", 'class="pt" cx'),
        ("fail", 'class="pt" d'),
        ("inconclusive", 'circle class="ptl"'),
        ("invalid", 'rect class="ptl"'),
    ],
)
def test_the_shape_of_a_point_repeats_its_state(state: charts.GateState, shape: str) -> None:
    row = charts.Interval(value=0.9, low=0.8, high=None, threshold=0.95, allowed_above=True, state=state, unit="share")
    assert shape in charts.strip(row)
    assert "unbounded" in charts.strip(row)
    assert charts.strip(replace(row, value=None, low=None)) == ""
    assert "Measured –" in charts.strip(replace(row, value=None, unit="seconds", allowed_above=False))


def test_the_page_renders_from_files_alone(built: Callable[..., Path]) -> None:
    folder = built("pass")
    assert read_record(folder / "record.json").run_id == "5d1e07b2"
    assert sum(1 for _ in read_slots(folder / "slots.jsonl")) == 180
    assert not list(folder.glob("*.part"))


def accept(folder: Path, count: int, **changes: object) -> None:
    """Put `count` earlier nights like the run in `folder` into its history, the pass rate of cards rising."""
    (like,) = history_of(folder).accepted
    for night in range(count):
        rates = {"cards.pass_rate": wilson(90 + night, 120), "routing.accuracy": wilson(90, 100)}
        moved = {name: replace(row, value=(row.value or 0) * (1 + 0.01 * (night % 3))) for name, row in like.metrics.items()}
        moment = f"2026-11-{1 + night:02d}T02:00:00+00:00"
        run = {"run_id": f"night-{night}", "created_at": moment, "metrics": moved | rates}
        append_event(folder.parent, like.model_copy(update=run | changes))


def sparks(folder: Path) -> list[str]:
    found = [attrs for tag, attrs in outline(folder).tags if tag == "svg" and "spark" in (attrs.get("class") or "")]
    return [str(attrs["aria-label"]) for attrs in found]


def test_accepted_runs_are_drawn_beside_their_gate(built: Callable[..., Path]) -> None:
    folder = built("fail")
    assert sparks(folder) == [] and "Accepted runs" not in (folder / "report.html").read_text()
    accept(folder, 9)
    render_run(folder)
    drawn = sparks(folder)
    assert "Last 9 accepted runs 75\u202f% to 81.7\u202f%, this run 96.7\u202f%" in drawn
    assert "Accepted runs" in (folder / "report.html").read_text()
    unknown = [label for label in drawn if "this run 97.9" in label]
    assert unknown == [], "what the record's routing data were is unknown, so nothing is comparable"


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": {"machine": '{"cpu": "another"}'}},
        {"tier": "nightly"},
        {"created_at": "2026-12-24T02:00:00+00:00"},
        {"created_at": "some night"},
        {"metrics": {}},
    ],
    ids=["other machine", "other tier", "later", "no time", "not measured"],
)
def test_runs_that_do_not_compare_are_not_drawn(built: Callable[..., Path], changes: dict[str, object]) -> None:
    folder = built("pass")
    accept(folder, 3, **changes)
    render_run(folder)
    assert sparks(folder) == []


def test_only_the_last_runs_are_drawn_and_never_the_run_itself(sample: ModuleType, built: Callable[..., Path]) -> None:
    folder = built("pass")
    accept(folder, 25)
    record, history = read_record(folder / "record.json"), read_history(folder.parent)
    runs = earlier_runs(record, History(events=tuple(reversed(history.events))))
    assert [run.run_id for run in runs] == [f"night-{night}" for night in range(12)], "the twelfth night is before the run"
    assert recent_values("cards.pass_rate", record, runs, window=4) == [(90 + night) / 120 for night in range(8, 12)]
    assert earlier_runs(replace(record, run_id="night-3"), history) == [run for run in runs if run.run_id != "night-3"]
    assert earlier_runs(replace(record, created_at="2026-11-03T12:00:00"), history) == runs[:3]


def test_a_history_that_cannot_be_read_costs_only_its_drawing(built: Callable[..., Path]) -> None:
    folder = built("pass")
    accept(folder, 1)
    (folder.parent / "history" / "promotions.jsonl").write_text("{torn\n")
    render_run(folder)
    assert sparks(folder) == [] and "No history is drawn: " in (folder / "report.html").read_text()


def test_a_sparkline_without_spread_is_flat_and_without_history_empty() -> None:
    flat = charts.sparkline([1.0, 1.0], 1.0, state="pass", unit="count")
    assert 'd="M4.0 12.0L' in flat and flat.count(" 12.0") == 3 and "<circle" in flat
    assert (
        charts.sparkline([], 1.0, state="pass", unit="count") == charts.sparkline([1.0], None, state="fail", unit="count") == ""
    )
    up = charts.sparkline([1.0], 2.0, state="fail", unit="seconds")
    assert "Last 1 accepted run 1\u202fs to 1\u202fs, this run 2\u202fs" in up and 'd="M4.0 18.0L88.0 6.0"' in up


def test_a_baseline_comparison_shows_signed_points(sample: ModuleType, pr_policy: Policy, tmp_path: Path) -> None:
    slots = sample.card_slots()
    record = sample.make_record(slots)
    write_record(tmp_path, record)
    write_slots(tmp_path / "slots.jsonl", slots)
    write_verdict(tmp_path, decide(record, slots, pr_policy, baseline=record))
    render_run(tmp_path)
    text = " ".join(outline(tmp_path).text)
    assert "±0.0\u202fpt" in text and "drop ≤ 5.0\u202fpt" in text
