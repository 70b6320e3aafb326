"""Which tool a request is for: by meaning and wording against what each tool says of itself, and by the form of the request.

Two questions, answered apart. *Which tool*: a weighted sum that compares the request with each tool's claims and example requests after
what all tools of the agent have in common is taken away, so that a shared topic decides nothing. *Is it for a tool at all*, or a
question for the knowledge base: log-odds from the closeness of the match and from how general the request is.
The weights were fitted on held-out example requests of the shipped packs; they know no words of any domain.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from assistant.models.embedded.extract.numbers import count_numbers
from assistant.models.embedded.extract.people import NameSense
from assistant.models.embedded.kinds import concerns_people, is_person
from assistant.models.embedded.language import content_stems, core, form, stem, words
from assistant.models.embedded.plain import bare_phrase, plain, unquoted
from assistant.models.embedded.requests import (
    asks,
    asks_for_help,
    deed,
    generality,
    names_particulars,
    ordered_deeds,
    orders,
    speaks_of_present,
)
from assistant.models.embedded.similarity import Similarity, Vector
from assistant.models.embedded.toolbook import ToolCard

READ_THRESHOLD = 0.40
WRITE_THRESHOLD = 0.45
"""Least closeness of a request to a tool, where there is no knowledge base to ask instead. Changing something needs a closer match."""
WRITE_ODDS = 0.6
READ_ODDS = 0.2
"""Least log-odds for a tool that changes something, and for one that only reads."""
READ_FLOOR = 0.22
ORDER_FLOOR = 0.22
TOLD_FLOOR = 0.3
"""Least closeness in any case: a plain statement shows no cue of being general, yet may concern no tool at all."""
NUMBER_SUITS = 0.7
NUMBER_LACKS = 1.5
PERSON_SUITS = 2.0
PERSON_STRANGE = 1.0
"""What it adds to a tool's rank that the request has the numbers or people it needs, and takes away that it has no number,
or asks about people a reading tool knows nothing of."""
CLOSENESS = 1.0
ODDS_SHARE = 0.6
"""What the log-odds of being for a tool at all count in choosing among tools."""
DEED_SUITS = 1.5
VERB_SUITS = 1.5
"""What it adds that a tool's examples order, ask or tell as the request does, and that one orders with the same verb."""
GENERAL_COST = 4.0
NEVER = -100.0


