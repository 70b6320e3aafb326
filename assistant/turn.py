"""One turn: load the thread, choose the agent, let it answer, keep everything, and say so event by event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from uuid import uuid4

from pydantic_ai import RunUsage

from assistant.agents.answer import Answer, AnswerRun
from assistant.agents.factory import Specialist
from assistant.agents.handoff import Route, open_question, settle
from assistant.agents.knowledge import citations
from assistant.deps import PassageSearch
from assistant.errors import UnknownThread
from assistant.faults import Faults
from assistant.memory import FinishedTurn, Opened, Said, Sandboxes, Thread, ThreadStore
from assistant.pack import Pack
from assistant.routing import NO_AGENT, Decision, RouteContext
from assistant.spans import Spans
from assistant.telemetry import Telemetry
from assistant.turn_log import TurnLog
from assistant.wire import (
    AgentScore,
    CitationEvent,
    DoneEvent,
    ErrorEvent,
    HandoffEvent,
    MetaEvent,
    NodeEvent,
    Outcome,
    RouteEvent,
    TokenEvent,
    TurnRequest,
    UsageEvent,
)

SMALL_TALK = frozenset({"chitchat", "greeting"})
"""Intents outside every specialist that deserve the greeting reply rather than a refusal."""

_log = logging.getLogger(__name__)


class ChoosesAgent(Protocol):
    """What a turn needs of `assistant.routing.Router`."""

    def decide(self, text: str, context: RouteContext) -> Decision: ...


@dataclass(frozen=True, kw_only=True)
class Workings:
    """What every turn of an assistant shares."""

    pack: Pack
    model_name: str
    timeout_s: float
    router: ChoosesAgent
    knowledge: PassageSearch
    specialists: Mapping[str, Specialist]
    threads: ThreadStore
    sandboxes: Sandboxes
    telemetry: Telemetry
    now: Callable[[], datetime]


@dataclass(kw_only=True)
class Turn:
    """Plays one request once. `timings` fills up with seconds by stage."""

    workings: Workings
    request: TurnRequest
    log: TurnLog
    spans: Spans
    turn_id: str = field(default_factory=lambda: uuid4().hex)
    timings: dict[str, float] = field(default_factory=dict[str, float])

    async def play(self) -> None:
        """Raises `RequestError` before the first event, and nothing that a request can cause after it."""
        faults = self.workings.sandboxes.faults(self.request.sandbox)
        opened = await self._accept()
        try:
            route = self._route(opened.thread)
            await self._tell_route(opened.thread, route)
            answer = await (self._decline(route) if route.agent == NO_AGENT else self._answer(opened, route, faults))
            await self._conclude(opened.thread, route, answer)
        except Exception as error:  # noqa: BLE001 - a turn must end with `done`, whatever broke it; the cause is logged
            _log.exception("turn %s broke", self.turn_id)
            await self._give_up(error)

    async def _accept(self) -> Opened:
        work, request = self.workings, self.request
        started = self.log.now()
        said = Said(
            thread_id=request.thread_id,
            turn_id=self.turn_id,
            user_id=request.user_id,
            pack=work.pack.name,
            text=request.message,
            at=work.now(),
        )
        opened = await work.threads.accept(said)
        if opened is None:
            raise UnknownThread(request.thread_id or "")
        thread_id = opened.thread.thread_id
        await self.log.emit(
            MetaEvent(**self.log.stamp(), pack=work.pack.name, thread_id=thread_id, turn_id=self.turn_id, model=work.model_name)
        )
        await self._ended("load", started)
        return opened

    def _route(self, thread: Thread) -> Route:
        context = RouteContext(current_agent=thread.agent, pending=thread.pending is not None, previous_text=thread.previous_text)
        decision = self.workings.router.decide(self.request.message, context)
        self.timings["route_s"] = decision.duration_s
        if decision.agent != NO_AGENT and decision.agent not in self.workings.specialists:
            decision = replace(decision, agent=self.workings.pack.safest_agent, stage="default")
        return settle(decision, current=thread.agent, pack=self.workings.pack)

    async def _tell_route(self, thread: Thread, route: Route) -> None:
        decision = route.decision
        await self.log.emit(
            RouteEvent(
                **self.log.stamp(),
                agent=route.agent,
                previous_agent=thread.agent,
                stage=decision.stage,
                confidence=decision.confidence,
                intent=decision.intent,
                alternatives=[AgentScore(agent=name, probability=share) for name, share in decision.alternatives],
                duration_s=decision.duration_s,
            )
        )

    async def _answer(self, opened: Opened, route: Route, faults: Faults) -> Answer:
        work, thread = self.workings, opened.thread
        routed = self.log.now() - self.timings["route_s"]
        specialist = work.specialists[route.agent]
        deps = specialist.deps_type(
            state=work.sandboxes.state(self.request.sandbox, faults),
            knowledge=work.knowledge,
            user_id=thread.user_id,
            thread_id=thread.thread_id,
            now=work.now,
        )

        async def switched() -> None:
            if route.handoff_from is not None:
                await self.log.emit(
                    HandoffEvent(
                        **self.log.stamp(),
                        from_agent=route.handoff_from,
                        to_agent=route.agent,
                        duration_s=self.log.now() - routed,
                    )
                )

        run = AnswerRun(
            specialist=specialist, deps=deps, log=self.log, spans=self.spans, faults=faults, on_first_request=switched
        )
        started = self.log.now()
        answer = await run.answer(self.request.message, opened.history(), timeout_s=work.timeout_s)
        await self._ended("agent", started)
        return answer

    async def _decline(self, route: Route) -> Answer:
        greeted = route.decision.intent in SMALL_TALK
        text = self.workings.pack.greeting_reply if greeted else self.workings.pack.out_of_scope_reply
        await self.log.emit(TokenEvent(**self.log.stamp(), text=text))
        # Nobody's turn stays out of what the agents read, so that an open question is still the last thing said.
        return Answer(text=text, outcome="answered" if greeted else "refused", messages=[], usage=RunUsage(), model_name=None)

    async def _conclude(self, thread: Thread, route: Route, answer: Answer) -> None:
        for citation in citations(answer.text, self.workings.knowledge):
            await self.log.emit(
                CitationEvent(
                    **self.log.stamp(),
                    document=citation.document,
                    passage=citation.passage,
                    title=citation.title,
                    quote=citation.quote,
                    exists=citation.exists,
                )
            )
        usage = answer.usage
        await self.log.emit(
            UsageEvent(
                **self.log.stamp(),
                model=answer.model_name or self.workings.model_name,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                model_calls=usage.requests,
                cost_usd=None if usage.cost is None else float(usage.cost),
            )
        )
        if answer.error is not None:
            await self.log.emit(ErrorEvent(**self.log.stamp(), code="model_failed", message=answer.error, retryable=True))
        await self._keep(thread, route, answer)
        await self._done(route.agent, answer.text, answer.outcome)

    async def _keep(self, thread: Thread, route: Route, answer: Answer) -> None:
        declined = route.agent == NO_AGENT
        started = self.log.now()
        finished = FinishedTurn(
            thread_id=thread.thread_id,
            turn_id=self.turn_id,
            text=answer.text,
            agent=route.agent,
            outcome=answer.outcome,
            messages=answer.messages,
            thread_agent=thread.agent if declined else route.agent,
            pending=thread.pending if declined else open_question(answer.messages),
            previous_text=thread.previous_text if declined else self.request.message,
            events=self.log.kept(),
        )
        await self.workings.threads.finish(finished, self.workings.now())
        await self._ended("store", started)

    async def _give_up(self, error: Exception) -> None:
        self.workings.telemetry.count("broken_turns", type(error).__name__)
        text = "Something went wrong on our side and I could not answer. Your message is kept; please try again."
        await self.log.emit(TokenEvent(**self.log.stamp(), text=text))
        await self.log.emit(
            ErrorEvent(**self.log.stamp(), code="internal", message="The turn could not be finished.", retryable=True)
        )
        await self._done(NO_AGENT, text, "error")

    async def _ended(self, stage: str, started: float) -> None:
        duration_s = self.log.now() - started
        self.timings[f"{stage}_s"] = duration_s
        await self.log.emit(NodeEvent(**self.log.stamp(), name=stage, duration_s=duration_s))

    async def _done(self, agent: str, text: str, outcome: Outcome) -> None:
        total_s = self.log.now()
        overhead_s = max(0.0, total_s - self.spans.busy_s())
        timings = {
            **self.timings,
            "model_s": self.spans.busy_s("model"),
            "tools_s": self.spans.busy_s("tool"),
            "overhead_s": overhead_s,
            "total_s": total_s,
        }
        self.workings.telemetry.count("turns", outcome)
        self.workings.telemetry.record("turn.overhead", overhead_s)
        for stage, duration_s in timings.items():
            self.workings.telemetry.record(f"stage.{stage.removesuffix('_s')}", duration_s)
        await self.log.emit(DoneEvent(**self.log.stamp(), outcome=outcome, agent=agent, text=text, timings=timings))
