"""Promotion of a run to the accepted history, and its revocation: explicit acts with a name and a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reports.format import listing
from reports.gates.counting import Counts, count_slots
from reports.gates.verdict import Verdict, read_verdict
from reports.history import DETERMINISTIC, History, HistoryError, Promotion, Revocation, append_event, fingerprint, read_history
from reports.provenance import digest_path
from reports.records import Record, read_record, read_slots

EVIDENCE = ("record.json", "slots.jsonl", "verdict.json")


@dataclass(frozen=True, kw_only=True)
class Act:
    """Who changes the history, why, and when (with a time zone)."""

    who: str
    why: str
    at: datetime


def promote(folder: Path, runs: Path, act: Act) -> Promotion:
    """Accept the run in `folder` into the history under `runs`.

    Only a run whose evidence is whole and whose verdict is `pass` without a waiver is accepted, once. Raises `HistoryError`
    with every reason against it, `RecordError` or `VerdictError` when it cannot be read.
    """
    record, verdict = read_record(folder / "record.json"), read_verdict(folder / "verdict.json")
    counts = count_slots(read_slots(folder / "slots.jsonl", record.slots_digest))
    against = [*_unsigned(act), *_unfit(record, verdict), *_changed(record, verdict, counts)]
    if record.run_id in {promotion.run_id for promotion in read_history(runs).accepted}:
        against.append(f"{record.run_id} is promoted already")
    if against:
        raise HistoryError(f"{folder}: cannot be promoted: {'; '.join(against)}; only valid, passing runs become a baseline")
    promotion = _promotion(folder, record, counts, act)
    append_event(runs, promotion)
    return promotion


def history_of(folder: Path) -> History:
    """A history of the one run in `folder`, accepted by nobody: for a comparison somebody asks for by name.

    Raises `HistoryError` when its evidence is broken, `RecordError` when it cannot be read.
    """
    record = read_record(folder / "record.json")
    if record.broken:
        raise HistoryError(f"{folder}: cannot be compared with: its evidence is broken ({record.broken[0].rstrip('.')})")
    act = Act(who="nobody", why="named as baseline", at=datetime.min.replace(tzinfo=UTC))
    return History(
        events=(_promotion(folder, record, count_slots(read_slots(folder / "slots.jsonl", record.slots_digest)), act),)
    )


def revoke(run_id: str, runs: Path, act: Act) -> Revocation:
    """Take a promotion back. Raises `HistoryError` when the run is not promoted, or the act is not signed."""
    accepted = read_history(runs).accepted
    against = _unsigned(act)
    if run_id not in {promotion.run_id for promotion in accepted}:
        known = listing([promotion.run_id for promotion in reversed(accepted)]) or "none"
        against.append(f"it is not promoted (promoted: {known})")
    if against:
        raise HistoryError(f"{run_id}: cannot be revoked: {'; '.join(against)}")
    revocation = Revocation(run_id=run_id, at=act.at, who=act.who.strip(), why=act.why.strip())
    append_event(runs, revocation)
    return revocation


def _promotion(folder: Path, record: Record, counts: Counts, act: Act) -> Promotion:
    return Promotion(
        run_id=record.run_id,
        at=act.at,
        who=act.who.strip(),
        why=act.why.strip(),
        created_at=record.created_at,
        tier=record.tier,
        commit=record.provenance.commit,
        dirty=record.provenance.dirty,
        deterministic=record.tables.get(DETERMINISTIC) is True,
        fingerprint=fingerprint(record),
        cards={card.card: (card.passed, card.passed + card.failed) for card in counts.cards if card.passed + card.failed},
        metrics={name: estimate for name, estimate in record.metrics.items() if estimate is not None},
        digests={name: digest for name in EVIDENCE if (digest := digest_path(folder / name))},
    )


def _unsigned(act: Act) -> list[str]:
    blank = [name for name, text in (("who", act.who), ("why", act.why)) if not text.strip()]
    zone = [] if act.at.tzinfo else ["the time of the act has no zone"]
    return [*(f"{name} is empty" for name in blank), *zone]


def _unfit(record: Record, verdict: Verdict) -> list[str]:
    against = [f"its evidence is broken ({reason.rstrip('.')})" for reason in record.broken]
    if verdict.run_id != record.run_id:
        against.append(f"verdict.json is of run {verdict.run_id}, record.json of {record.run_id}")
    if verdict.verdict != "pass":
        against.append(f"its verdict is {verdict.verdict}")
    waived = [gate.id for gate in verdict.gates if gate.state == "waived"]
    if waived:
        against.append(f"it passed with waivers ({listing(waived)}), and a waived failure must not become the norm")
    return against


def _changed(record: Record, verdict: Verdict, counts: Counts) -> list[str]:
    """Slots that are not those the verdict and the record were made from."""
    recorded = {suite: {state: number for state, number in row.items() if number} for suite, row in record.slot_counts.items()}
    same = verdict.suite_counts == counts.suites and {suite: row for suite, row in recorded.items() if row} == counts.states
    return [] if same else ["slots.jsonl does not hold what record.json and verdict.json count"]
