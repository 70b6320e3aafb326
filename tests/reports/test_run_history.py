"""Only valid, passing runs become a baseline, by a signed act; what cannot be shown to be comparable is not compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from reports.baseline import Act, history_of, promote, revoke
from reports.gates.policy import BaselineOptions
from reports.gates.reference import NOTHING, AcceptedRuns, OneRecord
from reports.gates.verdict import read_verdict, write_verdict
from reports.history import (
    ASPECTS,
    History,
    HistoryError,
    Promotion,
    append_event,
    fingerprint,
    mismatches,
    needed_aspects,
    read_history,
)
from reports.records import Record, read_record, write_record, write_slots
from reports.statistics.means import weighted_mean
from reports.statistics.proportions import wilson

ACT = Act(who="kim", why="first good night", at=datetime(2026, 11, 13, 8, 0, tzinfo=UTC))
Build = Callable[..., Path]


@pytest.fixture
def run(sample: ModuleType, tmp_path: Path) -> Build:
    def build(kind: str = "pass", name: str = "run") -> Path:
        folder = tmp_path / name
        sample.build(folder, kind)
        write_record(folder, replace(read_record(folder / "record.json"), run_id=name))
        write_verdict(folder, replace(read_verdict(folder / "verdict.json"), run_id=name))
        return folder

    return build


def test_a_passing_run_is_accepted_with_its_cards_metrics_and_digests(run: Build, tmp_path: Path) -> None:
    promotion = promote(run(), tmp_path, ACT)
    assert read_history(tmp_path).accepted == (promotion,)
    assert (promotion.who, promotion.why, promotion.at) == (ACT.who, ACT.why, ACT.at)
    assert promotion.cards["equipment/card-00"] == (1, 1) and len(promotion.cards) == 60
    assert promotion.metrics["routing.accuracy"] == wilson(1115, 1139)
    assert set(promotion.digests) == {"record.json", "slots.jsonl", "verdict.json"}
    lines = (tmp_path / "history" / "promotions.jsonl").read_text().splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["promote"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("fail", "its verdict is fail"),
        ("inconclusive", "its verdict is inconclusive"),
        (
            "invalid",
            "its evidence is broken (The load generator fell behind: 31 % of turns were sent late); its verdict is invalid",
        ),
    ],
)
def test_a_run_that_did_not_pass_is_refused(kind: str, reason: str, run: Build, tmp_path: Path) -> None:
    with pytest.raises(HistoryError) as caught:
        promote(run(kind), tmp_path, ACT)
    assert f"cannot be promoted: {reason}; only valid, passing runs become a baseline" in str(caught.value)
    assert read_history(tmp_path) == History()


def test_a_run_with_a_waiver_is_refused(run: Build, tmp_path: Path) -> None:
    folder = run()
    verdict = read_verdict(folder / "verdict.json")
    write_verdict(folder, replace(verdict, gates=[replace(verdict.gates[0], state="waived"), *verdict.gates[1:]]))
    with pytest.raises(HistoryError, match=r"passed with waivers \(critical_cards\)"):
        promote(folder, tmp_path, ACT)


def test_evidence_swapped_after_the_verdict_is_refused(sample: ModuleType, run: Build, tmp_path: Path) -> None:
    folder = run()
    write_slots(folder / "slots.jsonl", sample.failing_slots())
    with pytest.raises(HistoryError, match="does not hold what"):
        promote(folder, tmp_path, ACT)
    other = run(name="other")
    write_verdict(other, replace(read_verdict(other / "verdict.json"), run_id="elsewhere"))
    with pytest.raises(HistoryError, match=r"verdict\.json is of run elsewhere"):
        promote(other, tmp_path, ACT)


def test_every_reason_comes_at_once_and_an_act_is_signed(run: Build, tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"who is empty; why is empty; the time of the act has no zone; its verdict is fail"):
        promote(run("fail"), tmp_path, Act(who=" ", why="", at=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_a_revoked_run_is_no_baseline_and_both_acts_stay(run: Build, tmp_path: Path) -> None:
    folder = run()
    promote(folder, tmp_path, ACT)
    with pytest.raises(HistoryError, match="promoted already"):
        promote(folder, tmp_path, ACT)
    revoke("run", tmp_path, Act(who="lee", why="the judge was broken", at=ACT.at))
    found = read_history(tmp_path)
    assert (found.accepted, [(event.action, event.who) for event in found.events]) == (
        (),
        [("promote", "kim"), ("revoke", "lee")],
    )
    with pytest.raises(HistoryError, match=r"run: cannot be revoked: it is not promoted \(promoted: none\)"):
        revoke("run", tmp_path, ACT)
    again = promote(folder, tmp_path, ACT)
    assert read_history(tmp_path).accepted == (again,)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "promotions.jsonl:2: Invalid JSON"),
        ('{"action": "forget"}', "promotions.jsonl:2: Input tag 'forget'"),
        ('{"action": "revoke", "run_id": "r", "at": "2026-01-01T00:00:00Z", "who": "", "why": "x"}', "who: String should have"),
        (
            '{"action": "revoke", "run_id": "r", "at": "2026-01-01T00:00:00Z", "who": "k", "why": "x", "x": 1}',
            "x: Extra inputs are not",
        ),
        (
            '{"action": "revoke", "run_id": "r", "at": "2026-01-01T00:00:00Z", "who": "k", "why": "x"}',
            "promotions.jsonl:2: revokes r, which is not promoted above",
        ),
    ],
)
def test_a_broken_line_stops_every_comparison(line: str, fault: str, run: Build, tmp_path: Path) -> None:
    promote(run(), tmp_path, ACT)
    path = tmp_path / "history" / "promotions.jsonl"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(HistoryError) as caught:
        read_history(tmp_path)
    assert fault in str(caught.value)


def test_a_card_cannot_pass_more_often_than_it_was_judged(run: Build, tmp_path: Path) -> None:
    promote(run(), tmp_path, ACT)
    path = tmp_path / "history" / "promotions.jsonl"
    path.write_text(path.read_text().replace('"equipment/card-00":[1,1]', '"equipment/card-00":[2,1]'))
    with pytest.raises(HistoryError, match="card-00 passed more repeats"):
        read_history(tmp_path)


def test_a_line_cut_short_spoils_no_later_line(run: Build, tmp_path: Path) -> None:
    promote(run(), tmp_path, ACT)
    path = tmp_path / "history" / "promotions.jsonl"
    path.write_text(path.read_text().rstrip("\n"))
    promote(run(name="next"), tmp_path, ACT)
    assert [event.run_id for event in read_history(tmp_path).events] == ["run", "next"]


def test_a_history_that_cannot_be_read_or_written_is_one_sentence(run: Build, tmp_path: Path) -> None:
    (tmp_path / "history" / "promotions.jsonl").mkdir(parents=True)
    with pytest.raises(HistoryError, match="cannot be read"):
        read_history(tmp_path)
    (tmp_path / "file").write_text("")
    promotion = history_of(run()).accepted[0]
    with pytest.raises(HistoryError, match="cannot be written"):
        append_event(tmp_path / "file", promotion)


def test_a_run_named_as_baseline_is_a_history_of_one_unless_its_evidence_is_broken(run: Build) -> None:
    (promotion,) = history_of(run("fail")).accepted
    assert (promotion.run_id, promotion.who, promotion.cards["equipment/card-00"]) == ("run", "nobody", (0, 1))
    with pytest.raises(HistoryError, match="cannot be compared with"):
        history_of(run("invalid", name="broken"))


# Fingerprints


def test_a_provable_mismatch_names_its_field_and_unknown_equals_nothing(sample: ModuleType) -> None:
    here = fingerprint(sample.make_record()) | {"routing": "sha256:11aa22bb33cc44dd55"}
    assert mismatches(here, here, ASPECTS) == []
    other = {**here, "cards": "sha256:0123456789abcdef", "model": "ollama:tiny"}
    assert mismatches(here, other, ASPECTS) == [
        "model differs: embedded here, ollama:tiny in the baseline",
        "cards differs: sha256:9ab4 here, sha256:01234567… in the baseline",
    ]
    assert mismatches(here, other, ["load"]) == []
    table = fingerprint(
        sample.make_record(provenance=replace(sample.make_record().provenance, load={"profile": "pr", "users": "9"}))
    )
    assert mismatches(here, table, ["load"]) == [
        "load differs: model paced:300ms+20ms here, unset in the baseline; users 20 here, 9 in the baseline"
    ]
    unknown = {**here, "machine": None}
    assert mismatches(unknown, unknown, ASPECTS) == ["machine is unknown in both runs"]
    assert mismatches(unknown, here, ASPECTS) == ["machine is unknown in this run"]
    assert mismatches(here, unknown, ASPECTS) == ["machine is unknown in the baseline"]


@pytest.mark.parametrize("aspect", ASPECTS)
def test_every_aspect_of_the_fingerprint_is_taken_from_the_record(aspect: str, sample: ModuleType) -> None:
    base = sample.make_record()
    origin = replace(base.provenance, digests={"policy": "p", "cards": "c", "routing": "r"})
    base = replace(base, provenance=origin)
    changed: dict[str, Record] = {
        "schema": replace(base, schema_version=1),
        "pack": replace(base, pack="other"),
        "model": replace(base, provenance=replace(origin, model="other")),
        "policy": replace(base, provenance=replace(origin, digests={**origin.digests, "policy": "q"})),
        "cards": replace(base, provenance=replace(origin, digests={**origin.digests, "cards": "q"})),
        "routing": replace(base, provenance=replace(origin, digests={**origin.digests, "routing": "q"})),
        "load": replace(base, provenance=replace(origin, load={"users": "1"})),
        "machine": replace(base, provenance=replace(origin, machine={"cores": "1"})),
    }
    (fault,) = mismatches(fingerprint(changed[aspect]), fingerprint(base), ASPECTS)
    assert fault.startswith(f"{aspect} differs: ")


def test_a_metric_needs_only_what_can_change_it() -> None:
    always = {"schema", "pack", "model", "policy"}
    assert needed_aspects("cards.pass_rate", machine_bound=False, wanted=ASPECTS) == always | {"cards"}
    assert needed_aspects("routing.accuracy", machine_bound=False, wanted=ASPECTS) == always | {"routing"}
    assert needed_aspects("load.error_rate", machine_bound=False, wanted=ASPECTS) == always | {"cards", "load", "machine"}
    assert needed_aspects("turn.overhead.p95_s", machine_bound=True, wanted=ASPECTS) == always | {"cards", "machine"}
    assert needed_aspects("cards.pass_rate", machine_bound=False, wanted=["cards", "machine"]) == {"cards"}


# Pooling


def _promotion(record: Record, number: int, **changes: object) -> Promotion:
    values: dict[str, object] = {
        "run_id": f"r{number}",
        "at": ACT.at,
        "who": "kim",
        "why": "night",
        "created_at": record.created_at,
        "tier": record.tier,
        "commit": None,
        "dirty": None,
        "deterministic": False,
        "fingerprint": fingerprint(record),
        "cards": {"a": (number, 4), "b": (4, 4)},
        "metrics": {"routing.accuracy": wilson(90 + number, 100)},
        "digests": {},
    }
    return Promotion.model_validate({**values, **changes})


@pytest.fixture
def record(sample: ModuleType) -> Record:
    found = sample.make_record()
    return replace(found, provenance=replace(found.provenance, digests={"policy": "p", "cards": "c", "routing": "r"}))


def test_the_last_window_of_comparable_runs_is_pooled(record: Record) -> None:
    foreign = _promotion(record, 4, fingerprint={**fingerprint(record), "cards": "old"})
    history = History(events=(*(_promotion(record, number) for number in range(4)), foreign))
    accepted = AcceptedRuns(record=record, history=history, options=BaselineOptions(window=3))
    pool = accepted.pool()
    assert (pool.runs, pool.reason, pool.deterministic) == (3, "", False)
    assert {card: (tally.passed, tally.judged) for card, tally in pool.cards.items()} == {"a": (6, 12), "b": (12, 12)}
    assert accepted.estimate("routing.accuracy")[0] == weighted_mean([0.94, 0.93, 0.92], [1.0, 1.0, 1.0])
    assert accepted.estimate("routing.ece") == (None, "The accepted runs did not measure it")


def test_older_runs_can_count_less(record: Record) -> None:
    history = History(events=(_promotion(record, 0), _promotion(record, 4)))
    pool = AcceptedRuns(record=record, history=history, options=BaselineOptions(half_life_runs=1)).pool()
    assert pool.cards["a"].rate == pytest.approx(2 / 3)
    assert pool.cards["a"].judged == pytest.approx(6**2 / 5)
    assert pool.cards["b"].rate == 1


def test_a_single_run_keeps_its_own_bounds_and_the_run_itself_is_never_its_baseline(record: Record) -> None:
    history = History(events=(_promotion(record, 1), _promotion(record, 2, run_id=record.run_id)))
    accepted = AcceptedRuns(record=record, history=history, options=BaselineOptions())
    assert accepted.estimate("routing.accuracy") == (wilson(91, 100), "")
    assert accepted.pool().runs == 1


def test_without_a_comparable_run_the_newest_ones_mismatch_is_told(record: Record) -> None:
    none = AcceptedRuns(record=record, history=History(), options=BaselineOptions())
    assert none.estimate("routing.accuracy") == (None, f"{NOTHING}: no run is accepted yet")
    other = _promotion(record, 1, fingerprint={**fingerprint(record), "model": "m2"})
    accepted = AcceptedRuns(record=record, history=History(events=(other,)), options=BaselineOptions())
    assert accepted.pool().reason == f"{NOTHING}: model differs: embedded here, m2 in the baseline"
    lenient = AcceptedRuns(record=record, history=History(events=(other,)), options=BaselineOptions(same=["cards"]))
    assert lenient.pool().runs == 1
    bare = AcceptedRuns(record=record, history=History(events=(_promotion(record, 1, cards={}),)), options=BaselineOptions())
    assert bare.pool().reason == "The accepted runs played no cards"


def test_a_single_record_is_compared_only_where_its_fingerprint_agrees(record: Record) -> None:
    moved = replace(record, provenance=replace(record.provenance, machine={"cores": "1"}))
    found = OneRecord(record=record, baseline=moved, options=BaselineOptions())
    assert found.estimate("routing.accuracy") == (record.metrics["routing.accuracy"], "")
    estimate, reason = found.estimate("turn.overhead.p95_s")
    assert estimate is None and reason.startswith(f"{NOTHING}: machine differs: cores unset here, 1 in the baseline; cpu 16")


def test_runs_are_pooled_as_deterministic_only_when_all_of_them_say_so(record: Record) -> None:
    here = replace(record, tables={**record.tables, "deterministic": True})
    sure = [_promotion(here, number, deterministic=True) for number in (1, 2)]
    for events, expected in ((sure, True), ([*sure, _promotion(here, 3)], False)):
        accepted = AcceptedRuns(record=here, history=History(events=tuple(events)), options=BaselineOptions())
        assert accepted.pool().deterministic is expected
    accepted = AcceptedRuns(record=record, history=History(events=tuple(sure)), options=BaselineOptions())
    assert accepted.pool().deterministic is False
