"""What a model said of the answers, read from the transcript: the judge was asked while the play was fresh, never by an evaluator."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_evals.evaluators import EvaluationReason, Evaluator, EvaluatorContext

from evals.cards import Card
from evals.transcript import Transcript, Verdict

_SAID = {"pass": True, "fail": False}
"""The closed set: whatever else a judge says is no verdict."""


class JudgeFault(Exception):
    """There is no verdict: the judge was down, broke its form, or was never asked."""


@dataclass
class Judged(Evaluator[list[str], Transcript, Card]):
    """Every turn that asks for this check was judged, and judged `pass`; by `rubric` (name, version, digest) where that is known."""

    check: str
    rubric: str | None = None

    def evaluate(self, ctx: EvaluatorContext[list[str], Transcript, Card]) -> EvaluationReason:
        """Raises `JudgeFault` when one verdict is missing."""
        assert ctx.metadata is not None
        asked = [n for n, turn in enumerate(ctx.metadata.turns, 1) if self.check in {judge.check for judge in turn.expect.judge}]
        given = {verdict.turn: verdict for verdict in ctx.output.verdicts if verdict.check == self.check}
        faults = [fault for number in asked if (fault := _fault(number, given.get(number), self.rubric))]
        if faults:
            raise JudgeFault("; ".join(faults))
        reasons = {passed: [_reason(given[n]) for n in asked if _SAID[given[n].said or ""] is passed] for passed in (True, False)}
        return EvaluationReason(value=not reasons[False], reason="; ".join(reasons[False] or reasons[True]))


def judged_checks(card: Card) -> list[str]:
    """Names of the checks a judge carries out, each once, in the order the card asks."""
    return list(dict.fromkeys(judge.check for turn in card.turns for judge in turn.expect.judge))


def _fault(number: int, verdict: Verdict | None, rubric: str | None) -> str | None:
    if verdict is None:
        return f"turn {number}: no verdict"
    if rubric is not None and verdict.rubric != rubric:
        return f"turn {number}: the verdict is by {verdict.rubric or 'an unknown rubric'}, asked is {rubric}"
    if verdict.said not in _SAID:
        return f"turn {number}: {verdict.error or f'{verdict.said!r} is not a verdict'}"
    return None


def _reason(verdict: Verdict) -> str:
    score = "" if verdict.score is None else f" ({verdict.score:.2f})"
    return f"turn {verdict.turn}{score}: {verdict.reason}"
