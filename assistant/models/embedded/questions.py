"""One question for one missing argument, from what the tool says about it."""

from __future__ import annotations

import re

from assistant.models.embedded.language import sentences, words
from assistant.models.embedded.toolbook import Parameter

_ASIDE = re.compile(
    r",?\s*\(?(?:in|as|like) (?:the user'?s?|their(?: own)?|his or her|they|one'?s)\b[^,.;]*|,?\s*\(?as (?:named|said|written|given|heard)\b[^,.;]*",
    re.IGNORECASE,
)
_WH = re.compile(r"(?:what|who|whom|whose|which|when|where|how|why)\b", re.IGNORECASE)
_OWNED = re.compile(r"(?:the|a|an|your|their|its|his|her|my|our)\b", re.IGNORECASE)


def question_for(parameter: Parameter) -> str:
    """A question a person would ask. A description that starts like a question becomes one; choices are offered when few."""
    first = (sentences(parameter.description) or [""])[0].strip()
    if first.endswith("?"):
        return first
    described = _ASIDE.sub("", first.rstrip(".")).strip(" ,;")
    options = [str(choice).replace("_", " ") for choice in parameter.choices]
    if 2 <= len(options) <= 6:
        return f"Which {_noun(parameter, described)}: {', '.join(options[:-1])} or {options[-1]}?"
    if parameter.kind == "boolean":
        return f"{_capital(described or parameter.label)}: yes or no?"
    if _WH.match(described) and len(words(described)) <= 14:
        return f"{_capital(described)}?"
    if described and len(words(described)) <= 14:
        return f"What is {_definite(_lowered(described))}?"
    return f"What is the {parameter.label}?"


def _noun(parameter: Parameter, described: str) -> str:
    noun = re.sub(r"^(?:the|a|an|one of the|which)\s+", "", described, flags=re.IGNORECASE)
    return _lowered(noun) if 0 < len(words(noun)) <= 5 else parameter.label


def _definite(text: str) -> str:
    return text if _OWNED.match(text) else f"the {text}"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
