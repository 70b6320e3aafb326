"""Which evaluators a card plans on a target, and the stage each one's failure blames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic_evals.evaluators import Evaluator

from evals.cards import Card
from evals.evaluators import actions, answer
from evals.transcript import Transcript, Visible
from reports.records import Stage


@dataclass(frozen=True, kw_only=True)
class Check:
    """`needs` names the field of `Visible` that must hold for the check to be measurable; null: the text is enough."""

    name: str
    evaluator: Evaluator[list[str], Transcript, Card]
    stage: Stage
    applies: Callable[[Card], bool]
    needs: str | None = None


def _expects(field: str) -> Callable[[Card], bool]:
    return lambda card: any(getattr(turn.expect, field) not in (None, []) for turn in card.turns)


def _plans_tools(card: Card) -> bool:
    return any(turn.expect.tools is not None or turn.expect.forbid_tools for turn in card.turns)


CHECKS: tuple[Check, ...] = (
    Check(name="answered", evaluator=answer.Answered(), stage="model", applies=lambda _: True),
    Check(name="agent", evaluator=actions.AgentChosen(), stage="routing", applies=_expects("agent"), needs="route"),
    Check(name="handoff", evaluator=actions.Handoff(), stage="routing", applies=_expects("handoff"), needs="route"),
    Check(name="tools", evaluator=actions.Tools(), stage="tool", applies=_plans_tools, needs="tools"),
    Check(
        name="state",
        evaluator=actions.EndState(),
        stage="tool",
        applies=lambda c: bool(c.expect_state or c.absent_state),
        needs="state",
    ),
    Check(name="say", evaluator=answer.Say(), stage="model", applies=_expects("say")),
    Check(name="not_say", evaluator=answer.NotSay(), stage="model", applies=_expects("not_say")),
    Check(name="citations", evaluator=answer.Citations(), stage="retrieval", applies=_expects("cite"), needs="citations"),
    Check(name="outcome", evaluator=answer.OutcomeIs(), stage="model", applies=_expects("outcome"), needs="outcome"),
    Check(name="seamless", evaluator=answer.Seamless(), stage="model", applies=lambda card: len(card.turns) > 1),
    Check(
        name="budget",
        evaluator=actions.Budget(),
        stage="model",
        applies=lambda c: c.budgets.model_dump(exclude_none=True) != {},
        needs="timings",
    ),
)
CHECK_NAMES = tuple(check.name for check in CHECKS)


def checks_for(card: Card) -> list[Check]:
    return [check for check in CHECKS if check.applies(card)]


def measurable(check: Check, visible: Visible) -> bool:
    return check.needs is None or bool(getattr(visible, check.needs))
