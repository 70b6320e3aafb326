"""Who is named in a message, capitalised or not: by where a name stands and by how much a word is like a given name."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from assistant.models.embedded.extract.spans import person, proper_names
from assistant.models.embedded.language import STOP_WORDS, stem, word_list
from assistant.models.embedded.plain import plain
from assistant.models.embedded.similarity import Similarity, Vector
from assistant.models.embedded.toolbook import Parameter

_NAMES = word_list(
    "james mary john linda robert susan michael karen david lisa carlos ana fatima omar wei yuki ivan olga pierre sofia kofi amara raj anita noah emma "
    "liam zoe hassan leila"
)
_NOUNS = word_list(
    "table day order morning room list score window product guest report first new whole night place path everything box floor water hand food card plan "
    "course week friday note someone wrong left done quick late manager team truck price bike city repair meeting"
)
PLACED_LIKENESS = -0.05
BARE_LIKENESS = 0.07
"""Least likeness to a given name of a word where names stand, and of one anywhere else."""

_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)?(?:'s)?|[^\sA-Za-z]")
_BEFORE = frozenset(
    word_list(
        "for of with about from to by is does has did was will can rate evaluate quiz test give put add schedule named called ask tell swap trade mark enroll assign "
        "coach train promote review when how and"
    )
)
_AFTER = frozenset(
    word_list(
        "is has had did does was will can can't won't just needs wants got did didn't hasn't isn't starts says said finished completed passed scored renewed worked takes took "
        "goes went and"
    )
)
_NEVER = frozenset(
    word_list(
        "someone somebody anyone anybody everyone everybody nobody people guy guys man woman kid monday tuesday wednesday thursday friday saturday sunday january february "
        "march april may june july august september october november december today tonight tomorrow yesterday now noon not just still more really here there team staff "
        "new next last the yes yeah yep nope please sure maybe out off over under again lol haha ugh tick log mark"
    )
)
_PRONOUN = re.compile(r"\b(?:he|she|him|her|his|hers|they|them|their)\b(?!')", re.IGNORECASE)
_FIRST_PERSON = re.compile(r"\b(?:i|me|my|mine|myself|i'm|i've)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Named:
    """One person named at word `at`. `before` is the word before the name, lower case; `owns` when it is possessive."""

    name: str
    before: str
    owns: bool
    at: int


class NameSense:
    """Tells given names from other words. Holds only the axis between the two in the encoder's space."""

    def __init__(self, similarity: Similarity) -> None:
        self._similarity = similarity
        self._axis: Vector | None = None
        self._middle = 0.0

    def likeness(self, word: str) -> float:
        """Above 0: more like a given name than like another word. About -0.3 to 0.3."""
        if self._axis is None:
            self._axis, self._middle = self._fit()
        return float(self._similarity.vector(word.lower()) @ self._axis) - self._middle

    def _fit(self) -> tuple[Vector, float]:
        names = np.stack([self._similarity.vector(word) for word in _NAMES])
        nouns = np.stack([self._similarity.vector(word) for word in _NOUNS])
        axis = names.mean(axis=0) - nouns.mean(axis=0)
        axis = axis / np.linalg.norm(axis)
        return axis, float(((names @ axis).mean() + (nouns @ axis).mean()) / 2)

    def people(self, text: str, spent: Collection[str] = frozenset()) -> list[Named]:
        """Everyone named, in order. Words whose stems are `spent` are no names unless capitalised."""
        tokens: list[str] = _WORD.findall(plain(text))
        proper = {word for name in [*proper_names(text), *filter(None, [person(text)])] for word in name.split()}
        found: list[Named] = []
        for at, token in enumerate(tokens):
            bare = token.removesuffix("'s")
            before = tokens[at - 1].lower() if at else ""
            after = tokens[at + 1].lower() if at + 1 < len(tokens) else ""
            capital = bare in proper and bare.lower() not in _NEVER
            if found and found[-1].at == at - 1 and not found[-1].owns and (capital or self._surname(bare, spent)):
                found[-1] = Named(name=f"{found[-1].name} {bare}", before=found[-1].before, owns=token.endswith("'s"), at=at)
            elif capital or self._is_name(token, before, after, spent):
                name = self._without_s(bare)
                found.append(Named(name=name, before=before, owns=token.endswith("'s") or name != bare, at=at))
        return found

    def _surname(self, word: str, spent: Collection[str]) -> bool:
        return self._may_name(word, spent) and self.likeness(word) >= 2 * BARE_LIKENESS

    def _is_name(self, token: str, before: str, after: str, spent: Collection[str]) -> bool:
        word = token.removesuffix("'s")
        if not self._may_name(word, spent):
            return False
        placed = before in _BEFORE or token.endswith("'s") or ((not before.isalpha() or before in STOP_WORDS) and after in _AFTER)
        alike = max(self.likeness(word), self.likeness(self._without_s(word)))
        return alike >= (PLACED_LIKENESS if placed else BARE_LIKENESS)

    def _may_name(self, word: str, spent: Collection[str]) -> bool:
        lowered = word.lower()
        return (
            len(lowered) >= 3
            and lowered.isalpha()
            and lowered not in STOP_WORDS
            and lowered not in _NEVER
            and lowered not in _AFTER
            and stem(lowered) not in spent
            and lowered not in spent
        )

    def _without_s(self, word: str) -> str:
        """`jamals` as typed for "jamal's"; a name that ends in s stays."""
        if len(word) < 5 or not word.islower() or not word.endswith("s") or word.endswith("ss"):
            return word
        return word[:-1] if self.likeness(word[:-1]) > self.likeness(word) else word


def has_pronoun(text: str) -> bool:
    return _PRONOUN.search(text) is not None


def with_name(text: str, name: str) -> str:
    """The text with its first pronoun for a person told by name."""

    def put(match: re.Match[str]) -> str:
        return f"{name}'s" if match[0].lower() in {"his", "their", "hers"} else name

    return _PRONOUN.sub(put, plain(text), count=1)


def says_me(text: str) -> bool:
    return _FIRST_PERSON.search(text) is not None


def assign_people(parameters: Sequence[Parameter], people: Sequence[Named]) -> dict[str, str]:
    """Each person serves one parameter: by the preposition the parameter is named for, by possession, then in order."""
    left = list(people)
    chosen: dict[str, str] = {}
    if len(parameters) == 1 and left:
        return {parameters[0].name: _first_meant(left).name}
    for parameter in parameters:
        label = set(parameter.label.split())
        fit = next((one for one in left if one.before in label & _PREPOSITIONS), None)
        if fit is None and "to" in label:
            fit = next((one for one in left if one.before == "with"), None)
        if fit is not None:
            chosen[parameter.name] = fit.name
            left.remove(fit)
    for parameter in parameters:
        if parameter.name not in chosen and left:
            fit = next((one for one in left if one.owns and "from" in parameter.label.split()), left[0])
            chosen[parameter.name] = fit.name
            left = [one for one in left if one.name != fit.name]
    return chosen


_PREPOSITIONS = frozenset({"from", "to", "for", "by", "with"})


def _first_meant(people: Sequence[Named]) -> Named:
    """Who a deed is for, before who else is spoken of."""
    return next((one for one in people if one.before == "for"), people[0])
