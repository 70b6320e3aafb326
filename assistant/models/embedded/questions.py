"""One question for one missing argument, from what the tool says about it."""

from __future__ import annotations

import re

from assistant.models.embedded.language import sentences, words
from assistant.models.embedded.toolbook import Parameter


def question_for(parameter: Parameter) -> str:
    """A question a person would ask. A description that is a question is used as it is; choices are offered when few."""
    described = (sentences(parameter.description) or [""])[0].strip().rstrip(".")
    if described.endswith("?"):
        return described
    options = [str(choice).replace("_", " ") for choice in parameter.choices]
    if 2 <= len(options) <= 6:
        return f"Which {_noun(parameter, described)}: {', '.join(options[:-1])} or {options[-1]}?"
    if parameter.kind == "boolean":
        return f"{_sentence(parameter.label)}: yes or no?"
    if re.match(r"(?:when|date|day)\b", parameter.label) or parameter.format in {"date", "date-time", "time"}:
        return f"When is it ({_lowered(described)})?" if described else "When is it?"
    return (
        f"What is {_definite(_lowered(described))}?"
        if described and len(words(described)) <= 14
        else f"What is the {parameter.label}?"
    )


def _noun(parameter: Parameter, described: str) -> str:
    return (
        _lowered(re.sub(r"^(?:the|a|an|one of the|which)\s+", "", described, flags=re.IGNORECASE))
        if 0 < len(words(described)) <= 6
        else parameter.label
    )


def _definite(text: str) -> str:
    if re.match(r"(?:the|a|an|your|their|its|his|her|my|our|how|what|who|which|when|where)\b", text):
        return text
    return f"the {text}"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
