"""What to do next in a conversation: call a tool, ask for what is missing, or say something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from assistant.models.embedded.arguments import ArgumentReader
from assistant.models.embedded.choice import ToolChoice, ToolScore
from assistant.models.embedded.context import FOLLOW_ODDS, contextual, last_tool, merged
from assistant.models.embedded.conversation import Conversation, OpenQuestion
from assistant.models.embedded.extract.answers import is_unsure
from assistant.models.embedded.language import clauses, form, words
from assistant.models.embedded.pending import Pending, Request, small_talk
from assistant.models.embedded.plain import trusted
from assistant.models.embedded.questions import question_for
from assistant.models.embedded.reply import Say, compose
from assistant.models.embedded.requests import asks, deed
from assistant.models.embedded.similarity import Similarity
from assistant.models.embedded.toolbook import KNOWLEDGE_TOOL, ToolCard

MAX_CALLS = 4
"""Tool calls of one turn after which the model answers with what it has."""
CLAUSE_ODDS = 1.0
"""Least log-odds of each part of a message for the parts to be separate requests."""
PLAIN_ANSWER = 4
"""Words up to which a message that does not answer the open question is no other request either."""
WAITING = "I cannot go on without that. Tell me when you know, or ask me something else."
SECOND_ODDS = -3.0
"""Least log-odds for a reading tool to be tried when the knowledge base had nothing."""


@dataclass(frozen=True, kw_only=True)
class Call:
    tool: str
    arguments: Mapping[str, Any]


Decision = Call | Say


@dataclass(frozen=True, kw_only=True)
class Decider:
    """Decides from the conversation alone: the same messages always give the same decision."""

    similarity: Similarity
    choice: ToolChoice = field(init=False)
    pending: Pending = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "choice", ToolChoice(self.similarity))
        object.__setattr__(self, "pending", Pending(self.choice, ArgumentReader(self.similarity)))

    def decide(self, conversation: Conversation, cards: Sequence[ToolCard]) -> Decision:
        results = conversation.now.results
        plan = self.plan(conversation, cards)
        if results and (results[-1].outcome != "success" or len(results) >= MAX_CALLS or _asks(results[-1].fields)):
            return _without_repeat(compose(self.similarity, conversation, plan[0].context), conversation)
        second = self._second_thought(plan[0], conversation, cards) if len(plan) == 1 else None
        for request in [second] if second else plan[len(results) :]:
            decision = self._act(request, conversation, cards)
            if isinstance(decision, Call) or not results:
                return decision
            if decision.asked is not None:
                return compose(self.similarity, conversation, plan[0].context).followed_by(decision)
        return compose(self.similarity, conversation, plan[min(len(results), len(plan)) - 1].context)

    def plan(self, conversation: Conversation, cards: Sequence[ToolCard]) -> list[Request]:
        """The requests of the message in order, at least one."""
        message = trusted(conversation.now.user)
        answered = self.pending.answered(message, conversation, cards)
        if answered is not None:
            return [answered]
        several = self._several(message, cards)
        if several:
            return several
        return [self._alone(message, conversation, cards)]

    def _alone(self, message: str, conversation: Conversation, cards: Sequence[ToolCard]) -> Request:
        context = contextual(conversation, self.similarity)
        best = self._best(message, context, conversation, cards)
        if best is None:
            return Request(text=message, context=context, card=knowledge_of(cards))
        return Request(text=message, context=context, card=best.card, clear=best.ordered or best.is_close)

    def _several(self, message: str, cards: Sequence[ToolCard]) -> list[Request]:
        """Separate requests for different tools, each of them clear by itself; else none."""
        parts = clauses(message)
        requests: list[Request] = []
        for part in parts if len(parts) > 1 else []:
            ranked = self.choice.rank(part, cards)
            if ranked and ranked[0].is_close and ranked[0].odds > CLAUSE_ODDS and abs(deed(part)) == 1.0:
                requests.append(Request(text=part, context=part, card=ranked[0].card))
            elif form(part) == "question" and len(words(part)) >= 4 and (knowledge := knowledge_of(cards)) is not None:
                requests.append(Request(text=part, context=part, card=knowledge))
        distinct = {request.card.name for request in requests if request.card is not None}
        return requests if len(distinct) > 1 else []

    def _best(self, message: str, context: str, conversation: Conversation, cards: Sequence[ToolCard]) -> ToolScore | None:
        """The tool the message is for; null when it is for the knowledge base, or for nothing."""
        ranked = self.choice.rank(message, cards)
        if not ranked:
            return None
        knowledge = knowledge_of(cards)
        if context != message:
            goes_on = knowledge is not None and last_tool(conversation) == KNOWLEDGE_TOOL
            if goes_on and not (ranked[0].is_close and ranked[0].odds > FOLLOW_ODDS):
                return None
            ranked = merged(ranked, self.choice.rank(context, cards), conversation)
        best = ranked[0]
        return best if (best.is_close if knowledge is None else best.is_likely) else None

    def _second_thought(self, request: Request, conversation: Conversation, cards: Sequence[ToolCard]) -> Request | None:
        """When the knowledge base had nothing: the best reading tool, if the message may be meant for it after all."""
        results = conversation.now.results
        if len(results) != 1 or results[0].tool != KNOWLEDGE_TOOL or request.card is None or not request.card.is_knowledge:
            return None
        if compose(self.similarity, conversation, request.context).outcome != "abstained":
            return None
        best = next(iter(self.choice.rank(request.context, cards)), None)
        if best is None or best.card.effect == "write" or not best.is_close or best.odds < SECOND_ODDS:
            return None
        return Request(text=request.text, context=request.context, card=best.card)

    def _act(self, request: Request, conversation: Conversation, cards: Sequence[ToolCard]) -> Decision:
        knowledge = knowledge_of(cards)
        if request.question is None and (talk := small_talk(request.text)) is not None:
            return talk
        if request.card is None:
            return Say.nothing_found()
        if request.card.is_knowledge:
            return Call(tool=request.card.name, arguments=_search_arguments(request))
        filled = self.pending.fill(request, request.card, conversation)
        if not filled.missing:
            return Call(tool=request.card.name, arguments=filled.arguments)
        parameter = filled.missing[0]
        if request.question is not None and request.question.argument == parameter.name:
            return self._unanswered(request, request.question, conversation, cards)
        unclear = asks(request.text) or not request.clear
        if knowledge is not None and (unclear or conversation.was_asked(request.card.name, parameter.name)):
            return Call(tool=knowledge.name, arguments=_search_arguments(replace(request, card=knowledge)))
        return Say.ask(request.card.name, parameter.name, question_for(parameter), filled.arguments)

    def _unanswered(
        self, request: Request, question: OpenQuestion, conversation: Conversation, cards: Sequence[ToolCard]
    ) -> Decision:
        """The open question got no answer. It is never asked again: wait once, then take the message for what it may be else."""
        waited = conversation.past[-1].reply == WAITING if conversation.past else False
        if not waited and (is_unsure(request.text) or len(words(request.text)) <= PLAIN_ANSWER):
            return Say(text=WAITING, outcome="answered", asked=question.details)
        alone = self._alone(request.text, conversation, [card for card in cards if card.name != question.tool])
        decision = self._act(alone, conversation, cards)
        return Say.nothing_found() if isinstance(decision, Say) and decision.outcome == "asked" else decision


def knowledge_of(cards: Sequence[ToolCard]) -> ToolCard | None:
    return next((card for card in cards if card.is_knowledge), None)


def _search_arguments(request: Request) -> dict[str, Any]:
    parameters = request.card.parameters if request.card else ()
    name = next((parameter.name for parameter in parameters if parameter.kind == "string"), "query")
    return {name: request.context.strip()}


def _without_repeat(say: Say, conversation: Conversation) -> Say:
    """An offer already made in the turn before is not made again."""
    last = conversation.now.results[-1]
    following = last.fields.get("next")
    offered = cast("Mapping[str, Any]", following) if isinstance(following, Mapping) else {}
    question = str(offered.get("question") or "").strip()
    repeated = bool(question) and bool(conversation.past) and question in conversation.past[-1].reply
    if not repeated or offered.get("tool") == last.tool or not say.text.endswith(question):
        return say
    return replace(say, text=say.text.removesuffix(question).strip() or say.text)


def _asks(fields: Mapping[str, Any]) -> bool:
    return isinstance(fields.get("next"), Mapping)
