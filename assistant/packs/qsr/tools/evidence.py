"""What an evaluation rests on: the facts in somebody's words, and whether they are dated."""

from __future__ import annotations

import re

from assistant.packs.qsr.tools.days import MONTHS, WEEKDAYS
from assistant.packs.qsr.tools.matching import words

LEAST_FACTS = 2
_PARTS = re.compile(r"[.,;:!?\n]+(?!\d)|\b(?:and|but|plus|also)\b", re.IGNORECASE)
_WHEN = re.compile(
    rf"\b(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}/\d{{1,2}}|\d{{1,2}}(?:st|nd|rd|th)?|(?:{'|'.join(MONTHS)})[a-z]*|(?:{'|'.join(WEEKDAYS)})s?|today|yesterday|"
    r"(?:last|this|all|every|past) (?:week|month|shift|night|morning|evening|weekend)|(?:week|month|day|shift)s?)\b",
    re.IGNORECASE,
)
_REQUEST = frozenset(
    words(
        "rate rated rating evaluate evaluation review performance score scored give gave put record note down mark as out star stars point points this "
        "ok okay now then please him her he she they them good great bad poor fine nice well really very solid excellent because since reason evidence"
    )
)


def facts_in(evidence: str, names: str = "") -> list[str]:
    """The parts of the words that say what was seen: at least two words beside the request, the date, a bare judgement and `names`."""
    spare = _REQUEST | set(words(names))
    parts = (part.strip() for part in _PARTS.split(evidence))
    return [part for part in parts if len([word for word in words(_WHEN.sub(" ", part)) if word not in spare]) >= 2]


def from_first_fact(evidence: str, facts: list[str]) -> str:
    """The words from the first fact on, without the request in front of it."""
    return evidence[evidence.find(facts[0]) :].strip() if facts else evidence.strip()


def dated(fact: str) -> bool:
    """Whether the fact says when it was."""
    return _WHEN.search(fact) is not None
