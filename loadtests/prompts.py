"""Prompts: made-up messages of a given length, and the marks that say whose answer is whose."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Iterator

from loadtests.script import Conversation, ScriptTurn
from loadtests.traffic import Content

WORDS = (
    "about after again because before between black change could every first found great house large learn never often other "
    "place plant point right small sound spell still study there thing think three under water where which while world would write"
).split()
MOST_CHARACTERS = 19_000
"""The wire takes messages of 20,000 characters; longer ones are cut here."""
_MARK = re.compile(r"\bref-[0-9a-f]{12}\b")


def synthetic(number: int, content: Content, *, seed: int, input_tokens: int | None = None) -> Conversation:
    """Conversation `number`: one turn of about `input_tokens` tokens (one common word each), the same for the same seed."""
    words: list[str] = []
    prefix = content.prefix
    if prefix is not None:
        group = f"{number}/salt" if prefix.salt else str(number % prefix.groups)
        words += _words(f"{seed}/prefix/{group}", prefix.tokens)
    words += _words(f"{seed}/{number}", max(1, input_tokens or content.input_tokens))
    text = " ".join(words)[:MOST_CHARACTERS]
    return Conversation(id=f"synthetic-{number}", user_id=f"user-{number}", turns=[ScriptTurn(text=text)])


def _words(seed: str, count: int) -> list[str]:
    return random.Random(seed).choices(WORDS, k=count)


def mark(seed: int, session: int) -> str:
    """What a conversation carries in its messages and no other may see."""
    return f"ref-{hashlib.sha256(f'{seed}/{session}'.encode()).hexdigest()[:12]}"


def marked(text: str, own: str) -> str:
    return f"{text} ({own})"


def foreign_marks(texts: Iterable[str], own: str) -> Iterator[str]:
    """Marks of other conversations in what came back to this one."""
    for text in texts:
        yield from (found for found in _MARK.findall(text) if found != own)
