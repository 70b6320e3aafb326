"""Evaluators of what was done: the agent chosen, tools called, hand-offs, the end state, budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_evals.evaluators import EvaluationReason, Evaluator

from evals.cards import Card, Expectation, ToolExpectation
from evals.evaluators.answer import Context, card_of, verdict
from evals.evaluators.text import normalise
from evals.transcript import ToolCall, Transcript

_TOLERANCE = 0.005


@dataclass
class AgentChosen(Evaluator[list[str], Transcript, Card]):
    """Each turn is answered by an expected agent."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults: list[str] = []
        for number, (spec, turn) in enumerate(zip(card_of(ctx).turns, ctx.output.turns, strict=False), 1):
            wanted = spec.expect.agent
            if wanted is not None and turn.agent not in ([wanted] if isinstance(wanted, str) else wanted):
                faults.append(f"turn {number}: agent {turn.agent!r}, expected {wanted!r}")
        return verdict(faults)


@dataclass
class Tools(Evaluator[list[str], Transcript, Card]):
    """Expected tools are called with expected arguments in the expected order, forbidden ones are not."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults: list[str] = []
        for number, (spec, turn) in enumerate(zip(card_of(ctx).turns, ctx.output.turns, strict=False), 1):
            faults += [f"turn {number}: {fault}" for fault in tool_faults(spec.expect, turn.tool_calls)]
        return verdict(faults)


@dataclass
class Handoff(Evaluator[list[str], Transcript, Card]):
    """The specialist changes exactly where expected."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults: list[str] = []
        for number, (spec, turn) in enumerate(zip(card_of(ctx).turns, ctx.output.turns, strict=False), 1):
            wanted = spec.expect.handoff
            if wanted is not None and (turn.handoff is not None) != wanted:
                faults.append(
                    f"turn {number}: {'no hand-off' if wanted else 'a hand-off'}, expected {'one' if wanted else 'none'}"
                )
        return verdict(faults)


@dataclass
class EndState(Evaluator[list[str], Transcript, Card]):
    """The end state contains every expected row and none of the absent ones."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        card, state = card_of(ctx), ctx.output.state or {}
        faults = [
            f"state: no row of `{name}` contains {row!r}"
            for name, rows in card.expect_state.items()
            for row in rows
            if not _any_row(state.get(name, {}), row)
        ]
        faults += [
            f"state: a row of `{name}` contains {row!r}"
            for name, rows in card.absent_state.items()
            for row in rows
            if _any_row(state.get(name, {}), row)
        ]
        return verdict(faults)


@dataclass
class Budget(Evaluator[list[str], Transcript, Card]):
    """No turn exceeds the card's budgets. An unknown count exceeds nothing."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        budgets, faults = card_of(ctx).budgets, list[str]()
        for number, turn in enumerate(ctx.output.turns, 1):
            usage = turn.usage or {}
            spent = {
                "turn_s": turn.duration_s,
                "model_calls": usage.get("model_calls"),
                "output_tokens": usage.get("output_tokens"),
                "input_tokens": usage.get("input_tokens"),
                "tool_calls": len(turn.tool_calls),
                "cost_usd": usage.get("cost_usd"),
            }
            for name, value in spent.items():
                limit = getattr(budgets, name)
                if limit is not None and value is not None and value > limit:
                    faults.append(f"turn {number}: {name} {value:g} exceeds {limit:g}")
        return verdict(faults)


def tool_faults(expect: Expectation, calls: Sequence[ToolCall]) -> list[str]:
    faults = [f"calls forbidden tool {call.tool!r}" for call in calls if call.tool in expect.forbid_tools]
    if expect.tools is None:
        return faults
    if not expect.tools:
        return faults + [f"calls {call.tool!r}; no tool was to be called" for call in calls]
    if expect.tool_precision is not None or expect.tool_recall is not None:
        return faults + _shares(expect, calls)
    if expect.order == "exact" and len(calls) != len(expect.tools):
        faults.append(f"{len(calls)} tool calls, expected exactly {len(expect.tools)}")
    return faults + _unmatched(expect.tools, calls, ordered=expect.order != "any_order")


