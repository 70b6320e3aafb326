"""Two finished runs side by side: gates, metrics, cards that changed, routing, where a turn's time goes, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reports.failures import read_transcripts
from reports.gates.counting import CardCount, Counts, count_slots
from reports.gates.metrics import describe_metric
from reports.gates.verdict import GateResult, Verdict, read_verdict
from reports.history import ASPECTS, Aspect, fingerprint, mismatches
from reports.records import Estimate, Record, Unit, read_record, read_slots
from reports.statistics.bonett_price import paired_difference
from reports.statistics.differences import difference
from reports.statistics.fisher import fisher_less
from reports.statistics.mcnemar import mcnemar_worse
from reports.statistics.means import mean_estimate

Direction = Literal["broke", "healed", "changed", "only in a", "only in b"]
SHARED: frozenset[Aspect] = frozenset(aspect for aspect in ASPECTS if aspect != "policy")
"""What two runs should share so that a difference is the build's. A policy judges and does not measure."""
USAGE = ("input_tokens", "output_tokens", "model_calls", "cost_usd")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two runs. `usage` sums what the played cards used; a figure no turn told is absent."""

    folder: Path
    record: Record
    verdict: Verdict
    counts: Counts
    usage: Mapping[str, float]
    turns: int


@dataclass(frozen=True, kw_only=True)
class GatePair:
    """The same policy line in both runs; null where a run has no such line."""

    title: str
    a: GateResult | None
    b: GateResult | None

    @property
    def changed(self) -> bool:
        return (self.a.state if self.a else None) != (self.b.state if self.b else None)


@dataclass(frozen=True, kw_only=True)
class MetricPair:
    """`delta` is b minus a, with bounds where both sides have them."""

    name: str
    title: str
    unit: Unit
    a: Estimate | None
    b: Estimate | None
    delta: Estimate | None

    @property
    def clear(self) -> bool:
        """Whether the bounds leave out no difference at all."""
        if self.delta is None or self.delta.low is None or self.delta.high is None:
            return False
        return self.delta.low > 0 or self.delta.high < 0


@dataclass(frozen=True, kw_only=True)
class CardPair:
    """A card that does not stand the same in both. `chance`: of so few passes in b, were it as good as in a (Fisher, one-sided);
    null for a card that only one run has."""

    card: str
    direction: Direction
    a: CardCount | None
    b: CardCount | None
    chance: float | None


@dataclass(frozen=True, kw_only=True)
class Paired:
    """All cards judged in both. `broke` and `healed` count those that lost or gained their full pass; `chance` is McNemar's."""

    cards: int
    broke: int
    healed: int
    delta: Estimate
    chance: float


