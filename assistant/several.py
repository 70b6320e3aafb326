"""Several requests in one message: who takes which part in what order, and their answers as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from pydantic_ai import ModelMessage, ModelRequest, ModelResponse, RunUsage, TextPart, UserPromptPart

from assistant.agents.answer import Answer
from assistant.agents.handoff import Route, open_question, settle
from assistant.pack import Pack
from assistant.routing import NO_AGENT, Decision
from assistant.wire import Outcome

BETWEEN = "\n\n"
"""Parts the answers of two agents."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One agent's part of a message."""

    text: str
    route: Route


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a turn leaves in its thread: who goes on, the open question, the text it was about, and what the models said."""

    agent: str
    pending: Mapping[str, JsonValue] | None
    previous_text: str
    messages: Sequence[ModelMessage]


def in_order(parts: Sequence[tuple[str, Decision]], *, current: str | None, pack: Pack) -> list[Request] | None:
    """The parts of a message by their agents' priority, then as mentioned; each hands over to the next.

    Null, so that the message stays whole, where a part belongs to nobody, two to one agent, or the pack forbids a hand-over.
    """
    agents = [decision.agent for _, decision in parts]
    if len(set(agents)) < len(agents) or any(agent not in pack.agents for agent in agents):
        return None
    requests: list[Request] = []
    for text, decision in sorted(parts, key=lambda part: -pack.agents[part[1].agent].priority):
        route = settle(decision, current=current, pack=pack)
        if route.agent != decision.agent or route.agent == NO_AGENT:
            return None
        requests.append(Request(text=text, route=route))
        current = route.agent
    return requests


def told_before(before: Sequence[tuple[Request, Answer]]) -> list[ModelMessage]:
    """What the next agent of the turn reads of those before it: said and answered, without tools, so that their open questions stay theirs."""
    told: list[ModelMessage] = []
    for request, answer in before:
        told.append(ModelRequest(parts=[UserPromptPart(content=request.text)]))
        told.append(ModelResponse(parts=[TextPart(content=answer.text)], model_name=answer.model_name))
    return told


def as_one(answers: Sequence[Answer]) -> Answer:
    """The answers of a turn as the user sees them. Good and failed parts together are `degraded`."""
    if len(answers) == 1:
        return answers[0]
    usage = RunUsage()
    for answer in answers:
        usage.incr(answer.usage)
    return Answer(
        text=BETWEEN.join(answer.text for answer in answers),
        outcome=_outcome([answer.outcome for answer in answers]),
        messages=[message for answer in answers for message in answer.messages],
        usage=usage,
        model_name=answers[0].model_name,
        error=next((answer.error for answer in answers if answer.error), None),
    )


def standing(requests: Sequence[Request], answers: Sequence[Answer]) -> Standing:
    """The conversation stays with the first agent that asked something, else with the last; its messages come last, where it looks for its question."""
    open_questions = [open_question(answer.messages) for answer in answers]
    stays = next((place for place, question in enumerate(open_questions) if question is not None), len(answers) - 1)
    order = [*(place for place in range(len(answers)) if place != stays), stays]
    return Standing(
        agent=requests[stays].route.agent,
        pending=open_questions[stays],
        previous_text=requests[stays].text,
        messages=[message for place in order for message in answers[place].messages],
    )


def _outcome(outcomes: Sequence[Outcome]) -> Outcome:
    told = set(outcomes)
    if len(told) == 1:
        return outcomes[0]
    if told & {"degraded", "error"}:
        return "degraded"
    return "answered" if "answered" in told else outcomes[0]
