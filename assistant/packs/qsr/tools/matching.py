"""Finds the rows a person means by a few words or a whole sentence: names, aliases and keys, plurals and typing slips forgiven."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from assistant.packs.qsr.tools.rows import Keyed, Row, texts

STOP = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "on",
        "in",
        "at",
        "for",
        "to",
        "and",
        "or",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "do",
        "does",
        "did",
        "we",
        "our",
        "us",
        "i",
        "my",
        "me",
        "you",
        "your",
        "it",
        "its",
        "this",
        "that",
        "these",
        "those",
        "what",
        "which",
        "who",
        "when",
        "where",
        "how",
        "many",
        "much",
        "have",
        "has",
        "had",
        "with",
        "from",
        "by",
        "please",
        "can",
        "could",
        "should",
        "would",
        "will",
        "there",
        "any",
        "s",
        "t",
        "m",
        "re",
        "ll",
        "show",
        "tell",
        "give",
        "need",
        "want",
        "get",
        "some",
        "about",
    ]
)
_GENERIC = (
    "machine",
    "equipment",
    "appliance",
    "unit",
    "maintenance",
    "inspection",
    "inspector",
    "audit",
    "health",
    "store",
    "restaurant",
    "shop",
    "team",
    "staff",
)
GENERIC = frozenset(_GENERIC)
"""Words that many names have and that everybody says about anything: alone they pick no row out of several."""
NAME_FIELDS = ("name", "aliases")


def words(phrase: str) -> list[str]:
    """Content words in order, lower case, singular."""
    found = (_stem(word) for word in re.findall(r"[a-z0-9]+", phrase.lower().replace("'", "")) if word not in STOP)
    return [word for word in found if word and word not in STOP]


def alike(one: str, other: str) -> bool:
    """The same word, or nearly so when long enough for a typing slip to be told from another word."""
    if one == other:
        return True
    if min(len(one), len(other)) < 5 or one[0] != other[0]:
        return False
    return difflib.SequenceMatcher(None, one, other).ratio() >= 0.84


def find(
    query: str, rows: Mapping[str, Row], *, fields: Sequence[str] = NAME_FIELDS, whole: bool = False, least: float = 0.5
) -> list[Keyed]:
    """The rows that fit `query` best, several when it cannot tell them apart, none when nothing fits.

    A row fits when at least `least` of the words of one of its names are in the query, or every word of the query is in the name; one of
    them must be more than a generic word (`machine`, `inspection`), unless the name has nothing else and is there completely.
    `whole` asks for one or the other completely, where a near miss would mislead (allergens).
    """
    asked = words(query)
    if not asked:
        return []
    scored = [(_score(asked, _names(key, row, fields), 1.0 if whole else least), (key, row)) for key, row in rows.items()]
    best = max((score for score, _ in scored), default=(0.0, 0))
    return [row for score, row in scored if score == best] if best > (0.0, 0) else []


def mentioned(query: str, rows: Mapping[str, Row], *, fields: Sequence[str] = NAME_FIELDS) -> list[Keyed]:
    """Every row one of whose names is in the query, in the order in which the query names them."""
    asked = words(query)
    placed: list[tuple[int, Keyed]] = []
    for key, row in rows.items():
        spots = [_place(asked, name) for name in _names(key, row, fields)]
        found = [spot for spot in spots if spot is not None]
        if found:
            placed.append((min(found), (key, row)))
    return [row for _, row in sorted(placed, key=lambda item: item[0])]


def best_text(query: str, choices: Iterable[str], *, least: float = 0.5) -> str | None:
    """The one choice that fits best; None when none fits or two fit alike."""
    found = find(query, {choice: {"name": choice} for choice in choices}, fields=("name",), least=least)
    return found[0][0] if len(found) == 1 else None


def says(message: str, phrases: Iterable[str]) -> bool:
    """Whether the message holds one of the phrases as whole words."""
    flat = f" {' '.join(re.findall(r'[a-z0-9]+', message.lower().replace(chr(39), '')))} "
    return any(f" {' '.join(re.findall(r'[a-z0-9]+', phrase.lower().replace(chr(39), '')))} " in flat for phrase in phrases)


def _names(key: str, row: Row, fields: Sequence[str]) -> list[list[str]]:
    names = [key, *(name for field in fields for name in texts(row, field))]
    return [split for split in map(words, names) if split]


def _score(asked: list[str], names: list[list[str]], least: float) -> tuple[float, int]:
    best = (0.0, 0)
    for name in names:
        met = [word for word in name if any(alike(word, other) for other in asked)]
        if GENERIC.issuperset(met) and not (met == name and GENERIC.issuperset(name)):
            continue
        hits, share = len(met), len(met) / len(name)
        covered = all(any(alike(word, other) for other in name) for word in asked)
        if share >= least or covered:
            best = max(best, (max(share, least if covered else 0.0), hits))
    return best


def _place(asked: list[str], name: list[str]) -> int | None:
    spots = [next((spot for spot, word in enumerate(asked) if alike(word, part)), None) for part in name]
    return None if None in spots else min(spot for spot in spots if spot is not None)


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us")) else word
