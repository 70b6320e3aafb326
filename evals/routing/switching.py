"""What a change of specialist costs: one long conversation that changes the agent at every turn, measured once its history is long."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from evals.routing.measure import Outcome
from evals.targets.inprocess import InProcessTarget
from reports.records import Estimate
from reports.statistics.quantiles import quantile_estimate

HISTORY_TURNS = 50
"""Turns, two messages each, before the first measured one."""
MEASURED_TURNS = 95
"""Enough for a bound on the 95th percentile with one turn over the limit."""
_SURE = 0.95


async def switch_metrics(outcomes: Sequence[Outcome], target: InProcessTarget) -> dict[str, Estimate | None]:
    """Seconds from the routing decision to the other agent's first model request, at 100 messages of history and more."""
    messages = alternating(outcomes, HISTORY_TURNS + MEASURED_TURNS)
    if not messages:
        return {"turn.switch.p95_s": None}
    turns, _ = await target.converse(messages, user="crew", sandbox=await target.sandbox())
    seconds = [float(turn.handoff["duration_s"]) for turn in turns[HISTORY_TURNS:] if turn.handoff]
    return {"turn.switch.p95_s": quantile_estimate(seconds, 0.95, planned=len(seconds))}


def alternating(outcomes: Sequence[Outcome], count: int) -> list[str]:
    """Utterances that the router is sure of and right about, each for another agent than the one before."""
    by_agent: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.right and outcome.agent != "none" and outcome.confidence >= _SURE:
            by_agent.setdefault(outcome.agent, []).append(outcome.utterance.text)
    if len(by_agent) < 2:
        return []
    turns = zip(cycle(by_agent), range(count), strict=False)
    supplies = {agent: cycle(texts) for agent, texts in by_agent.items()}
    return [next(supplies[agent]) for agent, _ in turns]
