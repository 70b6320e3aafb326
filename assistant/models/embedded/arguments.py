"""A tool's arguments out of what the user said: each parameter by its own type, required ones also from earlier messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from assistant.models.embedded.extract.answers import bare_name, stated_boolean, yes_or_no
from assistant.models.embedded.extract.entity import pieces
from assistant.models.embedded.extract.lists import listed, numbers_listed
from assistant.models.embedded.extract.moments import assign_times, moment, wants_time
from assistant.models.embedded.extract.numbers import assign_numbers, unit_choice
from assistant.models.embedded.extract.people import NameSense, assign_people, has_pronoun, says_me, with_name
from assistant.models.embedded.extract.spans import after_keyword, by_pattern, informative, proper_names, quoted
from assistant.models.embedded.kinds import (
    concerns_people,
    defaults_to_user,
    in_users_words,
    is_narrow,
    is_person,
    says_choice,
    suggested,
    takes_words,
    vocabulary,
)
from assistant.models.embedded.language import content_stems, core, overlap, stem, words
from assistant.models.embedded.requests import deed
from assistant.models.embedded.similarity import Similarity
from assistant.models.embedded.toolbook import Parameter, ToolCard

CHOICE_THRESHOLD = 0.35
"""Least similarity between a message and an enum value to take that value for a required parameter; an answer needs 0.25."""
THING_THRESHOLD = 0.34
"""Least fit of a piece of the message for an optional parameter that names a thing."""
_BESIDE = frozenset(stem(word) for word in words("out time please new now today again off yes no"))


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where arguments may come from, in order: this message, values already known, earlier user messages (newest first)."""

    message: str
    known: Mapping[str, Any]
    earlier: Sequence[str]
    today: date | None


@dataclass(frozen=True, kw_only=True)
class Filled:
    """`missing` lists required parameters nothing was found for, in schema order."""

    arguments: dict[str, Any]
    missing: tuple[Parameter, ...]


@dataclass(kw_only=True)
class _Draft:
    card: ToolCard
    found: dict[str, Any] = field(default_factory=dict[str, Any])

    def lacks(self, parameter: Parameter) -> bool:
        return parameter.name not in self.found

    def finish(self) -> Filled:
        parameters = self.card.parameters
        return Filled(
            arguments={parameter.name: self.found[parameter.name] for parameter in parameters if parameter.name in self.found},
            missing=tuple(parameter for parameter in parameters if parameter.required and self.lacks(parameter)),
        )


