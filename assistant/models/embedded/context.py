"""What a message takes from the turns before it: its missing words, the tool it goes on with, the values it may reuse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from assistant.models.embedded.choice import NEVER, ToolScore
from assistant.models.embedded.conversation import Conversation, Turn
from assistant.models.embedded.language import content_stems, is_elliptic, is_greeting, is_thanks, stem, word_list, words
from assistant.models.embedded.plain import bare_phrase, plain
from assistant.models.embedded.requests import asks, generality
from assistant.models.embedded.toolbook import ToolCard

EARLIER_TURNS = 6
"""How far back anything is looked for."""
FOLLOW_RANK = 2.0
FOLLOW_ODDS = 2.0
"""What counts for the tool of the last turn, or for the knowledge base after an answer from it, when a message leans on that turn."""


_BACK = re.compile(r"\b(?:it|that|this|they|them|those|these|he|she|him|her|same|one|ones)\b", re.IGNORECASE)


def leans(text: str) -> bool:
    """Whether a message cannot be understood without the turn before it: short and elliptic, or naming nothing but figures and pronouns."""
    spoken = plain(text)
    if is_elliptic(spoken):
        return True
    bare = bare_phrase(spoken)
    named = {one for one in content_stems(bare) - _MEASURES if not one[0].isdigit()} - _UNIT_STEMS
    return is_elliptic(bare) or (_BACK.search(bare) is not None and len(named) <= 1 and len(words(bare)) <= 14)


def substitutes(text: str) -> bool:
    """Whether a follow-up names another thing to be told the same of ("and the other one?"), and does not go on about the first."""
    return _ANOTHER.search(plain(text)) is not None


_ANOTHER = re.compile(r"^\W*(?:and|or|what about|how about|also|plus|then)\b", re.IGNORECASE)


def contextual(conversation: Conversation) -> str:
    """The message, with the user turn it leans on before it when it cannot stand alone."""
    message = conversation.now.user
    if not conversation.past or not leans(message) or is_greeting(message) or is_thanks(message):
        return message
    leading: list[str] = []
    for turn in reversed(conversation.past[-EARLIER_TURNS:]):
        if is_greeting(turn.user) or is_thanks(turn.user):
            continue
        leading.insert(0, turn.user.strip())
        if not leans(turn.user) or len(leading) == 3:
            break
    return " ".join([*leading, message])


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
    stem(word) for word in word_list("hr hrs hour hours min mins minute minutes second seconds sec day days degree degrees f c been still")
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
