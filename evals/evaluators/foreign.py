"""pydantic-evals' own evaluators, named in a card as there: `ToolCorrectness`, `{MaxDuration: 2}`, `{Contains: {value: 165}}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import JsonValue
from pydantic_evals.evaluators import (
    ArgumentCorrectness,
    Contains,
    EvaluationReason,
    Evaluator,
    EvaluatorContext,
    HasMatchingSpan,
    MaxDuration,
    MaxModelRequests,
    MaxToolCalls,
    ToolCorrectness,
    TrajectoryMatch,
)

from evals.cards import Card
from evals.spans import span_tree
from evals.transcript import Transcript

Spec = str | dict[str, JsonValue]
KNOWN: Mapping[str, tuple[type[Evaluator[Any, Any, Any]], str | None]] = {
    "Contains": (Contains, None),
    "MaxDuration": (MaxDuration, "timings"),
    "HasMatchingSpan": (HasMatchingSpan, "tools"),
    "ToolCorrectness": (ToolCorrectness, "tools"),
    "TrajectoryMatch": (TrajectoryMatch, "tools"),
    "ArgumentCorrectness": (ArgumentCorrectness, "tools"),
    "MaxToolCalls": (MaxToolCalls, "tools"),
    "MaxModelRequests": (MaxModelRequests, "tools"),
}
"""Name -> the class and what a target must show for it. `Equals` and `IsInstance` compare Python values, which a conversation is not; a model as
judge is asked with `judge`."""


@dataclass
class Foreign(Evaluator[list[str], Transcript, Card]):
    """A pydantic-evals evaluator on the answers, one after another as one text, and on the span tree of the transcript."""

    name: str
    inner: Evaluator[Any, Any, Any]

    def evaluate(self, ctx: EvaluatorContext[list[str], Transcript, Card]) -> EvaluationReason:
        text = "\n".join(turn.text for turn in ctx.output.turns)
        told = self.inner.evaluate(replace(ctx, output=text, _span_tree=span_tree(ctx.output)))  # pyright: ignore[reportArgumentType]
        return verdict_of(self.name, told)


def verdict_of(name: str, told: Any) -> EvaluationReason:
    """Bool as it is; a number passes at 1; a mapping when all its parts pass."""
    if isinstance(told, EvaluationReason):
        inner = verdict_of(name, told.value)
        return EvaluationReason(value=inner.value, reason=told.reason or inner.reason)
    if isinstance(told, Mapping):
        parts = {str(key): verdict_of(str(key), value) for key, value in told.items()}  # pyright: ignore[reportUnknownVariableType]
        faults = [f"{key}: {part.reason or 'fails'}" for key, part in parts.items() if not part.value]
        return EvaluationReason(value=not faults, reason="; ".join(faults) or None)
    passed = told if isinstance(told, bool) else isinstance(told, int | float) and told >= 1
    return EvaluationReason(value=passed, reason=None if passed else f"{name} gives {told!r}")


def read_spec(spec: Spec) -> tuple[str, Evaluator[Any, Any, Any]]:
    """The name and the evaluator of a spec. Raises `ValueError` with the fault and the names there are."""
    name, arguments = (spec, None) if isinstance(spec, str) else next(iter(spec.items()), ("", None))
    if isinstance(spec, dict) and len(spec) != 1:
        raise ValueError(f"{spec!r} names {len(spec)} evaluators; write one entry for each")
    if name not in KNOWN:
        raise ValueError(f"unknown evaluator {name!r}; known: {', '.join(KNOWN)}")
    kind: Any = KNOWN[name][0]
    try:
        if arguments is None:
            return name, kind()
        return name, kind(**arguments) if isinstance(arguments, dict) else kind(arguments)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
