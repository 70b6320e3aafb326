"""Finds the requests in a message that asks more than one agent for something, by its clauses; no subject words of any pack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from assistant.routing.head import NO_AGENT, Prediction
from assistant.routing.lexical import words

SHORTEST = 8
"""Words of a message that may hold two requests."""
SHORTEST_CLAUSE = 3
MOST_CUTS = 5
MOST_REQUESTS = 3
CLEAR = 0.5
ADDED = 0.4
BARE = 0.9
ENDED = 0.9
"""How probable each request must be for its own agent: where a comma or semicolon goes before the conjunction, where a word says that something is added, where
"and" stands alone, which mostly joins parts of one request, and where a sentence merely ends."""
HEARD = 0.0001
"""Where the message as a whole gives an agent less than this, its part of it is a circumstance and no request.

All were chosen on predictions for training utterances by heads that had not seen them (docs/measurements/routing.md).
"""
VERBS = frozenset("is was are were has have had".split())
LEANING = VERBS | frozenset("same there then so because since now ever still wants want".split())
POINTING = frozenset("it it's that that's thats this they them he she him those these one ones eso esto ella lo".split())
"""A clause that begins with a word of the first, or has one of the second in its first few, goes on with the clause before it."""
OWN_SUBJECT = frozenset("the a an my our your there any anybody anyone somebody someone el la un una".split())
"""After a leading verb these make a question of its own: "is the hall free"."""
FEW = 6

_CUT = re.compile(
    r"(?<=[.?!;])\s+(?:(?:and|also|plus|y|e|tambi[eé]n|adem[aá]s)\s+)*"
    r"|\s*\n+\s*"
    r"|,?\s+(?:(?:and|also|plus|y|e|tambi[eé]n|adem[aá]s)\b,?\s+)+"
    r"|\s+[-–—]\s+",
    re.IGNORECASE,
)
ENDS = (".", "?", "!", ";")
_ADDS = re.compile(r"\b(?:also|plus|tambi[eé]n|adem[aá]s)\b", re.IGNORECASE)
_JOINS = re.compile(r"\b(?:and|y|e)\b", re.IGNORECASE)
_PAST = re.compile(r"[^e]ed$")
"""A verb at the head of a clause, whose subject stands in the clause before ("fell and splashed")."""
_PAUSE = re.compile(r"[,.;:?!]\s")


Cut = tuple[str, str, float]
"""Left side, right side, and how clear both must be."""


class Predicts(Protocol):
    """What a splitter needs of `assistant.routing.Router`."""

    def predict(self, text: str) -> Prediction: ...

    def predict_both(self, text: str, other: str) -> tuple[Prediction, Prediction]: ...


class Splitter:
    """Cuts a message where it turns from one agent's request to another's. A message with one request costs a few microseconds, or, where it is long and
    has a place to cut, two predictions for each such place."""

    def __init__(self, router: Predicts) -> None:
        self._router = router

    def split(self, text: str) -> list[str]:
        """One text for every agent that is asked for something, in order of mention; `[text]` where that is one or in doubt."""
        if len(words(text)) < SHORTEST or next(_cuts(text), None) is None:
            return [text]
        asked: dict[str, list[str]] = {}
        for agent, part in self._parts(text, MOST_REQUESTS):
            asked.setdefault(agent, []).append(part)
        return [" ".join(parts) for parts in asked.values()] if len(asked) > 1 else [text]

    def _parts(self, text: str, most: int) -> list[tuple[str, str]]:
        """Agents and their clauses in order; at most `most`."""
        cuts = list(_cuts(text)) if most > 1 else []
        if not cuts:
            return [(self._router.predict(text).agent, text)]
        whole, first = self._router.predict_both(text, cuts[0][0])
        heard = {agent for agent, share in whole.agents if agent != NO_AGENT and share >= HEARD}
        cut = self._best_cut(cuts, first, heard) if len(heard) > 1 else None
        if cut is None:
            return [(whole.agent, text)]
        left = self._parts(cut[0], most - 1)
        return [*left, *self._parts(cut[1], most - len(left))]

    def _best_cut(self, cuts: Sequence[Cut], earliest: Prediction, heard: set[str]) -> tuple[str, str] | None:
        """The cut whose weaker side is clearest, of those that part two of the agents `heard`; `earliest` is of the first one's left side."""
        found: tuple[float, str, str] | None = None
        for place, (left, right, needed) in enumerate(cuts):
            first = self._router.predict(left) if place else earliest
            if first.confidence < needed or first.agent not in heard:
                continue
            second = self._router.predict(right)
            clear = min(first.confidence, second.confidence)
            if second.agent == first.agent or second.agent not in heard or clear < needed:
                continue
            if found is None or clear > found[0]:
                found = (clear, left, right)
        return found[1:] if found else None


def _cuts(text: str) -> Iterator[Cut]:
    """Both sides of each place between two clauses that could be requests, and how clear they must be; the first few in order."""
    given = 0
    for match in _CUT.finditer(text):
        left, right = text[: match.start()].strip(), text[match.end() :].strip()
        if given < MOST_CUTS and _ends_whole(left) and _begins_anew(right):
            given += 1
            yield left, right, _needed(left[-1], match.group())


def _needed(before: str, separator: str) -> float:
    if _ADDS.search(separator):
        return ADDED
    joined = _JOINS.search(separator) is not None
    if before == ";" or (joined and (before in ENDS or separator.startswith(","))):
        return CLEAR
    return BARE if joined else ENDED


def _ends_whole(left: str) -> bool:
    """Whether what stands before a cut is more than the last item of a list."""
    clause = left if left.endswith(ENDS) else _clauses(left)[-1]
    return len(words(clause)) >= SHORTEST_CLAUSE


def _begins_anew(right: str) -> bool:
    """Whether what follows a cut begins with a clause that is no item of a list and does not lean on what came before."""
    # "One of the books" names its subject, "the other one" points back.
    clause = words(re.sub(r"\bone of\b", "some", _clauses(right)[0], flags=re.IGNORECASE))
    if len(clause) < SHORTEST_CLAUSE or POINTING & {*clause[:FEW]} or _PAST.search(clause[0]):
        return False
    return clause[0] not in LEANING or (clause[0] in VERBS and clause[1] in OWN_SUBJECT)


def _clauses(side: str) -> list[str]:
    return [part for part in _PAUSE.split(side) if part.strip()] or [""]
