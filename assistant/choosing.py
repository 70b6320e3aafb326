"""Chooses who answers a message: the router; for its doubts a router model or the safest agent; for several requests several agents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pydantic_ai import RunUsage

from assistant.agents.handoff import settle
from assistant.agents.opinion import SecondOpinion, moved
from assistant.pack import Pack
from assistant.routing import NO_AGENT, Decision, RouteContext
from assistant.several import Request, in_order
from assistant.spans import Spans


class ChoosesAgent(Protocol):
    """What a turn needs of `assistant.routing.Router`."""

    def decide(self, text: str, context: RouteContext) -> Decision: ...


def whole(text: str) -> list[str]:
    """A message taken as one request."""
    return [text]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """At least one request, in the order of answering; `usage` is what choosing cost."""

    requests: Sequence[Request]
    usage: RunUsage = field(default_factory=RunUsage)


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """`split` gives the requests in a message. A decision whose probability is below `unsure_below` is a doubt."""

    pack: Pack
    router: ChoosesAgent
    split: Callable[[str], Sequence[str]] = whole
    opinion: SecondOpinion | None = None
    unsure_below: float = 0.0

    async def choose(self, text: str, context: RouteContext, spans: Spans) -> Chosen:
        parts = self.split(text)
        if len(parts) > 1:
            decided = [(part, self.router.decide(part, context)) for part in parts]
            requests = in_order(decided, current=context.current_agent, pack=self.pack)
            if requests:
                return Chosen(requests=requests)
        decision, usage = self.router.decide(text, context), RunUsage()
        if decision.agent != NO_AGENT and decision.agent not in self.pack.agents:
            decision = replace(
                decision, agent=self.pack.safest_agent, stage="default", doubt="the router named no agent of the pack"
            )
        elif decision.confidence < self.unsure_below and not decision.doubt:
            decision, usage = await self._in_doubt(text, decision, context, spans)
        route = settle(decision, current=context.current_agent, pack=self.pack)
        return Chosen(requests=[Request(text=text, route=route)], usage=usage)

    async def _in_doubt(self, text: str, decision: Decision, context: RouteContext, spans: Spans) -> tuple[Decision, RunUsage]:
        if self.opinion is not None:
            opinion = await self.opinion.on(text, decision, context, unsure_below=self.unsure_below, spans=spans)
            return opinion.decision, opinion.usage
        doubt = f"probability {decision.confidence:.2f} of {decision.agent}"
        return replace(moved(decision, self.pack.safest_agent), stage="default", doubt=doubt), RunUsage()
