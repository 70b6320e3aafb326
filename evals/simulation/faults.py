"""What a simulated user does wrong: each is a fault of the simulator and says nothing about the assistant."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evals.cards import Card
from evals.evaluators.text import content_words, normalise, says
from evals.goals import Tree
from evals.simulation.progress import expected_phrases
from evals.transcript import Turn

LONGEST_MESSAGE = 2000
_WORDS_TO_DRIFT = 6
"""A shorter message without a word of the conversation may be a plain yes, thanks or never mind."""
_SHORT_REPLY = 3
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_ASSISTANT = re.compile(
    r"\b(?:as an ai|i am an ai|i'm an ai|language model|as your assistant|how (?:can|may) i (?:help|assist) you|is there anything else i can)\b"
)


def message_fault(card: Card, turns: Sequence[Turn], message: str) -> str | None:
    """Why the simulator may not say `message` after `turns`, in words; null when it may."""
    known = known_text(card, turns)
    return (
        _form_fault(message)
        or _loop_fault(turns, message)
        or _reveals(card, known, message)
        or _made_up(known, message)
        or _off_goal(known, message)
    )


def tree_faults(card: Card) -> list[str]:
    """What the card's script says that its user cannot know: found when the card is read, not when it is played."""
    known = known_text(card, ())
    said = _all_said(card.goal.tree) if card.goal and card.goal.tree else []
    found = [(words, _reveals(card, known, words) or _made_up(known, words)) for words in said]
    return [f"{words!r} {fault}; add it to `facts` or say it otherwise" for words, fault in found if fault]


def _all_said(tree: Tree) -> list[str]:
    said = [words for reply in tree.replies for words in (reply.say, *(_all_said(reply.then) if reply.then else ()))]
    return said + ([tree.otherwise] if tree.otherwise else [])


def known_text(card: Card, turns: Sequence[Turn]) -> str:
    """All a user may draw on: the goal, its facts, the persona, how it began, and what the assistant has said."""
    goal = [card.goal.wants, *card.goal.facts] if card.goal else []
    said = [text for turn in turns for text in (turn.user, turn.text)]
    return "\n".join([*goal, card.persona or "", card.turns[0].user, *said])


def _form_fault(message: str) -> str | None:
    if not message.strip():
        return "says nothing"
    if len(message) > LONGEST_MESSAGE:
        return f"says more than {LONGEST_MESSAGE} characters"
    return "speaks as an assistant" if _ASSISTANT.search(normalise(message)) else None


def _loop_fault(turns: Sequence[Turn], message: str) -> str | None:
    """Saying the same to another answer; a short reply such as yes only the third time running. To the same answer it is the assistant that
    goes in circles."""
    said = [normalise(turn.user) for turn in turns]
    if normalise(message) not in said or (len(message.split()) <= _SHORT_REPLY and said[-2:] != [normalise(message)] * 2):
        return None
    answers = {normalise(turn.text) for turn in turns[-2:]}
    return None if len(turns) > 1 and len(answers) == 1 else f"goes in circles: says again {message[:80]!r}"


def _reveals(card: Card, known: str, message: str) -> str | None:
    told = next((phrase for phrase in expected_phrases(card) if says(message, phrase) and not says(known, phrase)), None)
    return None if told is None else f"reveals the expected answer: {told!r}"


def _made_up(known: str, message: str) -> str | None:
    given = set(_NUMBER.findall(known))
    own = next((number for number in _NUMBER.findall(message) if number not in given), None)
    return None if own is None else f"makes up a figure nobody gave it: {own}"


def _off_goal(known: str, message: str) -> str | None:
    words = content_words(message)
    return (
        "leaves the goal: no word of it is of this conversation"
        if len(words) >= _WORDS_TO_DRIFT and not words & content_words(known)
        else None
    )
