"""Which evaluators a card plans on a target, and the stage each one's failure blames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic_evals.evaluators import Evaluator

from evals.cards import Card
from evals.evaluators import actions, answer, foreign
from evals.evaluators.form import StructuredOutput, WellFormed
from evals.evaluators.goals import GoalReached
from evals.evaluators.grounding import Grounded
from evals.evaluators.judged import Judged, judged_checks
from evals.evaluators.leaks import Canaries, NoPersonalData
from evals.evaluators.refusal import Refusal
from evals.transcript import Transcript, Visible
from reports.records import Stage


@dataclass(frozen=True, kw_only=True)
class Check:
    """`needs` names the field of `Visible` that must hold for the check to be measurable; null: the text is enough.

    An `advisory` check is reported and decides nothing. `labels` are added to those of its slots. Of a conversation with a simulated user a
    check sees the whole as one turn, or `every_turn`.
    """

    name: str
    evaluator: Evaluator[list[str], Transcript, Card]
    stage: Stage
    applies: Callable[[Card], bool]
    needs: str | None = None
    advisory: bool = False
    every_turn: bool = False
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


def _expects(field: str) -> Callable[[Card], bool]:
    return lambda card: any(getattr(turn.expect, field) not in (None, []) for turn in card.turns)


def _asks(field: str) -> Callable[[Card], bool]:
    return lambda card: any(bool(getattr(turn.expect, field)) for turn in card.turns)


def _plans_tools(card: Card) -> bool:
    return any(turn.expect.tools is not None or turn.expect.forbid_tools for turn in card.turns)


CHECKS: tuple[Check, ...] = (
    Check(name="answered", evaluator=answer.Answered(), stage="model", applies=lambda _: True, every_turn=True),
    Check(name="goal", evaluator=GoalReached(), stage="model", applies=lambda card: card.goal is not None),
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
    Check(name="refusal", evaluator=Refusal(), stage="model", applies=_expects("refusal")),
    Check(name="grounded", evaluator=Grounded(), stage="retrieval", applies=_asks("grounded"), needs="tools"),
    Check(name="structured", evaluator=StructuredOutput(), stage="model", applies=_asks("json_fields")),
    Check(name="form", evaluator=WellFormed(), stage="model", applies=_expects("form")),
    Check(name="canaries", evaluator=Canaries(), stage="model", applies=lambda card: bool(card.canaries), every_turn=True),
    Check(
        name="personal_data",
        evaluator=NoPersonalData(),
        stage="model",
        applies=lambda card: card.pii_allowed is not None,
        every_turn=True,
    ),
    Check(name="outcome", evaluator=answer.OutcomeIs(), stage="model", applies=_expects("outcome"), needs="outcome"),
    Check(
        name="seamless",
        evaluator=answer.Seamless(),
        stage="model",
        applies=lambda card: len(card.turns) > 1 or card.goal is not None,
        every_turn=True,
    ),
    Check(
        name="budget",
        evaluator=actions.Budget(),
        stage="model",
        applies=lambda c: c.budgets.model_dump(exclude_none=True) != {},
        needs="timings",
        every_turn=True,
    ),
)
CHECK_NAMES = tuple(check.name for check in CHECKS)


def checks_for(card: Card) -> list[Check]:
    """Raises `ValueError` for an evaluator that is unknown or cannot be made."""
    return [
        *(check for check in CHECKS if check.applies(card)),
        *map(_foreign, card.evaluators),
        *map(_judged, judged_checks(card)),
    ]


def _foreign(spec: foreign.Spec) -> Check:
    name, inner = foreign.read_spec(spec)
    evaluator = foreign.Foreign(name=name, inner=inner)
    return Check(
        name=name, evaluator=evaluator, stage="tool", applies=lambda _: True, needs=foreign.KNOWN[name][1], every_turn=True
    )


def _judged(name: str) -> Check:
    """Advisory until a calibration of the judge says otherwise."""
    return Check(name=name, evaluator=Judged(name), stage="model", applies=lambda _: True, needs="judge", advisory=True)


def measurable(check: Check, visible: Visible) -> bool:
    return check.needs is None or bool(getattr(visible, check.needs))
