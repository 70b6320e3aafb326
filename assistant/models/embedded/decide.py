"""What to do next in a conversation: call a tool, ask for what is missing, or say something."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assistant.models.embedded.arguments import ArgumentReader, Filled, Sources, fits
from assistant.models.embedded.choice import ToolChoice
from assistant.models.embedded.context import EARLIER_TURNS, FOLLOW_ODDS, acted_on, contextual, last_arguments, last_tool, merged
from assistant.models.embedded.conversation import Conversation, OpenQuestion
from assistant.models.embedded.extract.calendar import day_in
from assistant.models.embedded.language import clauses, form, is_elliptic, is_greeting, is_thanks, words
from assistant.models.embedded.questions import question_for
from assistant.models.embedded.reply import Say, compose
from assistant.models.embedded.requests import deed
from assistant.models.embedded.similarity import Similarity
from assistant.models.embedded.toolbook import KNOWLEDGE_TOOL, Parameter, ToolCard

MAX_CALLS = 4
"""Tool calls of one turn after which the model answers with what it has."""
CLAUSE_ODDS = 1.0
"""Least log-odds of each part of a message for the parts to be separate requests."""
SWITCH_RANK = 1.5
SWITCH_CLOSENESS = 0.6
"""How far another tool must outrank the one that asked, and how close it must be, for a message not to be the answer."""
SECOND_ODDS = -3.0
"""Least log-odds for a reading tool to be tried when the knowledge base had nothing."""


@dataclass(frozen=True, kw_only=True)
class Call:
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing asked for. `text` is what the arguments are read from, `context` the same with the turn it leans on."""

    text: str
    context: str
    card: ToolCard | None
    question: OpenQuestion | None = None


Decision = Call | Say


