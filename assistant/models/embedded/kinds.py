"""What a parameter is for: a person, a narrow thing, free text or one of some choices, by its name and description."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.models.embedded.language import content_stems, stem, word_list, words
from assistant.models.embedded.toolbook import Parameter, ToolCard

_PERSON = re.compile(
    r"\b(?:person|employee|people|worker|staff member|team member|member|colleague|customer|user|assignee|patient|student|client)\b|\bwho(?:m|se)?\b",
    re.IGNORECASE,
)
_FREE = re.compile(
    r"\b(?:quer(?:y|ies)|questions?|problems?|symptoms?|messages?|notes?|details?|descriptions?|describes?|described|reasons?|comments?|happened|words|text|"
    r"request|issue|topic|situation|observed|saw|said|says|tell|wrong|about|summary|complaints?|what happened)\b",
    re.IGNORECASE,
)
_IN_WORDS = re.compile(
    r"\bin (?:the user'?s|their(?: own)?|his or her|plain|your|free) words\b|\bas (?:the user|they) (?:said|says|put|wrote|typed)\b",
    re.IGNORECASE,
)
_USER_DEFAULT = re.compile(
    r"\b(?:the )?user\b[^.;]{0,20}\b(?:when|if|unless)\b[^.;]{0,25}\bname|\bdefaults? (?:to|is) the user\b", re.IGNORECASE
)
_SUCH_AS = re.compile(r"\b(?:such as|for example|e\.g\.|like)\s+(?P<options>[^.;()]+)", re.IGNORECASE)
_DEED_STEMS = frozenset(
    stem(word)
    for word in word_list(
        "log record report create open file make add new write enter start put note schedule book submit document happened something thing"
    )
)


def takes_words(parameter: Parameter) -> bool:
    """Whether a string is free text: what the user said is the value, and its tool makes sense of it."""
    if parameter.kind != "string" or parameter.choices or parameter.pattern or parameter.format:
        return False
    if _IN_WORDS.search(parameter.description):
        return True
    return (
        not is_person(parameter)
        and not is_narrow(parameter)
        and _FREE.search(f"{parameter.label} {parameter.description}") is not None
    )


def in_users_words(parameter: Parameter) -> bool:
    """Whether a string is described as what the user said, word for word."""
    return _IN_WORDS.search(parameter.description) is not None


def concerns_people(parameter: Parameter) -> bool:
    """Whether a free text says who: then a pronoun in it is no good to the tool."""
    return _PERSON.search(f"{parameter.label} {parameter.description}") is not None


def defaults_to_user(parameter: Parameter) -> bool:
    """Whether the description says that it is the user when nobody is named."""
    return _USER_DEFAULT.search(parameter.description) is not None


def suggested(parameter: Parameter, text: str) -> str | None:
    """The example value of a description ("such as small or extra large") that the text says."""
    found = _SUCH_AS.search(parameter.description)
    options = re.split(r",\s*(?:or\s+)?|\s+or\s+", found["options"]) if found else []
    stems = {stem(word) for word in words(text)}
    said = [option.strip(" `'\"") for option in options if option.strip() and {stem(word) for word in words(option)} <= stems]
    return max(said, key=len, default=None)


def vocabulary(card: ToolCard) -> frozenset[str]:
    """Stems a tool uses to say what it does: they tell which tool is meant, not what to do it with."""
    return frozenset().union(*(content_stems(claim) for claim in card.claims), _DEED_STEMS)


def is_person(parameter: Parameter) -> bool:
    label = parameter.label
    return (
        _PERSON.search(label) is not None
        or (
            label in {"name", "full name", "first name", "last name"}
            and (not parameter.description or _PERSON.search(parameter.description) is not None)
        )
        or re.match(
            r"\W*(?:the )?(?:name of the )?(?:person|employee|people|worker|member)\b|who\b", parameter.description, re.IGNORECASE
        )
        is not None
    )


def is_narrow(parameter: Parameter) -> bool:
    return bool(
        set(parameter.label.split())
        & {
            "id",
            "code",
            "number",
            "date",
            "day",
            "time",
            "city",
            "country",
            "location",
            "email",
            "phone",
            "url",
            "symbol",
            "ticker",
            "currency",
            "title",
            "name",
        }
    )


def says_choice(choice: str, asked_words: Sequence[str], stems: set[str]) -> bool:
    parts = words(re.sub(r"[_/]", " ", choice))
    if not parts:
        return False
    if len(parts) == 1 and len(parts[0]) <= 2:
        return parts[0] in asked_words and parts[0] not in {"a", "i", "is", "it", "on", "in", "of", "to"}
    return {stem(part) for part in parts} <= stems
