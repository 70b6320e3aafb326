"""English surface: sentences, words, and the form of a message. Pure functions of text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

Form = Literal["question", "command", "statement"]


def word_list(text: str) -> list[str]:
    """Blank-separated words, for the closed vocabularies of this package."""
    return text.split()


STOP_WORDS = frozenset(
    word_list(
        "a an and are as at be been being but by can could did do does doing done for from had has have he her hers him his how i i'm i've "
        "if in into is it it's its just me my of off on or our ours please she should so some than that the their them then there these they "
        "this those to too up us was we were what what's when where which who whom why will with would you your yours about any all now here "
        "need want know tell show let get got give also ok okay hey hi hello thanks thank im ive dont don't"
    )
)
_QUESTION_WORDS = frozenset(
    word_list(
        "how what what's whats when where which who whom whose why can could should shall may must do does did is are was were will would am "
        "isn't aren't doesn't don't hows how's whos who's wheres where's"
    )
)
_POLITE = re.compile(
    r"^(?:(?:hi|hey|hello|ok|okay|so|well|please|pls|quick question|good (?:morning|afternoon|evening))\b[\s,.!:;-]*)+",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"^(?:(?:can|could|would|will) (?:you|u|we)|i(?:'d| would) like(?: you)? to|i (?:need|want)(?: you)? to|(?:please )?help me(?: to)?|let's|lets)\s+"
    r"(?:please\s+)?",
    re.IGNORECASE,
)
_ABBREVIATION = re.compile(r"\b(?:mr|mrs|ms|dr|st|vs|no|approx|etc|e\.g|i\.e|a\.m|p\.m)\.$", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9]+(?:['’\-][A-Za-z0-9]+)*")
_STEP = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•])\s+")
_NUMBERED = re.compile(r"^\s*\d{1,2}[.)]\s+")
_GREETING = re.compile(r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening))(?: there| all| team)?\W*$", re.IGNORECASE)
_THANKS = re.compile(
    r"^\W*(?:(?:ok|okay|great|perfect|cool|good|got it|will do|all good|sounds good|understood)\W*)*"
    r"(?:thanks|thank you|thx|ty|cheers|got it|great|perfect|bye|goodbye)(?: so much| a lot| very much| again)?\W*$",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """Lower-case words and numbers in order; hyphens and apostrophes stay inside a word."""
    return [match.lower().replace("’", "'") for match in _WORD.findall(text)]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A crude, stable stem: plural, past and -ing endings fall away."""
    for ending in ("ingly", "edly", "ing", "ies", "ed", "es", "ly", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not (ending == "s" and word.endswith("ss")):
            root = word[: -len(ending)]
            if ending == "ies":
                return root + "y"
            return root[:-1] if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "lsz" else root.rstrip("e") or root
    return word.rstrip("e") if len(word) > 3 else word


@lru_cache(maxsize=20_000)
def content_stems(text: str) -> frozenset[str]:
    """Stems of the words that carry meaning; hyphenated words also count by their halves."""
    found: set[str] = set()
    for word in words(text):
        if word in STOP_WORDS:
            continue
        found.add(stem(word))
        if "-" in word:
            found.update(stem(half) for half in word.split("-") if half and half not in STOP_WORDS)
    return frozenset(found)


def overlap(query: str, text: str) -> float:
    """Share of the query's content stems that the text has, 0 to 1; 0 when the query has none."""
    asked = content_stems(query)
    return len(asked & content_stems(text)) / len(asked) if asked else 0.0


def sentences(text: str) -> list[str]:
    """Sentences in order. A line is never joined with the next one; abbreviations and decimals do not end a sentence."""
    found: list[str] = []
    for line in text.splitlines():
        marker = _STEP.match(line)
        body = line[marker.end() :] if marker else line
        pieces = re.split(r"(?<=[.!?])[\"')\]]*\s+(?=[A-Z0-9\"'(\[])", body.strip())
        merged: list[str] = []
        for piece in pieces:
            if merged and _ABBREVIATION.search(merged[-1]):
                merged[-1] = f"{merged[-1]} {piece}"
            elif piece:
                merged.append(piece)
        if marker and merged:
            merged[0] = f"{marker.group().strip()} {merged[0]}"
        found.extend(merged)
    return found


def is_step(sentence: str) -> bool:
    return _NUMBERED.match(sentence) is not None


def without_step(sentence: str) -> str:
    return _STEP.sub("", sentence)


def core(text: str) -> str:
    """The message without greeting words and without "can you", "I need to": what is asked for."""
    stripped = _POLITE.sub("", text.strip())
    return _REQUEST.sub("", stripped).strip() or text.strip()


def form(text: str) -> Form:
    """`command` also for "can you ...": asking for a thing to be done is no question about it."""
    stripped = _POLITE.sub("", text.strip())
    first = (words(stripped) or [""])[0]
    if _REQUEST.match(stripped) and not re.match(r"can (?:we|i)\b", stripped, re.IGNORECASE):
        rest = core(text)
        return (
            form(rest) if rest != stripped and (words(rest) or [""])[0] in {"how", "what", "why", "when", "where"} else "command"
        )
    if first in _QUESTION_WORDS or stripped.rstrip().endswith("?"):
        return "question"
    return "command" if first and not _looks_told(stripped, first) else "statement"


def _looks_told(text: str, first: str) -> bool:
    """A statement has a subject before its verb: it starts with a determiner, a pronoun, a name or a noun phrase with a verb."""
    starters = {
        "the",
        "a",
        "an",
        "my",
        "our",
        "i",
        "we",
        "it",
        "this",
        "that",
        "there",
        "he",
        "she",
        "they",
        "its",
        "it's",
        "i'm",
        "there's",
        "somebody",
        "someone",
    }
    if first in starters:
        return True
    return (
        re.search(
            r"\b(?:is|are|was|were|isn't|won't|wont|doesn't|has|have|had|keeps?|got|went|did|didn't|'s)\b", text, re.IGNORECASE
        )
        is not None
    )


_HOW = re.compile(
    r"\bhow (?:do|to|can|should|would|does)\b|\bhow'?s? (?:do|to)\b|\bwhat (?:do|should|shall|must|can|happens|does|is|are)\b|\bwhy\b|\bwhen (?:do|should|must)\b|"
    r"\b(?:do|should|must) (?:i|we) (?:need|have)\b|\bwhat if\b",
    re.IGNORECASE,
)


def asks_how(text: str) -> bool:
    """Whether a message asks about a thing ("how do I", "what should", "why") and does not ask for it to be done."""
    return _HOW.search(text) is not None and form(text) == "question"


def asks_procedure(text: str) -> bool:
    """Whether the message wants steps: how to, what to do, or a plain statement of something gone wrong."""
    lowered = text.lower()
    if re.search(
        r"\bhow (?:do|to|can|should|would|does one)\b|\bhow'?s? (?:do|to)\b|\bwhat (?:do|should|shall|must|can) (?:i|we|you|they|one|staff)\b",
        lowered,
    ):
        return True
    if re.search(
        r"\bsteps?\b|\bprocedure\b|\bprocess\b|\bwalk me through\b|\bwhat now\b|\bwhat to do\b|\binstructions?\b|\bfirst aid\b|\bhelp\b",
        lowered,
    ):
        return True
    return form(text) == "statement"


def is_greeting(text: str) -> bool:
    return _GREETING.match(text) is not None


def is_thanks(text: str) -> bool:
    return _THANKS.match(text) is not None


_ELLIPTIC_START = re.compile(
    r"^(?:and|but|or|what about|how about|also|then|same|what if|why|how long|how much|how many|how often|when|where|which|who|"
    r"did that|done|yes|yep|yeah|no|nope|ok|okay|still|next|again|it|that|this|they|those|these|for)\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"\b(?:it|that|this|they|them|those|these|he|she|him|her|one|ones|same|there|instead|else)\b", re.IGNORECASE
)


def is_elliptic(text: str) -> bool:
    """Whether a message leans on the one before: it is short and starts mid-way, points back, or names next to nothing."""
    count = len(words(text))
    if count > 12:
        return False
    named = len(content_stems(text))
    if named <= 1 and count <= 6:
        return True
    return count <= 9 and named <= 3 and (_ELLIPTIC_START.match(text.strip()) is not None or _PRONOUN.search(text) is not None)


def clauses(text: str) -> list[str]:
    """Parts of a message that may be requests of their own, in order: split at sentence ends and at "and then", "also", ";"."""
    parts: list[str] = []
    for sentence in sentences(text):
        pieces = re.split(
            r"\s*(?:;|,?\s+and then\b|,?\s+then\b(?=\s+\w+\s)|,?\s+and also\b|,?\s+also\b(?=\s+\w+\s)|[,.]?\s+and\s+(?=(?:can|could|please|log|tell|show|what|how|who|when|where|which|is|are|do|does)\b))\s*",
            sentence,
            flags=re.IGNORECASE,
        )
        parts.extend(piece.strip(" ,") for piece in pieces if piece and len(words(piece)) >= 2)
    return parts or [text]