def _shares(expect: Expectation, calls: Sequence[ToolCall]) -> list[str]:
    """Precision and recall of the calls against `tools`, each call and each expectation matched once, in any order."""
    left, matched = list(calls), 0
    for expectation in expect.tools or []:
        at = next((index for index, call in enumerate(left) if _matches(expectation, call)), None)
        if at is not None:
            del left[at]
            matched += 1
    shares = {
        "tool_precision": (expect.tool_precision, matched / len(calls) if calls else 0.0),
        "tool_recall": (expect.tool_recall, matched / len(expect.tools or [None])),
    }
    return [
        f"{name} {share:.2f}, at least {least:g} is wanted"
        for name, (least, share) in shares.items()
        if least is not None and share < least
    ]


def contains(actual: Any, wanted: Any, tolerance: float = _TOLERANCE) -> bool:
    """Whether `actual` satisfies `wanted`: subset for mappings, containment for text, relative `tolerance` for numbers."""
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and all(
            key in actual and contains(actual[key], value, tolerance) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(actual, list) and all(any(contains(item, value, tolerance) for item in actual) for value in wanted)
    if isinstance(wanted, bool) or wanted is None:
        return actual is wanted
    if isinstance(wanted, int | float):
        return (
            isinstance(actual, int | float)
            and not isinstance(actual, bool)
            and abs(actual - wanted) <= tolerance * max(1.0, abs(wanted))
        )
    return isinstance(actual, str) and normalise(wanted) in normalise(actual)


def _unmatched(wanted: Sequence[ToolExpectation], calls: Sequence[ToolCall], *, ordered: bool) -> list[str]:
    faults: list[str] = []
    left = list(calls)
    for expectation in wanted:
        at = next((index for index, call in enumerate(left) if _matches(expectation, call)), None)
        if at is None:
            faults.append(_missing(expectation, calls))
        elif ordered:
            left = left[at + 1 :]
        else:
            del left[at]
    return faults


def _matches(wanted: ToolExpectation, call: ToolCall) -> bool:
    if call.tool != wanted.name:
        return False
    if wanted.match == "exact":
        return equal(dict(call.arguments), wanted.arguments, wanted.tolerance)
    return contains(call.arguments, wanted.arguments, wanted.tolerance)


def equal(actual: Any, wanted: Any, tolerance: float) -> bool:
    """Same keys, same items in the same order, same text without regard to case; fractions within `tolerance`, whole numbers exactly."""
    if isinstance(wanted, Mapping):
        return (
            isinstance(actual, Mapping)
            and actual.keys() == wanted.keys()
            and all(equal(actual[k], wanted[k], tolerance) for k in wanted)
        )
    if isinstance(wanted, list):
        if not isinstance(actual, list) or len(actual) != len(wanted):
            return False
        return all(equal(one, other, tolerance) for one, other in zip(actual, wanted, strict=True))
    if isinstance(wanted, str):
        return isinstance(actual, str) and normalise(actual) == normalise(wanted)
    if isinstance(wanted, float) and not isinstance(actual, bool) and isinstance(actual, int | float):
        return abs(actual - wanted) <= tolerance * max(1.0, abs(wanted))
    return type(actual) is type(wanted) and actual == wanted


def _missing(wanted: ToolExpectation, calls: Sequence[ToolCall]) -> str:
    same = next((call for call in calls if call.tool == wanted.name), None)
    if same is None:
        made = ", ".join(call.tool for call in calls) or "none"
        return f"tool {wanted.name!r} is not called (called: {made})"
    return f"tool {wanted.name!r} is called with {dict(same.arguments)!r}, expected {wanted.arguments!r} in this order"


def _any_row(rows: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    key = wanted.get("_key")
    fields = {name: value for name, value in wanted.items() if name != "_key"}
    return any((key is None or key == name) and contains(row, fields) for name, row in rows.items())
