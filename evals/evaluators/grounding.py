"""Is what was said supported by what was read? Sentence by sentence, by words and figures, without a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_evals.evaluators import EvaluationReason, Evaluator

from evals.cards import Card
from evals.evaluators.answer import Context, card_of, verdict
from evals.evaluators.text import normalise, quantities, sentences
from evals.transcript import Transcript, Turn

SUPPORTED = 0.5
"""Share of a sentence's weight that its source must hold."""
_WORD = re.compile(r"[^\W_]+(?:['.-][^\W_]+)*", re.UNICODE)
_PROPER = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'-]+")
_LITTLE = frozenset(
    "a an and are as at be been being but by can could did do does for from had has have he her his how i if in is it its may me my no nor not of"
    " on or our she should so some such than that the their them then there these they this those to too was we were what when where which"
    " while who whom whose why will with would you your also both more most other very just only into over under about after before between".split()
)
_NEGATION = frozenset({"no", "not", "never", "none", "neither", "nor", "without", "cannot"})


@dataclass
class Grounded(Evaluator[list[str], Transcript, Card]):
    """Every sentence of a grounded turn is supported by a passage it cites or by the result of a tool it called."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults: list[str] = []
        for number, (spec, turn) in enumerate(zip(card_of(ctx).turns, ctx.output.turns, strict=False), 1):
            if spec.expect.grounded:
                faults += [f"turn {number}: {fault}" for fault in unsupported(turn)]
        return verdict(faults)


def unsupported(turn: Turn) -> list[str]:
    """Statements of a turn that nothing it read supports; questions state nothing."""
    sources = [citation.quote for citation in turn.citations if citation.exists]
    sources += [text for call in turn.tool_calls if call.ok for text in _texts(call.result)]
    told = [part for part in sentences(turn.text) if not part.endswith("?") and _words(part)]
    if told and not sources:
        return ["states something and read nothing"]
    whole = "\n".join([*sources, turn.user])
    return [f"nothing it read supports {part!r}" for part in told if support(part, whole) < SUPPORTED]


def support(statement: str, source: str) -> float:
    """0 to 1: the weighted share of the statement's words that `source` holds, 0 when it holds a figure that the source does not.

    Names and figures weigh three times what other words weigh. A statement without words is supported.
    """
    known = {_stem(word) for word in _words(source)}
    weights = {word: 3.0 if _weighty(word, statement) else 1.0 for word in _words(statement)}
    if not weights:
        return 1.0
    figures = quantities(statement)
    if figures:
        there = quantities(source)
        if any(not any(f.unit == t.unit and abs(f.value - t.value) <= 0.6 for t in there) for f in figures):
            return 0.0
    held = sum(weight for word, weight in weights.items() if _stem(word) in known)
    return held / sum(weights.values())


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(normalise(text)) if word not in _LITTLE]


def _weighty(word: str, statement: str) -> bool:
    return word[0].isdigit() or any(normalise(name) == word for name in _PROPER.findall(statement))


def _stem(word: str) -> str:
    """Without the commonest endings, so that forms of one word meet."""
    for ending in ("'s", "ings", "ing", "edly", "ed", "ies", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, Sequence):
        return [text for item in value for text in _texts(item)]
    return [] if value is None else [str(value)]