@dataclass(frozen=True, kw_only=True)
class ToolScore:
    """`rank` orders the tools of one request. `closeness` is the best cosine, 0 to 1. `odds`: log-odds that the request is for a tool.

    `ordered`: the request says that something is to be done.
    """

    card: ToolCard
    rank: float
    closeness: float
    odds: float
    ordered: bool = False

    @property
    def is_close(self) -> bool:
        return self.closeness >= (WRITE_THRESHOLD if self.card.effect == "write" else READ_THRESHOLD)

    @property
    def is_likely(self) -> bool:
        floor, odds = (
            (READ_FLOOR, READ_ODDS) if self.card.effect == "read" else (ORDER_FLOOR if self.ordered else TOLD_FLOOR, WRITE_ODDS)
        )
        return self.closeness >= floor and self.odds > odds


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a request brings for arguments: how many free numbers and how many people."""

    numbers: int
    people: int
    asks: bool

    def serve(self, card: ToolCard) -> float:
        """How well that suits what the tool cannot do without."""
        required = [one for one in card.parameters if one.required]
        numeric = sum(one.kind in {"number", "integer"} and not one.choices for one in required)
        persons = sum(is_person(one) for one in required)
        strange = (
            self.asks and self.people > 0 and card.effect == "read" and not any(concerns_people(one) for one in card.parameters)
        )
        numbers = 0.0 if not numeric else NUMBER_SUITS if self.numbers >= numeric else -NUMBER_LACKS
        return numbers + PERSON_SUITS * min(persons, self.people) - PERSON_STRANGE * strange


class ToolChoice:
    """Scores tools for a request. Holds caches only."""

    def __init__(self, similarity: Similarity) -> None:
        self._similarity = similarity
        self._names = NameSense(similarity)
        self._prepared: dict[tuple[int, ...], _Toolset] = {}

    def rank(self, request: str, cards: Sequence[ToolCard]) -> list[ToolScore]:
        """All acting tools (never the knowledge search), best first; ties keep the given order."""
        acting = [card for card in cards if not card.is_knowledge]
        if not acting:
            return []
        toolset = self._toolset(acting)
        bare = bare_phrase(plain(unquoted(request))) or request
        readings = [toolset.read(bare, part, self._similarity.vector(part)) for part in [*_readings(core(bare)), *_ordered(bare)]]
        given = Given(numbers=count_numbers(bare), people=len(self._names.people(bare)), asks=asks(bare))
        best = [max((scores[at] for scores in readings), key=lambda one: one.rank) for at in range(len(acting))]
        best = [replace(one, rank=one.rank + given.serve(one.card) + ODDS_SHARE * one.odds) for one in best]
        return sorted(best, key=lambda one: -one.rank)

    def _toolset(self, cards: Sequence[ToolCard]) -> _Toolset:
        key = tuple(id(card) for card in cards)
        if key not in self._prepared:
            if len(self._prepared) >= 256:
                self._prepared.clear()
            self._prepared[key] = _Toolset(cards, self._similarity)
        return self._prepared[key]


class _Toolset:
    """The tools of one agent with their sentences' vectors. Holds its cards, so that their identities stay theirs."""

    def __init__(self, cards: Sequence[ToolCard], similarity: Similarity) -> None:
        self.cards = tuple(cards)
        similarity.learn(text for card in cards for text in (*card.claims, *_all_sentences(card)))
        self._claims = [_stacked(similarity, card.claims) for card in cards]
        self._all = [_stacked(similarity, _all_sentences(card)) for card in cards]
        self._common = np.mean([rows.mean(axis=0) for rows in self._all], axis=0)
        self._centres = _units(np.stack([rows.mean(axis=0) for rows in self._all]) - self._common)
        self._first, self._first_common = _centred(np.stack([rows[0] for rows in self._claims]))
        self._named, self._named_common = _centred(np.stack([rows[-1] for rows in self._claims]))
        self._forms = [Counter(form(example) for example in card.examples) for card in cards]
        self._deeds = [_deeds(card) for card in cards]
        self._verbs = [_verbs(card) for card in cards]
        self._helps = [any(asks_for_help(example) for example in card.examples) for card in cards]
        self._bags = [_bag(card) for card in cards]
        self._name_stems = [content_stems(card.claims[-1]) for card in cards]
        self._spread = Counter(one for bag in self._bags for one in bag)
        self._name_spread = Counter(one for stems in self._name_stems for one in stems)

    def read(self, request: str, reading: str, vector: Vector) -> list[ToolScore]:
        """Scores in the order of the cards for one reading of a request."""
        centres = self._centres @ _unit(vector - self._common)
        firsts = self._first @ _unit(vector - self._first_common)
        names = self._named @ _unit(vector - self._named_common)
        asked, effect, shape = content_stems(reading), deed(request), form(request)
        general, helped = _general_odds(request), asks_for_help(request)
        verbs = {stem(words(part)[0]) for part in ordered_deeds(request)}
        scores: list[ToolScore] = []
        for at, card in enumerate(self.cards):
            closeness = float((self._all[at] @ vector).max())
            worded = _share(asked, self._bags[at], self._spread, len(self.cards))
            named = _share(self._name_stems[at], asked, self._name_spread, len(self.cards))
            agreed = effect if card.effect == "write" else -effect
            alike = self._forms[at][shape] / max(1, len(card.examples))
            rank = (
                5.3 * float(centres[at])
                + 5.8 * float(firsts[at])
                + 1.2 * float(names[at])
                + 1.0 * worded
                + 2.0 * named
                + 2.2 * agreed
            )
            rank += DEED_SUITS * self._deeds[at][_kind(effect)] + VERB_SUITS * bool(verbs & self._verbs[at])
            rank += 1.0 * alike + CLOSENESS * closeness + 12.0 * max(0.0, closeness - 0.65)
            odds = 3.0 * closeness + 2.5 * worded + 1.3 * agreed + 20.0 * max(0.0, closeness - 0.75) + general
            odds += GENERAL_COST if helped and self._helps[at] else 0.0
            scores.append(
                ToolScore(card=card, rank=rank, closeness=closeness, odds=odds, ordered=effect == 1.0)
                if not _forbids(request, card)
                else _never(card)
            )
        return scores


