"""Old transcripts judged again by today's cards and evaluators, without playing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evals.cards import Card
from evals.errors import UsageError
from evals.evaluators.table import checks_for, measurable
from evals.experiment import judge
from evals.plan import PlannedPlay
from evals.runfiles import read_card_slots, read_transcripts
from evals.scoring import card_metrics, card_rows
from evals.transcript import Transcript
from reports.provenance import digest_path
from reports.records import Record, Slot, read_slots


@dataclass(frozen=True, kw_only=True)
class Change:
    """A slot whose state is not what it was; null: there was, or is, no such slot."""

    slot_id: str
    before: str | None
    after: str | None
    reason: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Rescored:
    """`slots` of the cards, in the order of the transcripts."""

    slots: Sequence[Slot]
    changes: Sequence[Change]


def rescore(run: Path, cards: Sequence[Card]) -> Rescored:
    """Judge the card transcripts of `run`. Raises `UsageError` when a card is gone or its user says something else today, naming all."""
    by_id = {card.id: card for card in cards}
    before = {slot.slot_id: slot for slot in read_card_slots(run)}
    played = {slot.card for slot in before.values()}
    transcripts = [transcript for transcript in read_transcripts(run) if transcript.card in played]
    faults = [fault for transcript in transcripts if (fault := _foreign(transcript, by_id.get(transcript.card)))]
    if faults:
        raise UsageError("\n".join(f"{run}: {fault}; play it again" for fault in dict.fromkeys(faults)))
    slots = [slot for transcript in transcripts for slot in _judged(by_id[transcript.card], transcript)]
    after = {slot.slot_id: slot for slot in slots}
    names = [*after, *(name for name in before if name not in after)]
    changes = [
        Change(
            slot_id=name,
            before=before[name].state if name in before else None,
            after=after[name].state if name in after else None,
            reason=(after.get(name) or before[name]).reason,
        )
        for name in names
        if (before[name].state if name in before else None) != (after[name].state if name in after else None)
    ]
    return Rescored(slots=slots, changes=changes)


def rescored_record(record: Record, run: Path, rescored: Rescored, scenarios: Path) -> tuple[Record, list[Slot]]:
    """The old record with the cards judged anew, and all its slots: those of other suites stay as they were.

    Its provenance says which run it was made from, and the digest of the cards then and now. The run id is new.
    """
    others = [slot for slot in read_slots(run / "slots.jsonl", record.slots_digest) if slot.suite != "cards"]
    slots = [*rescored.slots, *others]
    digests: Mapping[str, str] = {
        **record.provenance.digests,
        "cards": digest_path(scenarios) or "",
        "cards.when_played": record.provenance.digests.get("cards", ""),
        "rescored_from": record.run_id,
    }
    kept = {name: value for name, value in record.metrics.items() if not _of_cards(name)}
    return (
        replace(
            record,
            run_id=f"{record.run_id}-rescored",
            provenance=replace(record.provenance, digests={name: digest for name, digest in digests.items() if digest}),
            metrics={**kept, **card_metrics(rescored.slots)},
            slot_counts={**record.slot_counts, "cards": _counts(rescored.slots)},
            tables={**record.tables, "cards": card_rows(rescored.slots)},
            slots_digest=None,
        ),
        slots,
    )


def _foreign(transcript: Transcript, card: Card | None) -> str:
    """Why a transcript is not of today's card; empty when it is."""
    if card is None:
        return f"card {transcript.card} is not among today's cards"
    said = [turn.user for turn in transcript.turns]
    wanted = [turn.user for turn in card.turns]
    if card.goal is not None:
        return "" if said[:1] == wanted[: len(said[:1])] else f"card {card.id}: the user begins otherwise now"
    return "" if said == wanted[: len(said)] else f"card {card.id}: the user says something else now"


def _judged(card: Card, transcript: Transcript) -> list[Slot]:
    shown = [check for check in checks_for(card) if measurable(check, transcript.visible)]
    return judge(PlannedPlay(card=card, repeat=transcript.repeat, checks=shown), transcript)


def _of_cards(metric: str) -> bool:
    """Metrics of card verdicts; what was measured on the turns themselves has not changed."""
    return metric.startswith("cards.") and metric != "cards.tool_success"


def _counts(slots: Sequence[Slot]) -> dict[str, int]:
    states = [slot.state for slot in slots]
    return {state: states.count(state) for state in dict.fromkeys(states)}