class ArgumentReader:
    """Fills arguments. Deterministic; holds only the shared similarity cache."""

    def __init__(self, similarity: Similarity) -> None:
        self._similarity = similarity
        self._names = NameSense(similarity)

    def fill(self, card: ToolCard, sources: Sources) -> Filled:
        draft = _Draft(card=card, found=self._from_text(card, sources.message, sources.today))
        self._tell(draft, sources)
        for parameter in card.parameters:
            if draft.lacks(parameter) and parameter.required and fits(parameter, sources.known.get(parameter.name)):
                draft.found[parameter.name] = sources.known[parameter.name]
        self._look_back(draft, sources)
        for parameter in card.parameters:
            if draft.lacks(parameter) and parameter.required and is_person(parameter) and defaults_to_user(parameter):
                draft.found[parameter.name] = "me"
        return draft.finish()

    def _tell(self, draft: _Draft, sources: Sources) -> None:
        """Free text is the message; one that only points back ("and that one?") adds nothing to what is known."""
        for parameter in draft.card.parameters:
            if not takes_words(parameter) or not draft.lacks(parameter) or not (parameter.required or in_users_words(parameter)):
                continue
            told = self._told(draft, sources.message)
            if told is None or (fits(parameter, sources.known.get(parameter.name)) and not content_stems(told)):
                continue
            draft.found[parameter.name] = self._about_whom(told, parameter, sources)

    def _told(self, draft: _Draft, message: str) -> str | None:
        """The message in the user's words; null when it only names the deed ("report an injury") and the other arguments."""
        text, card = informative(message), draft.card
        heads = (re.split(r"[:,]", example, maxsplit=1)[0] for example in card.examples if re.search(r"[:,]", example))
        heads = (head for head in heads if deed(head) == 1.0)
        given = [one.name for one in card.parameters if not takes_words(one)]
        said = {one for one in content_stems(text) if not one[0].isdigit()} - _BESIDE
        said -= vocabulary(card).union(*(content_stems(head) for head in heads))
        said -= frozenset[str]().union(
            *(content_stems(value) for name in given if isinstance(value := draft.found.get(name), str))
        )
        acts = card.effect == "write" and any(parameter.required for parameter in card.parameters)
        return None if acts and not said else text

    def _about_whom(self, told: str, parameter: Parameter, sources: Sources) -> str:
        """A pronoun for somebody named before is told by name, where the tool cares who it is."""
        if not concerns_people(parameter) or not has_pronoun(told) or self._names.people(told):
            return told
        named = next((people[-1].name for text in sources.earlier if (people := self._names.people(text))), None)
        return with_name(told, named) if named else told

    def _look_back(self, draft: _Draft, sources: Sources) -> None:
        for text in sources.earlier:
            wanted = [parameter for parameter in draft.card.parameters if parameter.required and draft.lacks(parameter)]
            wanted = [one for one in wanted if not (is_person(one) and defaults_to_user(one) and says_me(sources.message))]
            if not wanted:
                return
            values = self._from_text(draft.card, text, sources.today)
            draft.found |= {one.name: values[one.name] for one in wanted if one.name in values}

    def answer(self, parameter: Parameter, message: str, today: date | None) -> Any | None:
        """The value a message gives when it was asked for exactly this parameter; null when it gives none."""
        if parameter.kind in {"number", "integer"}:
            return assign_numbers([parameter], message).get(parameter.name)
        if parameter.kind == "boolean":
            return yes_or_no(message)
        if parameter.choices:
            return self._choice(parameter, message, asked=True)
        if parameter.kind == "array":
            return self._array(parameter, message)
        if is_person(parameter) and not takes_words(parameter):
            named = self._names.people(message)
            return named[0].name.title() if named else bare_name(message)
        return self._told_text(parameter, message, today)

    def _told_text(self, parameter: Parameter, message: str, today: date | None) -> str | None:
        """The answer about a text parameter: of its form where it has one, else in the user's words."""
        if parameter.pattern is not None:
            return by_pattern(parameter.pattern, message)
        if wants_time(parameter):
            return assign_times([parameter], message).get(parameter.name)
        day = moment(parameter, message, today)
        if day is not None or parameter.format in {"date", "date-time", "time"}:
            return day
        return informative(message) if deed(message) == 1.0 else core(message)

    def _from_text(self, card: ToolCard, text: str, today: date | None) -> dict[str, Any]:
        spent = vocabulary(card)
        numeric = [one for one in card.parameters if one.kind in {"number", "integer"} and not one.choices]
        timed = [one for one in card.parameters if wants_time(one)]
        persons = [one for one in card.parameters if is_person(one) and not takes_words(one)]
        found: dict[str, Any] = {**assign_numbers(numeric, text, labels=card.effect == "read"), **assign_times(timed, text)}
        found |= assign_people(persons, self._names.people(text, spent)) if persons else {}
        used: set[str] = set()
        for parameter in card.parameters:
            if parameter in numeric or parameter in timed or parameter in persons:
                continue
            value = self._value(parameter, text, today, spent)
            if value is None or (isinstance(value, str) and value in used):
                continue
            found[parameter.name] = value
            used |= {value} if isinstance(value, str) else set()
        return found

    def _value(self, parameter: Parameter, text: str, today: date | None, spent: frozenset[str]) -> Any | None:
        if parameter.choices:
            return self._choice(parameter, text, asked=False)
        if parameter.kind == "boolean":
            return stated_boolean(parameter, text)
        if parameter.kind == "array":
            return self._array(parameter, text)
        return self._string(parameter, text, today, spent) if parameter.kind == "string" else None

    def _choice(self, parameter: Parameter, text: str, *, asked: bool) -> Any | None:
        unit = unit_choice(parameter, text)
        if unit is not None:
            return unit
        asked_words = words(text)
        stems = {stem(word) for word in asked_words}
        exact = [choice for choice in parameter.choices if says_choice(str(choice), asked_words, stems)]
        if exact:
            return max(exact, key=lambda choice: len(str(choice)))
        if not asked and not parameter.required:
            return None
        scored = [(self._similarity.match(text, _spoken(choice)), choice) for choice in parameter.choices]
        best = max(scored, key=lambda one: one[0], default=None)
        return best[1] if best is not None and best[0] >= (0.25 if asked else CHOICE_THRESHOLD) else None

    def _array(self, parameter: Parameter, text: str) -> list[Any] | None:
        items = parameter.items
        if items is None or items.kind == "object":
            return None
        if items.kind in {"number", "integer"}:
            return numbers_listed(items, text)
        if items.choices:
            asked_words = words(text)
            stems = {stem(word) for word in asked_words}
            return [choice for choice in items.choices if says_choice(str(choice), asked_words, stems)] or None
        return quoted(text) or (listed(text) if parameter.required else None) or (proper_names(text) or None)

    def _string(self, parameter: Parameter, text: str, today: date | None, spent: frozenset[str]) -> str | None:
        if parameter.pattern is not None:
            return by_pattern(parameter.pattern, text)
        if takes_words(parameter):
            return next(iter(quoted(text)), None) if parameter.required and overlap(parameter.label, text) > 0 else None
        day = moment(parameter, text, today)
        if day is not None or parameter.format in {"date", "date-time", "time"}:
            return day
        named = suggested(parameter, text) or _keyworded(parameter, text)
        if named is None and parameter.required:
            named = next(iter(quoted(text)), None)
        return named or self._thing(parameter, text, spent)

    def _thing(self, parameter: Parameter, text: str, spent: frozenset[str]) -> str | None:
        """The piece of the message closest to what the parameter says it is; an optional parameter needs a close one."""
        about = f"{parameter.label}. {parameter.description}"
        own = content_stems(parameter.label)
        scored = [
            (
                self._similarity.cosine(piece.text, about)
                + (0.15 if piece.introduced else 0.0)
                + 0.1 * bool(own & content_stems(piece.text)),
                piece.text,
            )
            for piece in pieces(text, spent=spent)
        ]
        best = max(scored, default=None)
        return best[1] if best is not None and (parameter.required or best[0] >= THING_THRESHOLD) else None


def _spoken(choice: object) -> str:
    return " ".join(words(str(choice).replace("_", " ")))


def _keyworded(parameter: Parameter, text: str) -> str | None:
    keywords = [word for word in parameter.label.split() if len(word) > 2 and word not in {"the", "name", "type"}]
    value = after_keyword(text, list(reversed(keywords)))
    if value:
        return value
    if not parameter.required or takes_words(parameter) or not is_narrow(parameter):
        return None
    return next(iter(proper_names(text)), None)


def fits(parameter: Parameter, value: object) -> bool:
    """Whether a value is of the parameter's type and among its choices."""
    if value is None:
        return False
    if parameter.choices:
        return value in parameter.choices
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
        "array": (list,),
        "object": (dict,),
    }
    return isinstance(value, kinds.get(parameter.kind, (object,))) and (
        parameter.kind == "boolean" or not isinstance(value, bool)
    )
