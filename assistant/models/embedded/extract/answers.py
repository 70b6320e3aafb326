"""What a short answer says: yes or no, a name, or nothing."""

from __future__ import annotations

import re

from assistant.models.embedded.language import content_stems, core
from assistant.models.embedded.toolbook import Parameter

_UNSURE = re.compile(
    r"\b(?:not sure|unsure|no idea|(?:don'?t|do not) know|dunno|maybe|perhaps|can'?t tell|cannot tell)\b", re.IGNORECASE
)
_NEGATED = re.compile(r"\b(?:isn'?t|doesn'?t|didn'?t|not|won'?t|can'?t|haven'?t|hasn'?t|never)\b", re.IGNORECASE)
_YES = re.compile(
    r"^\W*(?:yes|yep|yeah|yup|ya|sure|correct|right|affirmative|true|it (?:is|does|did|was|has)|they (?:are|do|did)|i (?:did|have|do)|we (?:did|have|do)|done|of course|definitely|absolutely|si)\b",
    re.IGNORECASE,
)
_NO = re.compile(
    r"^\W*(?:no|nope|nah|not|never|negative|false|none|nothing|it (?:isn'?t|doesn'?t|didn'?t|wasn'?t|is not|does not|did not)|(?:i|we|they) (?:didn'?t|haven'?t|don'?t|did not|have not|do not))\b",
    re.IGNORECASE,
)
_LEAD = re.compile(r"^\W*(?:it'?s|it was|that'?s|his name is|her name is|name is|for|with)\s+", re.IGNORECASE)


def is_unsure(text: str) -> bool:
    return _UNSURE.search(text) is not None


def yes_or_no(text: str) -> bool | None:
    """What an answer says to a yes-or-no question; null when it says neither."""
    if is_unsure(text):
        return None
    if _NO.match(text) or _NEGATED.search(text):
        return False
    return True if _YES.match(text) else None


def stated_boolean(parameter: Parameter, text: str) -> bool | None:
    """Whether the text says what the parameter is named for, or says it is not so; null when it does not speak of it."""
    stems = content_stems(parameter.label)
    if not stems or not stems <= content_stems(text):
        return None
    first = next(iter(stems))
    negated = re.search(
        rf"\b(?:no|not|without|isn'?t|wasn'?t|didn'?t|don'?t|never)\b[^.,;]{{0,20}}\b{re.escape(first)}", text, re.IGNORECASE
    )
    return negated is None


def bare_name(text: str) -> str | None:
    """An answer that is a name and nothing else, whatever its case."""
    stripped = _LEAD.sub("", core(text)).strip(" .!")
    letters = re.sub(r"[ '’-]", "", stripped)
    return stripped.title() if letters.isalpha() and len(stripped.split()) <= 3 else None
