"""One turn: load the thread, choose the agent, let it answer, keep everything, and say so event by event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from pydantic_ai import RunUsage

from assistant.agents.answer import Answer, AnswerRun
from assistant.agents.factory import Specialist
from assistant.agents.handoff import Route
from assistant.agents.knowledge import citations
from assistant.choosing import Chooser, Chosen
from assistant.deps import PassageSearch
from assistant.errors import StoreUnavailable, UnknownThread
from assistant.faults import Faults
from assistant.memory import FinishedTurn, Opened, Said, Sandboxes, Thread, ThreadStore
from assistant.pack import Pack
from assistant.routing import NO_AGENT, RouteContext
from assistant.several import BETWEEN, Request, as_one, standing, told_before
from assistant.spans import RECORDING, Spans
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


@dataclass(frozen=True, kw_only=True)
class Workings:
    """What every turn of an assistant shares."""

    pack: Pack
    model_name: str
    timeout_s: float
    chooser: Chooser
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
        RECORDING.set(self.spans)
        faults = self.workings.sandboxes.faults(self.request.sandbox)
        opened = await self._accept()
        try:
            chosen = await self._choose(opened.thread)
            answers: list[Answer] = []
            for request in chosen.requests:
                answers.append(await self._take(opened, request, list(zip(chosen.requests, answers, strict=False)), faults))
            await self._conclude(opened.thread, chosen, answers)
        except Exception as error:  # noqa: BLE001 - a turn must end with `done`, whatever broke it; the cause is logged
            if isinstance(error, StoreUnavailable):
                _log.warning("turn %s could not be kept: %s", self.turn_id, error.cause)
            else:
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

    async def _choose(self, thread: Thread) -> Chosen:
        started = self.log.now()
        context = RouteContext(current_agent=thread.agent, pending=thread.pending is not None, previous_text=thread.previous_text)
        chosen = await self.workings.chooser.choose(self.request.message, context, self.spans)
        self.timings["route_s"] = self.log.now() - started
        return chosen

    async def _take(self, opened: Opened, request: Request, before: Sequence[tuple[Request, Answer]], faults: Faults) -> Answer:
        """The answer of one agent. `before`: what others have answered in this turn."""
        previous = before[-1][0].route.agent if before else opened.thread.agent
        await self._tell_route(previous, request.route)
        if request.route.agent == NO_AGENT:
            return await self._decline(request.route)
        return await self._answer(opened, request, before, faults)

    async def _tell_route(self, previous: str | None, route: Route) -> None:
        decision = route.decision
        await self.log.emit(
            RouteEvent(
                **self.log.stamp(),
                agent=route.agent,
                previous_agent=previous,
                stage=decision.stage,
                confidence=decision.confidence,
                intent=decision.intent or None,
                alternatives=[AgentScore(agent=name, probability=share) for name, share in decision.alternatives],
                duration_s=decision.duration_s,
                doubt=decision.doubt or None,
            )
        )

    async def _answer(self, opened: Opened, request: Request, before: Sequence[tuple[Request, Answer]], faults: Faults) -> Answer:
        work, thread, route = self.workings, opened.thread, request.route
        since = self.log.now() - (0.0 if before else self.timings["route_s"])
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
                duration_s = self.log.now() - since
                event = HandoffEvent(
                    **self.log.stamp(), from_agent=route.handoff_from, to_agent=route.agent, duration_s=duration_s
                )
                await self.log.emit(event)

        told = "".join(answer.text + BETWEEN for _, answer in before)
        if told:
            await self.log.emit(TokenEvent(**self.log.stamp(), text=BETWEEN))
        run = AnswerRun(
            specialist=specialist,
            deps=deps,
            log=self.log,
            spans=self.spans,
            faults=faults,
            on_first_request=switched,
            told=told,
        )
        started = self.log.now()
        history = [*opened.history(), *told_before(before)]
        answer = await run.answer(request.text, history, timeout_s=work.timeout_s)
        await self._ended("agent", started)
        return answer

    async def _decline(self, route: Route) -> Answer:
        greeted = route.decision.intent in SMALL_TALK
        text = self.workings.pack.greeting_reply if greeted else self.workings.pack.out_of_scope_reply
        await self.log.emit(TokenEvent(**self.log.stamp(), text=text))
        # Nobody's turn stays out of what the agents read, so that an open question is still the last thing said.
        return Answer(text=text, outcome="answered" if greeted else "refused", messages=[], usage=RunUsage(), model_name=None)

    async def _conclude(self, thread: Thread, chosen: Chosen, answers: Sequence[Answer]) -> None:
        answer, route = as_one(answers), chosen.requests[0].route
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
        usage = answer.usage + chosen.usage
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
        await self._keep(thread, chosen.requests, answers)
        await self._done(route.agent, answer.text, answer.outcome)

    async def _keep(self, thread: Thread, requests: Sequence[Request], answers: Sequence[Answer]) -> None:
        answer, agent, left = as_one(answers), requests[0].route.agent, standing(requests, answers)
        declined = agent == NO_AGENT
        started = self.log.now()
        finished = FinishedTurn(
            thread_id=thread.thread_id,
            turn_id=self.turn_id,
            text=answer.text,
            agent=agent,
            outcome=answer.outcome,
            messages=left.messages,
            thread_agent=thread.agent if declined else left.agent,
            pending=thread.pending if declined else left.pending,
            previous_text=thread.previous_text if declined else left.previous_text,
            events=self.log.kept(),
        )
        await self.workings.threads.finish(finished, self.workings.now())
        await self._ended("store", started)

    async def _give_up(self, error: Exception) -> None:
        self.workings.telemetry.count("broken_turns", type(error).__name__)
        text = "Something went wrong on our side and I could not answer. Your message is kept; please try again."
        await self.log.emit(TokenEvent(**self.log.stamp(), text=text))
        code = error.code if isinstance(error, StoreUnavailable) else "internal"
        await self.log.emit(ErrorEvent(**self.log.stamp(), code=code, message="The turn could not be finished.", retryable=True))
        await self._done(NO_AGENT, text, "error")

    async def _ended(self, stage: str, started: float) -> None:
        duration_s = self.log.now() - started
        self.timings[f"{stage}_s"] = self.timings.get(f"{stage}_s", 0.0) + duration_s
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
        if wire_s := self.spans.busy_s("wire"):
            timings["wire_s"] = wire_s
        self.workings.telemetry.count("turns", outcome)
        self.workings.telemetry.record("turn.overhead", overhead_s)
        for stage, duration_s in timings.items():
            self.workings.telemetry.record(f"stage.{stage.removesuffix('_s')}", duration_s)
        await self.log.emit(DoneEvent(**self.log.stamp(), outcome=outcome, agent=agent, text=text, timings=timings))