def _never(card: ToolCard) -> ToolScore:
    return ToolScore(card=card, rank=NEVER, closeness=0.0, odds=NEVER)


def _forbids(request: str, card: ToolCard) -> bool:
    """A question changes nothing, however close the words ("how do I log one?"), unless the tool gives such a question as an example."""
    return card.effect == "write" and asks(request) and not any(asks(example) for example in card.examples)


def _general_odds(request: str) -> float:
    general = generality(request)
    # What may or must be done today, or with unit 4, is a rule all the same: such words count half beside one of rules.
    here = 3.6 * speaks_of_present(request) + 2.3 * names_particulars(request)
    odds = 0.5 - GENERAL_COST * general + here * (1.0 - 0.5 * min(1.0, general))
    return odds - (3.5 if asks(request) or form(request) == "question" else 0.0)


def _all_sentences(card: ToolCard) -> list[str]:
    return [reading for sentence in (*card.claims, *card.examples) for reading in _readings(core(sentence))]


def _readings(request: str) -> list[str]:
    """A request, and what stands before its colon: "log an incident: ..." says the deed first and the matter after."""
    head, colon, _ = request.partition(": ")
    return [request, head] if colon and 2 <= len(words(head)) <= 8 else [request]


def _ordered(request: str) -> list[str]:
    """What a longer message says to do or asks, without what it tells around that."""
    return [part for part in orders(request) if 3 <= len(words(part)) < len(words(core(request)))]


def _kind(effect: float) -> int:
    return 1 if effect == 1.0 else -1 if effect == -1.0 else 0


def _deeds(card: ToolCard) -> dict[int, float]:
    """Share of the examples that order (1), ask (-1) and tell (0)."""
    kinds = Counter(_kind(deed(example)) for example in card.examples)
    return {kind: kinds[kind] / max(1, len(card.examples)) for kind in (1, -1, 0)}


def _verbs(card: ToolCard) -> frozenset[str]:
    """Stems of the verbs a tool's claims and examples order with."""
    return frozenset(stem(words(part)[0]) for text in (*card.claims[:1], *card.examples) for part in ordered_deeds(text))


def _bag(card: ToolCard) -> frozenset[str]:
    described = (f"{parameter.label} {parameter.description}" for parameter in card.parameters)
    return frozenset[str]().union(*(content_stems(text) for text in (*card.claims, *card.examples, *described)))


def _share(wanted: Iterable[str], had: frozenset[str], spread: Counter[str], tools: int) -> float:
    """Share of the wanted stems that are had, rare ones among the tools counting more."""
    weights = {one: max(0.0, math.log((tools + 1) / (spread[one] + 0.5))) for one in wanted}
    total = sum(weights.values())
    return sum(weight for one, weight in weights.items() if one in had) / total if total else 0.0


def _stacked(similarity: Similarity, texts: Sequence[str]) -> Vector:
    return np.stack([similarity.vector(text) for text in texts])


def _centred(rows: Vector) -> tuple[Vector, Vector]:
    common = rows.mean(axis=0)
    return _units(rows - common), common


def _units(rows: Vector) -> Vector:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms > 1e-6, norms, np.inf)).astype(np.float32)


def _unit(row: Vector) -> Vector:
    norm = float(np.linalg.norm(row))
    return row / norm if norm > 1e-6 else row
