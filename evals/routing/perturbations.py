"""What people do to a message without changing what it asks for. Seeded: the same text and seed give the same variant."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping

_NEIGHBOURS = {
    key: row[max(0, place - 1) : place] + row[place + 1 : place + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for place, key in enumerate(row)
}
_WORD = re.compile(r"[^\W\d_]{4,}")
_MARKS = re.compile(r"[^\w\s]+")
TYPO_SHARE = 0.25
"""Words of four letters and more that get one slip."""

CHATTER = (
    "hi there, hope you are well. ",
    "hey, quick question for you: ",
    "sorry to bother you again, ",
    "good morning! long day here already. ",
    "ok so, ",
    "hello, it's me, ",
    "um, not sure who to ask but ",
)
TEMPLATES = (
    "could you help me with this: {}",
    "i would like to know the following: {}",
    "{} can you tell me please",
    "my question is {}",
    "{} thanks in advance",
    "what i need is this: {}",
    "i was wondering, {}",
)


def typos(text: str, chance: random.Random) -> str:
    """One slip in a quarter of the longer words, at least in one: a neighbouring key, two letters swapped, one lost, one doubled."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    hit = [word for word in words if chance.random() < TYPO_SHARE] or [chance.choice(words)]
    for word in reversed(hit):
        text = text[: word.start()] + _slip(word.group(), chance) + text[word.end() :]
    return text


def _slip(word: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(word) - 1)
    kind = chance.choice(("swap", "drop", "double", "near"))
    if kind == "swap":
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == "drop":
        return word[:at] + word[at + 1 :]
    if kind == "double":
        return word[: at + 1] + word[at:]
    return word[:at] + chance.choice(_NEIGHBOURS.get(word[at].lower()) or word[at]) + word[at + 1 :]


def lower_case(text: str, _: random.Random) -> str:
    return text.lower()


def no_punctuation(text: str, _: random.Random) -> str:
    """Marks inside a word vanish (`don't` becomes `dont`), others leave a space. A text of marks alone stays."""
    joined = re.sub(r"(?<=\w)['’](?=\w)", "", text)
    return " ".join(_MARKS.sub(" ", joined).split()) or text


def leading_chatter(text: str, chance: random.Random) -> str:
    return chance.choice(CHATTER) + text


def paraphrase(text: str, chance: random.Random) -> str:
    return chance.choice(TEMPLATES).format(text.strip())


PERTURBATIONS: Mapping[str, Callable[[str, random.Random], str]] = {
    "typos": typos,
    "lower_case": lower_case,
    "no_punctuation": no_punctuation,
    "leading_chatter": leading_chatter,
    "paraphrase": paraphrase,
}


def perturb(text: str, name: str, seed: int) -> str:
    """The variant `name` of `text`. Does not depend on other texts."""
    key = hashlib.sha256(f"{seed} {name} ".encode() + text.encode("utf-8", "surrogatepass")).digest()
    return PERTURBATIONS[name](text, random.Random(int.from_bytes(key[:8])))
