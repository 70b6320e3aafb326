"""What to do next in a conversation: call a tool, ask for what is missing, or say something."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assistant.models.embedded.arguments import ArgumentReader, Filled, Sources
from assistant.models.embedded.choice import ToolChoice, ToolScore
from assistant.models.embedded.conversation import Conversation, OpenQuestion, Turn
from assistant.models.embedded.extract.calendar import day_in
from assistant.models.embedded.language import clauses, form, is_elliptic, is_greeting, is_thanks, words
from assistant.models.embedded.questions import question_for
from assistant.models.embedded.reply import Say, compose
from assistant.models.embedded.similarity import Similarity
from assistant.models.embedded.toolbook import KNOWLEDGE_TOOL, Parameter, ToolCard

MAX_CALLS = 4
"""Tool calls of one turn after which the model answers with what it has."""
CLAUSE_MARGIN = 0.06
"""How far above its threshold each part of a message must match for the parts to be separate requests."""
SWITCH_MARGIN = 0.1
"""How far above its threshold another tool must match for a message not to be the answer to an open question."""
FOLLOW_MARGIN = 0.15
"""The same for a message that leans on a turn answered from the knowledge base."""
EARLIER_TURNS = 6


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
        for request in plan[len(results) :]:
            decision = self._act(request, conversation, cards)
            if isinstance(decision, Call) or not results:
                return decision
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
        parts = clauses(message)
        if len(parts) < 2:
            return []
        requests: list[Request] = []
        for part in parts:
            ranked = self.choice.rank(part, cards)
            if ranked and ranked[0].margin >= CLAUSE_MARGIN:
                requests.append(Request(text=part, context=part, card=ranked[0].card))
            elif form(part) == "question" and len(words(part)) >= 4:
                requests.append(Request(text=part, context=part, card=_knowledge(cards)))
        distinct = {request.card.name for request in requests if request.card is not None}
        if len(distinct) < 2:
            return []
        return requests

    def _best(self, message: str, context: str, conversation: Conversation, cards: Sequence[ToolCard]) -> ToolCard | None:
        ranked = self.choice.rank(message, cards)
        if context != message:
            ranked = _merged(ranked, self.choice.rank(context, cards))
            ranked = _sticky(ranked, conversation)
        knowledge = _knowledge(cards)
        follows_search = context != message and conversation.past[-1].results != () and conversation.past[-1].results[-1].tool == KNOWLEDGE_TOOL
        if ranked and ranked[0].margin >= self._knowledge_bar(message, knowledge, follows_search=follows_search):
            return ranked[0].card
        return knowledge

    def _knowledge_bar(self, message: str, knowledge: ToolCard | None, *, follows_search: bool) -> float:
        """How far above its threshold a tool must be to be preferred to a search of the knowledge base."""
        if knowledge is None:
            return 0.0
        bar = 0.06 * generality(message) if form(message) == "question" else 0.0
        return max(0.0, bar) + (FOLLOW_MARGIN if follows_search else 0.0)

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
        if is_thanks(message):
            return True
        value = self.reader.answer(parameter, message, None)
        typed = parameter.kind != "string" or bool(parameter.choices)
        if typed and value is not None and len(words(message)) <= 6 and not message.rstrip().endswith("?"):
            return False
        ranked = self.choice.rank(message, cards)
        own = next((one.margin for one in ranked if one.card.name == card.name), -1.0)
        other = max((one.margin for one in ranked if one.card.name != card.name), default=-1.0)
        if other >= SWITCH_MARGIN and other > own + SWITCH_MARGIN:
            return True
        asks_else = form(message) == "question" and message.rstrip().endswith("?") or _opens_question(message)
        return asks_else and not (typed and value is not None and len(words(message)) <= 6)

    def _act(self, request: Request, conversation: Conversation, cards: Sequence[ToolCard]) -> Decision:
        if request.card is None:
            return _small_talk(request.text) or Say.nothing_found()
        if request.question is None and (talk := _small_talk(request.text)) is not None:
            return talk
        if request.card.is_knowledge:
            return Call(tool=request.card.name, arguments=_search_arguments(request))
        filled = self._fill(request, request.card, conversation)
        if filled.missing:
            parameter = filled.missing[0]
            return Say.ask(request.card.name, parameter.name, question_for(parameter), filled.arguments)
        return Call(tool=request.card.name, arguments=filled.arguments)

    def _fill(self, request: Request, card: ToolCard, conversation: Conversation) -> Filled:
        today = day_in(conversation.instructions)
        earlier = [turn.user for turn in reversed(conversation.past[-EARLIER_TURNS:]) if not _acted_on(turn, card)]
        known: Mapping[str, Any] = request.question.known if request.question else {}
        if request.question is None and is_elliptic(request.text) and card.effect == "read":
            known = _last_arguments(conversation, card.name)
        sources = Sources(message=request.text, known=known, earlier=earlier, today=today)
        if request.question is None:
            return self.reader.fill(card, sources)
        parameter = card.parameter(request.question.argument)
        value = self.reader.answer(parameter, request.text, today) if parameter else None
        return self._with_answer(card, sources, request.question, value)

    def _with_answer(self, card: ToolCard, sources: Sources, question: OpenQuestion, value: object) -> Filled:
        fixed = {parameter.name: question.known[parameter.name] for parameter in card.parameters if parameter.name in question.known}
        filled = self.reader.fill(card, sources)
        arguments = {**filled.arguments, **fixed}
        arguments.pop(question.argument, None)
        if value is not None:
            arguments[question.argument] = value
        missing = tuple(parameter for parameter in card.parameters if parameter.required and parameter.name not in arguments)
        return Filled(arguments=arguments, missing=missing)


_GENERAL = re.compile(
    r"\b(?:should|must|have to|supposed to|allowed|safe|how do (?:i|we|you)|how to|why|what does|mean|means|minimum|maximum|required|difference|rule|policy|"
    r"procedure|how (?:long|often|hot|cold) (?:should|must|do|does|can|is)|what temp(?:erature)?)\b",
    re.IGNORECASE,
)
_PRESENT = re.compile(
    r"\b(?:my|our|today|tonight|tomorrow|yesterday|now|currently|right now|left|this (?:week|month|morning|shift)|last (?:week|month|night)|next (?:week|shift)|"
    r"who(?:'s| is| are)|do we have|have we|did we|status|so far|latest|history)\b",
    re.IGNORECASE,
)


def generality(text: str) -> float:
    """+1 for a question about how things are done in general, -1 for one about the present state of particular things."""
    return (1.0 if _GENERAL.search(text) else 0.0) - (1.0 if _PRESENT.search(text) else 0.0)


def contextual(conversation: Conversation) -> str:
    """The message, with the user turn it leans on before it when it cannot stand alone."""
    message = conversation.now.user
    if not conversation.past or not is_elliptic(message) or is_greeting(message) or is_thanks(message):
        return message
    leading: list[str] = []
    for turn in reversed(conversation.past[-EARLIER_TURNS:]):
        if is_greeting(turn.user) or is_thanks(turn.user):
            continue
        leading.insert(0, turn.user.strip())
        if not is_elliptic(turn.user) or len(leading) == 3:
            break
    return " ".join([*leading, message])


def _merged(alone: Sequence[ToolScore], combined: Sequence[ToolScore]) -> list[ToolScore]:
    """The better of both readings for each tool; a combined reading counts a little less."""
    with_context = {one.card.name: one for one in combined}
    merged = [
        ToolScore(card=one.card, score=max(one.score, with_context[one.card.name].score), margin=max(one.margin, with_context[one.card.name].margin - 0.03))
        for one in alone
    ]
    return sorted(merged, key=lambda one: -one.margin)


def _sticky(ranked: Sequence[ToolScore], conversation: Conversation) -> list[ToolScore]:
    """A message that leans on the last turn is more likely for the tool of that turn, unless that one changes something."""
    last = next((turn.results[-1].tool for turn in reversed(conversation.past) if turn.results), None)
    bonus = 0.12
    moved = [
        ToolScore(card=one.card, score=one.score, margin=one.margin + (bonus if one.card.name == last and one.card.effect == "read" else 0.0))
        for one in ranked
    ]
    return sorted(moved, key=lambda one: -one.margin)


def _acted_on(turn: Turn, card: ToolCard) -> bool:
    """What was said in a turn that changed something is used up: a later record never takes its values."""
    return card.effect == "write" and any(result.tool == card.name and result.outcome == "success" for result in turn.results)


def _last_arguments(conversation: Conversation, tool: str) -> Mapping[str, Any]:
    for turn in reversed(conversation.past):
        for result in reversed(turn.results):
            if result.tool == tool:
                return result.arguments
    return {}


def _knowledge(cards: Sequence[ToolCard]) -> ToolCard | None:
    return next((card for card in cards if card.is_knowledge), None)


def _search_arguments(request: Request) -> dict[str, Any]:
    parameters = request.card.parameters if request.card else ()
    name = next((parameter.name for parameter in parameters if parameter.kind == "string"), "query")
    return {name: request.context.strip()}


def _asks(fields: Mapping[str, Any]) -> bool:
    return isinstance(fields.get("next"), Mapping)


def _opens_question(message: str) -> bool:
    return re.match(r"\W*(?:actually|wait|first|sorry|hold on|before that|by the way|btw|never ?mind|one more)?[\s,]*(?:how|what|why|when|where|which|who)\b", message, re.IGNORECASE) is not None


def _small_talk(text: str) -> Say | None:
    if is_greeting(text):
        return Say(text="Hello. What can I help you with?", outcome="answered")
    if is_thanks(text):
        return Say(text="You're welcome.", outcome="answered")
    return None
