"""What a run would cost and what it could prove, before anything is played."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean

from evals.cards import Card
from evals.plan import Plan
from evals.reliability import CardHistory
from evals.routing.data import Utterance
from evals.transcript import Transcript

ASSUMED_BETWEEN = 0.01
ASSUMED_WITHIN = 0.09
ASSUMED_DISCORDANCE = 0.1
"""Share of utterances, or of cards played once, whose verdict changes between two builds one would call equal; nobody can know it before
both are run."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """`between`: variance over cards of the true change between two builds. `within`: variance of one play about its card's rate.
    `source` says in words where `within` comes from; `between` is always assumed."""

    between: float = ASSUMED_BETWEEN
    within: float = ASSUMED_WITHIN
    source: str = "assumed"


@dataclass(frozen=True, kw_only=True)
class Drop:
    """The smallest fall of a metric that the plan finds four times in five; null when it could find none, `units` being too few."""

    metric: str
    units: int
    unit: str
    smallest: float | None


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """`expected_s` is null when no former run says how long a play takes; `unknown_cards` have no former play and count as average."""

    cards: int
    plays: int
    slots: int
    slots_by_check: Mapping[str, int]
    not_measurable: Mapping[str, str]
    expected_s: float | None
    unknown_cards: int
    noise: Noise
    drops: Sequence[Drop]


def smallest_drop(units: int, repeats: int, noise: Noise, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """(z(1-alpha) + z(power)) sqrt((between + 2 within / repeats) / units), one-sided, both arms with the same cards and repeats
    (Miller, arXiv 2411.00640). Null when it exceeds 1: then no drop of a rate can be found."""
    if units < 1 or repeats < 1:
        return None
    drop = _reach(alpha, power) * sqrt((noise.between + 2 * noise.within / repeats) / units)
    return drop if drop <= 1 else None


def smallest_paired_drop(units: int, discordance: float, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """(z(1-alpha) + z(power)) sqrt(discordance / units): each unit decided once by either build.

    A drop can only come from units that change. Where the formula asks for more than `discordance`, all changes are taken as breaks and
    their share grows with the drop: (z(1-alpha) + z(power))^2 / units. Null when that exceeds 1.
    """
    if units < 1:
        return None
    drop = _reach(alpha, power) * sqrt(discordance / units)
    if drop > discordance:
        drop = _reach(alpha, power) ** 2 / units
    return drop if drop <= 1 else None


def noise_from(histories: Sequence[CardHistory], *, deterministic: bool) -> Noise:
    """The noise of a target: none when it can only repeat itself, else measured over cards judged at least twice, else assumed."""
    if deterministic:
        return Noise(within=0.0, source="this target gives the same answers every time")
    flips = [flip for history in histories if (flip := history.flips) is not None]
    if not flips:
        return Noise()
    return Noise(within=fmean(flips) / 2, source=f"measured on {len(flips)} cards of a former run")


def play_seconds(transcripts: Iterable[Transcript]) -> dict[str, float]:
    """Mean seconds of a play per card, over plays whose every turn was timed."""
    seen: dict[str, list[float]] = defaultdict(list)
    for transcript in transcripts:
        times = [turn.duration_s for turn in transcript.turns if turn.duration_s is not None]
        if transcript.turns and len(times) == len(transcript.turns):
            seen[transcript.card].append(sum(times))
    return {card: fmean(times) for card, times in seen.items()}


def outlook(plan: Plan, *, noise: Noise, seconds: Mapping[str, float], concurrency: int) -> Outlook:
    """Slots, time and power of a plan of cards. `seconds` as from `play_seconds`, empty when nothing is known."""
    by_check: dict[str, int] = defaultdict(int)
    for play in plan.plays:
        for check in play.checks:
            by_check[check.name] += 1
    cards = {play.card.id: play.card for play in plan.plays}
    known = {card: seconds[card] for card in cards if card in seconds}
    average = fmean(known.values()) if known else None
    expected = None if average is None else sum(known.get(play.card.id, average) for play in plan.plays) / concurrency
    return Outlook(
        cards=len(cards),
        plays=len(plan.plays),
        slots=plan.slot_count,
        slots_by_check=dict(by_check),
        not_measurable=plan.not_measurable,
        expected_s=expected,
        unknown_cards=len(cards) - len(known),
        noise=noise,
        drops=card_drops(list(cards.values()), repeats=1 + max((play.repeat for play in plan.plays), default=0), noise=noise),
    )


def card_drops(cards: Sequence[Card], *, repeats: int, noise: Noise) -> list[Drop]:
    """The smallest drop of every pass rate: all cards, each area, each agent. Without noise a card is one decision, right or wrong."""
    groups: dict[str, int] = {"cards.pass_rate": len(cards)}
    for area in sorted({card.area for card in cards}):
        groups[f"cards.{area}.pass_rate"] = sum(card.area == area for card in cards)
    for agent in sorted({agent for card in cards for agent in _agents(card)}):
        groups[f"cards.agent.{agent}.pass_rate"] = sum(agent in _agents(card) for card in cards)
    paired = noise.within == 0
    return [
        Drop(
            metric=metric,
            units=units,
            unit="cards",
            smallest=smallest_paired_drop(units, ASSUMED_DISCORDANCE) if paired else smallest_drop(units, repeats, noise),
        )
        for metric, units in groups.items()
    ]


def routing_drops(utterances: Sequence[Utterance], *, discordance: float = ASSUMED_DISCORDANCE) -> list[Drop]:
    """The smallest drop of accuracy and of each agent's recall. Families are the units, as paraphrases break together."""
    families: dict[str, set[str]] = defaultdict(set)
    for row in utterances:
        families[row.agent].add(row.family or row.id)
    counts = {"routing.accuracy": len(set[str]().union(*families.values()))}
    counts |= {f"routing.recall.{agent}": len(names) for agent, names in sorted(families.items())}
    return [
        Drop(metric=metric, units=units, unit="families", smallest=smallest_paired_drop(units, discordance))
        for metric, units in counts.items()
    ]


def _agents(card: Card) -> set[str]:
    expected = [turn.expect.agent for turn in card.turns]
    return {name for names in expected if names is not None for name in ([names] if isinstance(names, str) else names)}


def _reach(alpha: float, power: float) -> float:
    return NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(power)
