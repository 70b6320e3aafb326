"""What a message takes from the turns before it: its missing words, the tool it goes on with, the values it may reuse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from assistant.models.embedded.choice import NEVER, ToolScore
from assistant.models.embedded.conversation import Conversation, Turn
from assistant.models.embedded.language import content_stems, is_elliptic, is_greeting, is_thanks, stem, word_list, words
from assistant.models.embedded.plain import bare_phrase, plain, trusted
from assistant.models.embedded.requests import asks, generality, told_matter
from assistant.models.embedded.similarity import Similarity
from assistant.models.embedded.toolbook import ToolCard

SAME_KIND = 0.35
"""Least closeness of a word of the question before to what a follow-up names in its place."""
MOST_LEANING = 2
"""How many turns before it a message is completed by."""
_TOKEN = re.compile(r"[A-Za-z][\w'-]*")
_LEADING = re.compile(r"^(?:the|a|an|our|my|for|with|of|on|in|about)\s+", re.IGNORECASE)
EARLIER_TURNS = 6
"""How far back anything is looked for."""
FOLLOW_RANK = 2.0
FOLLOW_ODDS = 2.0
"""What counts for the tool of the last turn, or for the knowledge base after an answer from it, when a message leans on that turn."""


_BACK = re.compile(r"\b(?:it|that|this|they|them|those|these|he|she|him|her|same|one|ones)\b", re.IGNORECASE)


_IF = re.compile(r"^\W*(?:and |but |even |what |how about )*if\b", re.IGNORECASE)


def leans(text: str) -> bool:
    """Whether a message cannot be understood without the turn before it: short and elliptic, or naming nothing but figures and pronouns."""
    spoken = plain(text)
    if is_elliptic(spoken):
        return True
    bare = bare_phrase(spoken)
    named = {one for one in content_stems(bare) - _MEASURES if not one[0].isdigit()} - _UNIT_STEMS
    if _IF.search(bare) is not None and _BACK.search(bare) is not None and len(words(bare)) <= 14:
        return True
    if _MORE.search(text) is not None and not asks(text) and len(words(text)) <= 9:
        return True
    return is_elliptic(bare) or (_BACK.search(bare) is not None and len(named) <= 1 and len(words(bare)) <= 14)


def substitutes(text: str) -> bool:
    """Whether a follow-up names another thing to be told the same of ("and the other one?"), and does not go on about the first."""
    return _ANOTHER.search(plain(text)) is not None


_ANOTHER = re.compile(r"^\W*(?:and|or|what about|how about|also|plus|then)\b", re.IGNORECASE)


def contextual(conversation: Conversation, similarity: Similarity) -> str:
    """The message, completed by the user turns it leans on when it cannot stand alone."""
    turns = [trusted(turn.user).strip() for turn in conversation.past[-EARLIER_TURNS:]]
    turns = [text for text in turns if not is_greeting(text) and not is_thanks(text)]
    return _completed([*turns, trusted(conversation.now.user)], similarity, MOST_LEANING)


def _completed(turns: Sequence[str], similarity: Similarity, depth: int) -> str:
    message = turns[-1]
    if len(turns) == 1 or depth == 0 or not leans(message) or is_greeting(message) or is_thanks(message):
        return message
    before = told_matter(_completed(turns[:-1], similarity, depth - 1))
    return _replaced(before, message, similarity) or f"{before} {message}"


def _replaced(before: str, message: str, similarity: Similarity) -> str | None:
    """The question before with what it was about replaced by what "and the other?" names; null when it is not clear what."""
    found = _ANOTHER.match(plain(message).strip())
    named = _LEADING.sub("", plain(message).strip()[found.end() :]).strip(" ?.!,") if found else ""
    stems = content_stems(named)
    if not stems or len(words(named)) > 4 or asks(named) or _BACK.search(named):
        return None
    said = [match for match in _TOKEN.finditer(before) if content_stems(match[0])]
    same = [match for match in said if content_stems(match[0]) & stems]
    if same:
        start = _run_start(before, same[-1], said)
        return f"{before[:start]}{named}{before[same[-1].end() :]}"
    close = max(said, key=lambda match: similarity.cosine(match[0].lower(), named), default=None)
    if close is None or similarity.cosine(close[0].lower(), named) < SAME_KIND:
        return None
    return f"{before[: close.start()]}{named}{before[close.end() :]}"


def _run_start(text: str, last: re.Match[str], said: Sequence[re.Match[str]]) -> int:
    """Where the words that describe `last` begin: those right before it."""
    start = last.start()
    for match in reversed(said):
        if match.end() < start and not text[match.end() : start].strip():
            start = match.start()
    return start


def focus(conversation: Conversation) -> str:
    """The message, with the follow-ups before it while no subject is named: "and how long?" is about what was last named."""
    text = conversation.now.user
    for turn in reversed(conversation.past[-EARLIER_TURNS:]):
        if content_stems(text) - _MEASURES or not leans(turn.user):
            break
        text = f"{turn.user.strip()} {text}"
    return text


_MEASURES = frozenset(
    stem(word) for word in word_list("long much many often far high low hot cold soon big old deep more less again")
)


_UNIT_STEMS = frozenset(
    stem(word)
    for word in word_list("hr hrs hour hours min mins minute minutes second seconds sec day days degree degrees f c been still")
)
_MORE = re.compile(r"^\W*(?:and|also|plus)\b|\b(?:too|also|as well)\W*$", re.IGNORECASE)
"""A statement that goes on with the record before it: "the store room too"."""


def merged(alone: Sequence[ToolScore], combined: Sequence[ToolScore], conversation: Conversation) -> list[ToolScore]:
    """The better of both readings for each tool; the tool of the last turn comes first among equals unless it changes something."""
    with_context = {one.card.name: one for one in combined}
    last = next((turn.results[-1].tool for turn in reversed(conversation.past) if turn.results), None)
    message = conversation.now.user
    more = _MORE.search(message) is not None and not asks(message)
    goes_on = generality(message) == 0.0
    merged: list[ToolScore] = []
    for one in alone:
        other = with_context[one.card.name]
        sticks = one.card.name == last and goes_on and (one.card.effect == "read" or more)
        merged.append(
            replace(
                one,
                rank=max(one.rank, other.rank - 0.5) + (FOLLOW_RANK if sticks else 0.0),
                closeness=max(one.closeness, other.closeness),
                odds=max(one.odds, other.odds - 0.5) + (FOLLOW_ODDS if sticks else 0.0),
            )
            if one.odds != NEVER
            else one
        )
    return sorted(merged, key=lambda one: -one.rank)


def last_tool(conversation: Conversation) -> str | None:
    previous = conversation.past[-1] if conversation.past else None
    return previous.results[-1].tool if previous and previous.results else None


def acted_on(turn: Turn, card: ToolCard) -> bool:
    """What was said in a turn that changed something is used up: a later record never takes its values."""
    return card.effect == "write" and any(result.tool == card.name and result.outcome == "success" for result in turn.results)


def last_arguments(conversation: Conversation, tool: str) -> Mapping[str, Any]:
    for turn in reversed(conversation.past):
        for result in reversed(turn.results):
            if result.tool == tool:
                return result.arguments
    return {}
