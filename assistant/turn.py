"""One turn: load the thread, choose the agent, let it answer, keep everything, and say so event by event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from uuid import uuid4

from assistant.agents.answer import Answer, AnswerRun
from assistant.agents.factory import Specialist
from assistant.agents.handoff import Route, open_question, settle
from assistant.agents.knowledge import citations
from assistant.deps import PassageSearch
from assistant.errors import UnknownThread
from assistant.faults import Faults
from assistant.memory.sandboxes import Sandboxes
from assistant.memory.threads import FinishedTurn, Thread, ThreadStore
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

GREETING_INTENT = "greeting"

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
        thread, faults = await self._accept()
        try:
            route = self._route(thread)
            await self._tell_route(thread, route)
            answer = await self._answer(thread, route, faults)
            await self._conclude(thread, route, answer)
        except Exception as error:  # noqa: BLE001 - a turn must end with `done`, whatever broke it; the cause is logged
            _log.exception("turn %s broke", self.turn_id)
            await self._give_up(error)

    async def _accept(self) -> tuple[Thread, Faults]:
        work, request = self.workings, self.request
        started = self.log.now()
        faults = work.sandboxes.faults(request.sandbox)
        found = None if request.thread_id is None else await work.threads.find(request.thread_id)
        if request.thread_id is not None and (found is None or found.user_id != request.user_id or found.pack != work.pack.name):
            raise UnknownThread(request.thread_id)
        thread = found or Thread(
            thread_id=uuid4().hex, user_id=request.user_id, pack=work.pack.name, agent=None, pending=None, previous_text=None
        )
        await work.threads.accept(thread, turn_id=self.turn_id, text=request.message, now=work.now(), new=found is None)
        await self.log.emit(
            MetaEvent(
                **self.log.stamp(), pack=work.pack.name, thread_id=thread.thread_id, turn_id=self.turn_id, model=work.model_name
            )
        )
        await self._ended("load", started)
        return thread, faults

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

    async def _answer(self, thread: Thread, route: Route, faults: Faults) -> Answer:
        if route.agent == NO_AGENT:
            return await self._decline(route)
        work = self.workings
        routed = self.log.now() - self.timings["route_s"]
        specialist = work.specialists[route.agent]
        deps = specialist.deps_type(
            state=work.sandboxes.state(self.request.sandbox, faults),
            knowledge=work.knowledge,
            user_id=thread.user_id,
            thread_id=thread.thread_id,
            now=work.now,
        )
        started = self.log.now()
        history = (await work.threads.conversation(thread.thread_id)).messages if thread.agent or thread.previous_text else []
        self.timings["load_s"] += self.log.now() - started

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
        answer = await run.answer(self.request.message, history, timeout_s=work.timeout_s)
        await self._ended("agent", started)
        return answer

    async def _decline(self, route: Route) -> Answer:
        greeted = route.decision.intent == GREETING_INTENT
        text = self.workings.pack.greeting_reply if greeted else self.workings.pack.out_of_scope_reply
        await self.log.emit(TokenEvent(**self.log.stamp(), text=text))
        return Answer.plain(self.request.message, text, outcome="answered" if greeted else "refused")

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
        await self.log.emit(DoneEvent(**self.log.stamp(), outcome=outcome, agent=agent, text=text, timings=timings))
