"""Tells a bare yes or no from an answer with content, for questions that offer something."""

from __future__ import annotations

import re

_YES = frozenset(
    ["yes", "yeah", "yep", "yup", "sure", "ok", "okay", "please", "do", "go", "ahead", "it", "that", "right", "correct", "fine"]
)
_NO = frozenset(
    [
        "no",
        "nope",
        "nah",
        "not",
        "now",
        "thanks",
        "thank",
        "you",
        "later",
        "skip",
        "cancel",
        "stop",
        "dont",
        "do",
        "it",
        "never",
        "mind",
        "nevermind",
        "need",
    ]
)
_NO_FIRST = frozenset(["no", "nope", "nah", "not", "skip", "cancel", "stop", "dont", "never", "nevermind", "later"])


def agrees(answer: str) -> bool:
    """A yes with nothing else in it."""
    said = _words(answer)
    return bool(said) and said[0] in _YES and set(said) <= _YES


def declines(answer: str) -> bool:
    """A no with nothing else in it."""
    said = _words(answer)
    return bool(said) and said[0] in _NO_FIRST and set(said) <= _NO


def _words(answer: str) -> list[str]:
    return re.findall(r"[a-z]+", answer.lower().replace("'", "").replace("’", ""))