@dataclass(frozen=True, kw_only=True)
class Decider:
    """Decides from the conversation alone: the same messages always give the same decision."""

    similarity: Similarity
    choice: ToolChoice = field(init=False)
    reader: ArgumentReader = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "choice", ToolChoice(self.similarity))
        object.__setattr__(self, "reader", ArgumentReader(self.similarity))

    def decide(self, conversation: Conversation, cards: Sequence[ToolCard]) -> Decision:
        results = conversation.now.results
        plan = self.plan(conversation, cards)
        if results and (results[-1].outcome != "success" or len(results) >= MAX_CALLS or _asks(results[-1].fields)):
            return compose(self.similarity, conversation, plan[0].context)
        second = self._second_thought(plan[0], conversation, cards) if len(plan) == 1 else None
        for request in [second] if second else plan[len(results) :]:
            decision = self._act(request, conversation)
            if isinstance(decision, Call) or not results:
                return decision
            if decision.asked is not None:
                return compose(self.similarity, conversation, plan[0].context).followed_by(decision)
        return compose(self.similarity, conversation, plan[min(len(results), len(plan)) - 1].context)

    def plan(self, conversation: Conversation, cards: Sequence[ToolCard]) -> list[Request]:
        """The requests of the message in order, at least one."""
        message = conversation.now.user
        answered = self._answered(conversation, cards)
        if answered is not None:
            return [answered]
        several = self._several(message, cards)
        if several:
            return several
        context = contextual(conversation)
        return [Request(text=message, context=context, card=self._best(message, context, conversation, cards))]

    def _several(self, message: str, cards: Sequence[ToolCard]) -> list[Request]:
        """Separate requests for different tools, each of them clear by itself; else none."""
        parts = clauses(message)
        requests: list[Request] = []
        for part in parts if len(parts) > 1 else []:
            ranked = self.choice.rank(part, cards)
            if ranked and ranked[0].is_close and ranked[0].odds > CLAUSE_ODDS and abs(deed(part)) == 1.0:
                requests.append(Request(text=part, context=part, card=ranked[0].card))
            elif form(part) == "question" and len(words(part)) >= 4 and (knowledge := _knowledge(cards)) is not None:
                requests.append(Request(text=part, context=part, card=knowledge))
        distinct = {request.card.name for request in requests if request.card is not None}
        return requests if len(distinct) > 1 else []

    def _best(self, message: str, context: str, conversation: Conversation, cards: Sequence[ToolCard]) -> ToolCard | None:
        ranked = self.choice.rank(message, cards)
        knowledge = _knowledge(cards)
        bar = 0.0
        if context != message:
            ranked = merged(ranked, self.choice.rank(context, cards), conversation)
            bar = FOLLOW_ODDS if last_tool(conversation) == KNOWLEDGE_TOOL else 0.0
        if not ranked:
            return knowledge
        if knowledge is None:
            return ranked[0].card if ranked[0].is_close else None
        return ranked[0].card if ranked[0].is_likely and ranked[0].odds > bar else knowledge

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

    def _answered(self, conversation: Conversation, cards: Sequence[ToolCard]) -> Request | None:
        question = conversation.open_question()
        card = next((card for card in cards if question and card.name == question.tool), None)
        parameter = card.parameter(question.argument) if card and question else None
        if question is None or card is None or parameter is None or self._moved_on(conversation.now.user, card, parameter, cards):
            return None
        if not question.fresh and not is_elliptic(conversation.now.user):
            return None
        return Request(text=conversation.now.user, context=conversation.now.user, card=card, question=question)

    def _moved_on(self, message: str, card: ToolCard, parameter: Parameter, cards: Sequence[ToolCard]) -> bool:
        """Whether a message is something else than the answer to the open question about `parameter` of `card`."""
        if is_thanks(message) or is_greeting(message):
            return True
        asks = message.rstrip().endswith("?") or _opens_question(message)
        told = deed(message) == 0.0 and len(words(message)) <= 3
        typed = (parameter.kind != "string" or bool(parameter.choices)) and len(words(message)) <= 6
        if not asks and (told or (typed and self.reader.answer(parameter, message, None) is not None)):
            return False
        ranked = self.choice.rank(message, cards)
        own = next((one.rank for one in ranked if one.card.name == card.name), 0.0)
        best = ranked[0]
        outranked = best.card.name != card.name and best.rank > own + SWITCH_RANK and best.closeness >= SWITCH_CLOSENESS
        return outranked or asks

    def _act(self, request: Request, conversation: Conversation) -> Decision:
        if request.card is None:
            return _small_talk(request.text) or Say.nothing_found()
        if request.question is None and (talk := _small_talk(request.text)) is not None:
            return talk
        if request.card.is_knowledge:
            return Call(tool=request.card.name, arguments=_search_arguments(request))
        filled = self._fill(request, request.card, conversation)
        if filled.missing:
            parameter = filled.missing[0]
            again = request.question if request.question and request.question.argument == parameter.name else None
            question = f"I did not get that. {again.question}" if again and again.question else question_for(parameter)
            return Say.ask(request.card.name, parameter.name, question, filled.arguments)
        return Call(tool=request.card.name, arguments=filled.arguments)

    def _fill(self, request: Request, card: ToolCard, conversation: Conversation) -> Filled:
        today = day_in(conversation.instructions)
        earlier = [turn.user for turn in reversed(conversation.past[-EARLIER_TURNS:]) if not acted_on(turn, card)]
        known: Mapping[str, Any] = request.question.known if request.question else {}
        if request.question is None and is_elliptic(request.text) and card.effect == "read":
            known = last_arguments(conversation, card.name)
        sources = Sources(message=request.text, known=known, earlier=earlier, today=today)
        if request.question is None:
            return self.reader.fill(card, sources)
        parameter = card.parameter(request.question.argument)
        value = self.reader.answer(parameter, request.text, today) if parameter else None
        return self._with_answer(card, sources, request.question, value)

    def _with_answer(self, card: ToolCard, sources: Sources, question: OpenQuestion, value: object) -> Filled:
        fixed = {
            parameter.name: question.known[parameter.name]
            for parameter in card.parameters
            if fits(parameter, question.known.get(parameter.name))
        }
        filled = self.reader.fill(card, sources)
        arguments = {**filled.arguments, **fixed}
        arguments.pop(question.argument, None)
        if value is not None:
            arguments[question.argument] = value
        missing = [
            parameter
            for parameter in card.parameters
            if parameter.name not in arguments and (parameter.required or parameter.name == question.argument)
        ]
        missing.sort(key=lambda parameter: parameter.name != question.argument)
        return Filled(arguments=arguments, missing=tuple(missing))


def _knowledge(cards: Sequence[ToolCard]) -> ToolCard | None:
    return next((card for card in cards if card.is_knowledge), None)


def _search_arguments(request: Request) -> dict[str, Any]:
    parameters = request.card.parameters if request.card else ()
    name = next((parameter.name for parameter in parameters if parameter.kind == "string"), "query")
    return {name: request.context.strip()}


def _asks(fields: Mapping[str, Any]) -> bool:
    return isinstance(fields.get("next"), Mapping)


def _opens_question(message: str) -> bool:
    return (
        re.match(
            r"\W*(?:actually|wait|first|sorry|hold on|before that|by the way|btw|never ?mind|one more)?[\s,]*(?:how|what|why|when|where|which|who)\b",
            message,
            re.IGNORECASE,
        )
        is not None
    )


def _small_talk(text: str) -> Say | None:
    if is_greeting(text):
        return Say(text="Hello. What can I help you with?", outcome="answered")
    if is_thanks(text):
        return Say(text="You're welcome.", outcome="answered")
    return None
