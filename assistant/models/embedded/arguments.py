"""A tool's arguments out of what the user said: each parameter by its own type, required ones also from earlier messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from assistant.models.embedded.extract.calendar import find_day, find_time
from assistant.models.embedded.extract.entity import pieces
from assistant.models.embedded.extract.numbers import assign_numbers
from assistant.models.embedded.extract.spans import after_keyword, informative, person, proper_names, quoted
from assistant.models.embedded.kinds import is_narrow, is_person, says_choice, takes_words, vocabulary
from assistant.models.embedded.language import content_stems, core, overlap, stem, words
from assistant.models.embedded.requests import deed
from assistant.models.embedded.similarity import Similarity
from assistant.models.embedded.toolbook import Parameter, ToolCard

CHOICE_THRESHOLD = 0.5
"""Least similarity between a message and an enum value (with the parameter's description) to take that value."""
THING_THRESHOLD = 0.34
"""Least fit of a piece of the message for an optional parameter that names a thing."""

_UNSURE = re.compile(
    r"\b(?:not sure|unsure|no idea|(?:don'?t|do not) know|maybe|perhaps|can'?t tell|cannot tell)\b", re.IGNORECASE
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


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where arguments may come from, in order: this message, values already known, earlier user messages (newest first)."""

    message: str
    known: Mapping[str, Any]
    earlier: Sequence[str]
    today: date | None
    context: str = ""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """`missing` lists required parameters nothing was found for, in schema order."""

    arguments: dict[str, Any]
    missing: tuple[Parameter, ...]


class ArgumentReader:
    """Fills arguments. Deterministic; holds only the shared similarity cache."""

    def __init__(self, similarity: Similarity) -> None:
        self._similarity = similarity

    def fill(self, card: ToolCard, sources: Sources) -> Filled:
        found = self._from_text(card, sources.message, sources.today)
        for parameter in card.parameters:
            if parameter.name not in found and parameter.required and fits(parameter, sources.known.get(parameter.name)):
                found[parameter.name] = sources.known[parameter.name]
        for text in sources.earlier:
            if all(parameter.name in found for parameter in card.parameters if parameter.required):
                break
            for name, value in self._from_text(card, text, sources.today).items():
                parameter = card.parameter(name)
                if name not in found and parameter is not None and parameter.required:
                    found[name] = value
        for parameter in card.parameters:
            if parameter.required and parameter.name not in found and takes_words(parameter):
                told = self._told(card, sources)
                if told is not None:
                    found[parameter.name] = told
        missing = tuple(parameter for parameter in card.parameters if parameter.required and parameter.name not in found)
        ordered = {parameter.name: found[parameter.name] for parameter in card.parameters if parameter.name in found}
        return Filled(arguments=ordered, missing=missing)

    def _told(self, card: ToolCard, sources: Sources) -> str | None:
        """The message in the user's words; null when it only names the deed ("report an injury") and tells nothing."""
        text = informative(sources.message)
        heads = (re.split(r"[:,]", example, maxsplit=1)[0] for example in card.examples if re.search(r"[:,]", example))
        bare = content_stems(text) <= vocabulary(card).union(*(content_stems(head) for head in heads))
        if bare and card.effect == "write" and any(parameter.required for parameter in card.parameters):
            return None
        return text

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
        if is_person(parameter):
            return person(message) or _bare_name(message)
        moment = _moment(parameter, message, today)
        if parameter.pattern is not None:
            return _by_pattern(parameter.pattern, message)
        if moment is not None or parameter.format in {"date", "date-time", "time"}:
            return moment
        return informative(message) if deed(message) == 1.0 else core(message)

    def _from_text(self, card: ToolCard, text: str, today: date | None) -> dict[str, Any]:
        spent = vocabulary(card)
        numeric = [
            parameter for parameter in card.parameters if parameter.kind in {"number", "integer"} and not parameter.choices
        ]
        found: dict[str, Any] = assign_numbers(numeric, text)
        used: set[str] = set()
        for parameter in card.parameters:
            if parameter in numeric:
                continue
            value = self._value(parameter, text, today, spent)
            value = None if isinstance(value, str) and value in used and not is_person(parameter) else value
            if value is not None:
                found[parameter.name] = value
                if isinstance(value, str):
                    used.add(value)
        return found

    def _value(self, parameter: Parameter, text: str, today: date | None, spent: frozenset[str]) -> Any | None:
        if parameter.choices:
            return self._choice(parameter, text, asked=False)
        if parameter.kind == "boolean":
            return _stated_boolean(parameter, text)
        if parameter.kind == "array":
            return self._array(parameter, text)
        if parameter.kind != "string":
            return None
        return self._string(parameter, text, today, spent)

    def _choice(self, parameter: Parameter, text: str, *, asked: bool) -> Any | None:
        asked_words = words(text)
        stems = {stem(word) for word in asked_words}
        exact = [choice for choice in parameter.choices if says_choice(str(choice), asked_words, stems)]
        if exact:
            return max(exact, key=lambda choice: len(str(choice)))
        if not asked and not parameter.required:
            return None
        scored = [(self._similarity.match(text, _spoken(choice)), choice) for choice in parameter.choices]
        best = max(scored, key=lambda one: one[0], default=None)
        return best[1] if best is not None and best[0] >= (0.25 if asked else CHOICE_THRESHOLD - 0.15) else None

    def _array(self, parameter: Parameter, text: str) -> list[Any] | None:
        items = parameter.items
        if items is None or items.kind == "object":
            return None
        if items.kind in {"number", "integer"}:
            listed = re.search(r"[\[(]([^\])]*\d[^\])]*)[\])]", text)
            values = [
                assign_numbers([items], piece).get(items.name)
                for piece in re.split(r",|\band\b|\s", listed[1] if listed else text)
            ]
            kept = [value for value in values if value is not None]
            return kept or None
        if items.choices:
            asked_words = words(text)
            stems = {stem(word) for word in asked_words}
            return [choice for choice in items.choices if says_choice(str(choice), asked_words, stems)] or None
        return quoted(text) or (_listed(text) if parameter.required else None) or (proper_names(text) or None)

    def _string(self, parameter: Parameter, text: str, today: date | None, spent: frozenset[str]) -> str | None:
        if parameter.pattern is not None:
            return _by_pattern(parameter.pattern, text)
        moment = _moment(parameter, text, today)
        if moment is not None or parameter.format in {"date", "date-time", "time"}:
            return moment
        if is_person(parameter):
            return person(text)
        if takes_words(parameter):
            return next(iter(quoted(text)), None) if parameter.required and overlap(parameter.label, text) > 0 else None
        named = _keyworded(parameter, text)
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


def yes_or_no(text: str) -> bool | None:
    """What an answer says to a yes-or-no question; null when it says neither."""
    if _UNSURE.search(text):
        return None
    if _NO.match(text) or _NEGATED.search(text):
        return False
    return True if _YES.match(text) else None


def _stated_boolean(parameter: Parameter, text: str) -> bool | None:
    stems = content_stems(parameter.label)
    if not stems or not stems <= content_stems(text):
        return None
    first = next(iter(stems))
    negated = re.search(
        rf"\b(?:no|not|without|isn'?t|wasn'?t|didn'?t|don'?t|never)\b[^.,;]{{0,20}}\b{re.escape(first)}", text, re.IGNORECASE
    )
    return negated is None


def _spoken(choice: object) -> str:
    return " ".join(words(str(choice).replace("_", " ")))


def _by_pattern(pattern: str, text: str) -> str | None:
    loose = pattern.removeprefix("^").removesuffix("$")
    try:
        found = re.search(rf"(?<![\w-])(?:{loose})(?![\w-])", text) or re.search(rf"(?<![\w-])(?:{loose})(?![\w-])", text.upper())
    except re.error:
        return None
    return found[0] if found else None


def _moment(parameter: Parameter, text: str, today: date | None) -> str | None:
    label = set(parameter.label.split())
    wants_day = parameter.format in {"date", "date-time"} or bool(label & {"date", "day", "when", "deadline"})
    wants_time = parameter.format in {"time", "date-time"} or (bool(label & {"time", "when", "at"}) and parameter.format is None)
    day = find_day(text, today) if wants_day else None
    time = find_time(text) if wants_time else None
    if parameter.format == "date-time":
        return f"{day.isoformat()}T{time}:00" if day and time else None
    if day is not None:
        return f"{day.isoformat()} {time}" if time else day.isoformat()
    return time


def _keyworded(parameter: Parameter, text: str) -> str | None:
    keywords = [word for word in parameter.label.split() if len(word) > 2 and word not in {"the", "name", "type"}]
    value = after_keyword(text, list(reversed(keywords)))
    if value:
        return value
    if not parameter.required or takes_words(parameter) or not is_narrow(parameter):
        return None
    names = proper_names(text)
    return names[0] if names else None


def _listed(text: str) -> list[str] | None:
    found = re.search(r"(?:[:]\s*|\bof\s+|\bare\s+|\bfor\s+)?((?:[\w-]+(?:\s[\w-]+)?,\s*)+(?:and\s+)?[\w-]+)", text)
    if not found:
        return None
    return [piece.strip() for piece in re.split(r",\s*(?:and\s+)?|\s+and\s+", found[1]) if piece.strip()]


def _bare_name(text: str) -> str | None:
    """An answer that is a name and nothing else, whatever its case."""
    stripped = re.sub(
        r"^\W*(?:it'?s|it was|that'?s|his name is|her name is|name is|for|with)\s+", "", core(text), flags=re.IGNORECASE
    ).strip(" .!")
    return (
        stripped.title()
        if stripped and len(stripped.split()) <= 3 and stripped.replace(" ", "").replace("-", "").replace("'", "").isalpha()
        else None
    )


def fits(parameter: Parameter, value: object) -> bool:
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
