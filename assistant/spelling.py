"""British and American spellings as one: both sides of a comparison are folded, so that `sanitiser` meets `sanitizer`."""

from __future__ import annotations

import re
from functools import lru_cache

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"is(e|es|ed|er|ers|ing|ation|ations)$", r"iz\1"),
        (r"ys(e|es|ed|er|ers|ing)$", r"yz\1"),
        (r"(?<=[a-z]{2})our(s|ed|ing|less|ful)?$", r"or\1"),
        (r"(?<=[bcdfghjklmnpqrstvwxyz])(?:ae|oe)(?=[a-z]{2})", "e"),
        (r"(?<=rh)oe", "e"),
        (r"(?<=[a-z]{2}[bt])re(s)?$", r"er\1"),
        (r"(?<=[a-z]{3})ogue(s)?$", r"og\1"),
        (r"([aeiou][bcdfgklmnprstv]{0,2}e)ll(ed|ing|er|ers)$", r"\1l\2"),
        (r"^mould", "mold"),
        (r"^draught", "draft"),
        (r"^tyre", "tire"),
        (r"^gr[ae]y", "gray"),
        (r"^che(?:que|ck)", "check"),
        (r"^progra(?:mme|m)", "program"),
        (r"ence(s)?$", r"ense\1"),
    )
)
_WORD = re.compile(r"[A-Za-z]+")


@lru_cache(maxsize=50_000)
def folded(word: str) -> str:
    """The word in lower case and one spelling. Only for comparing: `rise` becomes `rize`."""
    lowered = word.casefold()
    if len(lowered) > 3:
        for pattern, replacement in _RULES:
            lowered = pattern.sub(replacement, lowered)
    return lowered


def fold(text: str) -> str:
    """All words of a text folded; digits and punctuation stay."""
    return _WORD.sub(lambda match: folded(match[0]), text)
