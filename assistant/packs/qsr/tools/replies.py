"""Reads what people say around the matter: a bare yes or no, a request without content, the request in front of the matter."""

from __future__ import annotations

import re

_LEAD = re.compile(
    r"(?:(?:please|can you|could you|i need to|i want to|we need to|lets|let's)\s+)*"
    r"(?:log|record|file|report|open|create|write|note|add|put|book|make|enter|register|submit)\b(?:(?!near miss)[^,:]){0,60}?"
    r"(?:[,:]|\bthat\b)\s*(?P<rest>.+)",
    re.IGNORECASE | re.DOTALL,
)
_REQUEST = frozenset(
    re.findall(
        r"\w+",
        "i we need want would like to please can could you log file report record write up down put add open create make a an the this that it in "
        "for new another incident injury accident complaint guest customer log book form report happened had have something",
    )
)
_ASKING = [[word] for word in "should can could do does did is are what how when where who why which may must will would".split()]
_PUT_DOWN = frozenset(["log", "file", "report", "record", "write", "note"])
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


def asks(message: str) -> bool:
    """A question in some part of the message, other than a request to log or open something."""
    parts = [part.strip() for part in re.split(r"[.,;!\n]+|(?<=\?)", message) if part.strip()]
    return any((part.endswith("?") or _words(part)[:1] in _ASKING) and not set(_words(part)) & _PUT_DOWN for part in parts)


def is_bare_request(message: str) -> bool:
    """A request to log or open something that does not say what: `I need to log an incident`, `yes log that`."""
    said = _words(message)
    return bool(said) and set(said) <= _REQUEST | _YES


def matter_of(message: str) -> str:
    """The message without the request in front of it: `log a complaint, the fries were cold` is `the fries were cold`."""
    found = _LEAD.match(message.strip())
    return found["rest"].strip() if found and len(found["rest"].split()) > 1 else message.strip()


def _words(answer: str) -> list[str]:
    return re.findall(r"[a-z]+", answer.lower().replace("'", "").replace("’", ""))
