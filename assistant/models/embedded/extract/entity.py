"""The thing a message is about, for a parameter that names a thing: the noun-like pieces, and which of them fits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assistant.models.embedded.language import STOP_WORDS, core, form, stem, word_list

_TOKEN = re.compile(r"[A-Za-z0-9#]+(?:['’./\-][A-Za-z0-9]+)*|[^\w\s]")
_INTRODUCERS = frozenset(word_list("for of on in at to from with about near by the our my this that a an each"))
_PREDICATES = frozenset(
    word_list(
        "is are was were isn't aren't wasn't not too very won't wont can't doesn't don't didn't keeps keep kept got gets getting been being so still just really "
        "has have had hasn't haven't went going goes never always"
    )
)
_QUALIFIERS = frozenset(
    word_list(
        "today tonight tomorrow yesterday now again morning evening afternoon night week month please asap currently right left many much more few several enough"
    )
)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of words without function words. `introduced`: an article or a preposition stands before it."""

    text: str
    introduced: bool


def pieces(text: str, *, spent: frozenset[str]) -> list[Piece]:
    """Noun-like runs of one to four words in order. Predicates, the opening verb of a command, quantities with units and words
    whose stems are `spent` (the tool's own vocabulary) end or leave a run."""
    tokens = _TOKEN.findall(core(text))
    if tokens and form(text) == "command" and len(tokens) > 1:
        tokens = tokens[1:]
    found: list[Piece] = []
    run: list[str] = []
    introduced, predicate = False, False
    for token in [*tokens, "."]:
        lowered = token.lower().replace("’", "'")
        if _belongs(lowered, run) and not predicate:
            run.append(token)
            continue
        if run and not _spent(run, spent):
            found.append(Piece(text=" ".join(run[-4:]), introduced=introduced))
        predicate = lowered in _PREDICATES or (
            predicate and (lowered not in STOP_WORDS or lowered in {"and", "or"}) and token.isalnum()
        )
        introduced, run = lowered in _INTRODUCERS, []
    return found


def _belongs(word: str, run: list[str]) -> bool:
    if word in STOP_WORDS or word in _PREDICATES or word in _QUALIFIERS or not re.match(r"[\w#]", word):
        return False
    if re.fullmatch(r"[\d.,]+", word):
        return bool(run) and len(word) <= 2
    return re.match(r"\d", word) is None or re.search(r"[a-z].*\d|\d+-\w", word) is not None


def _spent(run: list[str], spent: frozenset[str]) -> bool:
    stems = [stem(word.lower()) for word in run]
    return all(any(one == other or (len(one) >= 4 and other.startswith(one)) for other in spent) for one in stems)
