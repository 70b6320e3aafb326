"""Whether a simulated user got what it came for."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_evals.evaluators import EvaluationReason, Evaluator, EvaluatorContext

from evals.cards import Card
from evals.transcript import Transcript

_SHORT_OF = {
    "max_turns": "the goal is not reached in as many turns as the card allows",
    "left": "the user leaves before the goal is reached",
    None: "the conversation broke off before the goal was reached",
}


@dataclass
class GoalReached(Evaluator[list[str], Transcript, Card]):
    """The conversation ended because the goal was reached, in the words or the state the card names."""

    def evaluate(self, ctx: EvaluatorContext[list[str], Transcript, Card]) -> EvaluationReason:
        ended = ctx.output.ended
        if ended == "reached":
            return EvaluationReason(value=True)
        return EvaluationReason(value=False, reason=_SHORT_OF.get(ended, str(ended)))