@dataclass(frozen=True, kw_only=True)
class StagePair:
    """Mean seconds of a turn in a stage."""

    stage: str
    a_s: float | None
    b_s: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`incomparable` lists what differs between the runs beside what is compared; nothing is hidden because of it."""

    a: Side
    b: Side
    incomparable: list[str]
    gates: list[GatePair]
    metrics: list[MetricPair]
    paired: Paired
    cards: list[CardPair]
    agents: list[str]
    confusion: list[list[int]]
    stages: list[StagePair]


def compare(a: Path, b: Path) -> Comparison:
    """Compare two run folders; differences are b minus a. Raises `RecordError` or `VerdictError` when one cannot be read."""
    one, other = _side(a), _side(b)
    agents, shifts = _confusion(one.record.tables.get("confusion"), other.record.tables.get("confusion"))
    return Comparison(
        a=one,
        b=other,
        incomparable=mismatches(fingerprint(other.record), fingerprint(one.record), SHARED),
        gates=_gates(one.verdict, other.verdict),
        metrics=_metrics(one.record, other.record),
        paired=_paired(one.counts, other.counts),
        cards=_cards(one.counts, other.counts),
        agents=agents,
        confusion=shifts,
        stages=_stages(one.record, other.record),
    )


def _side(folder: Path) -> Side:
    record = read_record(folder / "record.json")
    usage: dict[str, float] = {}
    turns = 0
    for row in read_transcripts(folder / "transcripts.jsonl"):
        for turn in row.get("turns") or []:
            turns += 1
            told: Mapping[str, Any] = turn.get("usage") or {}
            for name in USAGE:
                if isinstance(told.get(name), int | float):
                    usage[name] = usage.get(name, 0.0) + told[name]
    return Side(
        folder=folder,
        record=record,
        verdict=read_verdict(folder / "verdict.json"),
        counts=count_slots(read_slots(folder / "slots.jsonl", record.slots_digest)),
        usage=usage,
        turns=turns,
    )


def _gates(a: Verdict, b: Verdict) -> list[GatePair]:
    """Lines whose state changed first, each group in the order of b."""
    ours, theirs = {gate.id: gate for gate in a.gates}, {gate.id: gate for gate in b.gates}
    pairs = [
        GatePair(title=(theirs.get(name) or ours[name]).title, a=ours.get(name), b=theirs.get(name))
        for name in dict.fromkeys([*theirs, *ours])
    ]
    return sorted(pairs, key=lambda pair: not pair.changed)


def _metrics(a: Record, b: Record) -> list[MetricPair]:
    pairs: list[MetricPair] = []
    for name in sorted({*a.metrics, *b.metrics}):
        one, other = a.metrics.get(name), b.metrics.get(name)
        metric = describe_metric(name)
        delta = difference(other, one) if one and other else None
        pairs.append(MetricPair(name=name, title=metric.title, unit=metric.unit, a=one, b=other, delta=delta))
    return sorted(pairs, key=lambda pair: not pair.clear)


def _judged(cards: Iterable[CardCount]) -> dict[str, CardCount]:
    return {card.card: card for card in cards if card.passed + card.failed}


def _rate(card: CardCount) -> float:
    return card.passed / (card.passed + card.failed)


def _paired(a: Counts, b: Counts) -> Paired:
    """Cards are the units. With one repeat on both sides the difference has Bonett and Price's bounds, else Student's over cards."""
    ours, theirs = _judged(a.cards), _judged(b.cards)
    both = sorted(ours.keys() & theirs.keys())
    whole = [(_rate(ours[card]) == 1, _rate(theirs[card]) == 1) for card in both]
    broke, healed = whole.count((True, False)), whole.count((False, True))
    single = all(ours[card].repeats == theirs[card].repeats == 1 for card in both)
    planned = len({card.card for card in (*a.cards, *b.cards)})
    if single:
        delta = paired_difference(broke, healed, len(both), planned=planned)
    else:
        delta = mean_estimate([_rate(theirs[card]) - _rate(ours[card]) for card in both], planned=planned)
    return Paired(cards=len(both), broke=broke, healed=healed, delta=delta, chance=mcnemar_worse(broke, healed))


def _cards(a: Counts, b: Counts) -> list[CardPair]:
    """Broken cards first, the least likely by chance at the top."""
    ours, theirs = {card.card: card for card in a.cards}, {card.card: card for card in b.cards}
    pairs: list[CardPair] = []
    for name in sorted({*ours, *theirs}):
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None:
            pairs.append(CardPair(card=name, direction="only in b" if one is None else "only in a", a=one, b=other, chance=None))
        elif (one.passed, one.failed, one.unjudged) != (other.passed, other.failed, other.unjudged):
            pairs.append(_changed(name, one, other))
    order: list[Direction] = ["broke", "changed", "healed", "only in a", "only in b"]
    return sorted(pairs, key=lambda pair: (order.index(pair.direction), pair.chance if pair.chance is not None else 1.0))


def _changed(name: str, a: CardCount, b: CardCount) -> CardPair:
    judged_a, judged_b = a.passed + a.failed, b.passed + b.failed
    chance, direction = None, "changed"
    if judged_a and judged_b:
        chance = fisher_less(b.passed, judged_b, a.passed, judged_a)
        direction = "broke" if _rate(b) < _rate(a) else "healed" if _rate(b) > _rate(a) else "changed"
    return CardPair(card=name, direction=direction, a=a, b=b, chance=chance)


def _confusion(a: object, b: object) -> tuple[list[str], list[list[int]]]:
    """Labels and counts of b minus a; empty unless both runs have the table."""
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return [], []
    labels = list(dict.fromkeys([*map(str, a["labels"]), *map(str, b["labels"])]))
    shifts = [[0] * len(labels) for _ in labels]
    for table, sign in ((a, -1), (b, 1)):
        place = [labels.index(str(label)) for label in table["labels"]]
        for row, numbers in zip(place, table["counts"], strict=True):
            for column, number in zip(place, numbers, strict=True):
                shifts[row][column] += sign * number
    return labels, shifts


def _stages(a: Record, b: Record) -> list[StagePair]:
    """Largest change first."""
    ours, theirs = a.tables.get("stages") or {}, b.tables.get("stages") or {}
    pairs = [StagePair(stage=stage, a_s=ours.get(stage), b_s=theirs.get(stage)) for stage in dict.fromkeys([*ours, *theirs])]
    return sorted(pairs, key=lambda pair: -abs((pair.b_s or 0.0) - (pair.a_s or 0.0)))
