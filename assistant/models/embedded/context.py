"""What a message takes from the turns before it: its missing words, the tool it goes on with, the values it may reuse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from assistant.models.embedded.choice import ToolScore
from assistant.models.embedded.conversation import Conversation, Turn
from assistant.models.embedded.language import content_stems, is_elliptic, is_greeting, is_thanks, stem, word_list
from assistant.models.embedded.plain import plain
from assistant.models.embedded.requests import asks
from assistant.models.embedded.toolbook import ToolCard

EARLIER_TURNS = 6
"""How far back anything is looked for."""
FOLLOW_RANK = 2.0
FOLLOW_ODDS = 2.0
"""What counts for the tool of the last turn, or for the knowledge base after an answer from it, when a message leans on that turn."""


def contextual(conversation: Conversation) -> str:
    """The message, with the user turn it leans on before it when it cannot stand alone."""
    message = conversation.now.user
    if not conversation.past or not is_elliptic(plain(message)) or is_greeting(message) or is_thanks(message):
        return message
    leading: list[str] = []
    for turn in reversed(conversation.past[-EARLIER_TURNS:]):
        if is_greeting(turn.user) or is_thanks(turn.user):
            continue
        leading.insert(0, turn.user.strip())
        if not is_elliptic(plain(turn.user)) or len(leading) == 3:
            break
    return " ".join([*leading, message])


def focus(conversation: Conversation) -> str:
    """The message, with the follow-ups before it while no subject is named: "and how long?" is about what was last named."""
    text = conversation.now.user
    for turn in reversed(conversation.past[-EARLIER_TURNS:]):
        if content_stems(text) - _MEASURES or not is_elliptic(plain(turn.user)):
            break
        text = f"{turn.user.strip()} {text}"
    return text


_MEASURES = frozenset(
    stem(word) for word in word_list("long much many often far high low hot cold soon big old deep more less again")
)


_MORE = re.compile(r"^\W*(?:and|also|plus)\b|\b(?:too|also|as well)\W*$", re.IGNORECASE)
"""A statement that goes on with the record before it: "the store room too"."""


def merged(alone: Sequence[ToolScore], combined: Sequence[ToolScore], conversation: Conversation) -> list[ToolScore]:
    """The better of both readings for each tool; the tool of the last turn comes first among equals unless it changes something."""
    with_context = {one.card.name: one for one in combined}
    last = next((turn.results[-1].tool for turn in reversed(conversation.past) if turn.results), None)
    more = _MORE.search(conversation.now.user) is not None and not asks(conversation.now.user)
    merged: list[ToolScore] = []
    for one in alone:
        other = with_context[one.card.name]
        sticks = one.card.name == last and (one.card.effect == "read" or more)
        merged.append(
            ToolScore(
                card=one.card,
                rank=max(one.rank, other.rank - 0.5) + (FOLLOW_RANK if sticks else 0.0),
                closeness=max(one.closeness, other.closeness),
                odds=max(one.odds, other.odds - 0.5) + (FOLLOW_ODDS if sticks else 0.0),
            )
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
