"""How an answer is formed: structured output, length, and tone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_evals.evaluators import EvaluationReason, Evaluator

from evals.cards import Card, Form
from evals.evaluators.answer import Context, card_of, verdict
from evals.evaluators.text import normalise, sentences
from evals.transcript import Transcript

_FENCE = re.compile(r"^```(?:json)?\s*\n(.*?)\n```\s*$", re.DOTALL)
_SHOUTED = re.compile(r"\b[A-Z]{4,}(?:\s+[A-Z]{2,}){2,}\b")
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


@dataclass
class StructuredOutput(Evaluator[list[str], Transcript, Card]):
    """The answer is one JSON object with the fields that are asked for, each of its type; a code fence around it is allowed."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults: list[str] = []
        for number, (spec, turn) in enumerate(zip(card_of(ctx).turns, ctx.output.turns, strict=False), 1):
            if spec.expect.json_fields:
                faults += [f"turn {number}: {fault}" for fault in json_faults(turn.text, spec.expect.json_fields)]
        return verdict(faults)


def json_faults(text: str, fields: Mapping[str, str]) -> list[str]:
    """What keeps `text` from being an object with `fields` (name -> JSON type)."""
    fenced = _FENCE.match(text.strip())
    try:
        found: Any = json.loads(fenced.group(1) if fenced else text)
    except ValueError as error:
        return [f"the answer is not JSON ({error})"]
    if not isinstance(found, dict):
        return ["the answer is JSON, but no object"]
    faults = [f"field {name!r} is missing" for name in fields if name not in found]
    faults += [
        f"field {name!r} is {found[name]!r}, expected {_words(wanted)}"
        for name, wanted in fields.items()
        if name in found and not _is(found[name], wanted)
    ]
    return faults


def _is(value: object, wanted: str) -> bool:
    return isinstance(value, _TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))


def _words(wanted: str) -> str:
    return "null" if wanted == "null" else f"{'an' if wanted[0] in 'aio' else 'a'} {wanted}"


@dataclass
class WellFormed(Evaluator[list[str], Transcript, Card]):
    """Length and tone are within what the card allows."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults: list[str] = []
        for number, (spec, turn) in enumerate(zip(card_of(ctx).turns, ctx.output.turns, strict=False), 1):
            if spec.expect.form is not None:
                faults += [f"turn {number}: {fault}" for fault in form_faults(turn.text, spec.expect.form)]
        return verdict(faults)


def form_faults(text: str, form: Form) -> list[str]:
    """Each limit that `text` breaks."""
    words, parts = len(normalise(text).split()), sentences(text)
    faults: list[str] = []
    if form.max_words is not None and words > form.max_words:
        faults.append(f"{words} words, at most {form.max_words} are allowed")
    if form.min_words is not None and words < form.min_words:
        faults.append(f"{words} words, at least {form.min_words} are wanted")
    longest = max((len(part.split()) for part in parts), default=0)
    if form.max_sentence_words is not None and longest > form.max_sentence_words:
        faults.append(f"a sentence of {longest} words, at most {form.max_sentence_words} are allowed")
    if form.calm and (_SHOUTED.search(text) or text.count("!") > len(parts)):
        faults.append("shouts")
    return faults
