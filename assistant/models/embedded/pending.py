"""Whether a message answers the question still open, and a request's arguments with what was asked and answered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.models.embedded.arguments import ArgumentReader, Filled, Sources, fits
from assistant.models.embedded.choice import ToolChoice
from assistant.models.embedded.context import EARLIER_TURNS, acted_on, last_arguments, last_tool, leans, substitutes
from assistant.models.embedded.conversation import Conversation, OpenQuestion
from assistant.models.embedded.extract.calendar import day_in
from assistant.models.embedded.kinds import takes_words
from assistant.models.embedded.language import is_greeting, is_thanks, words
from assistant.models.embedded.plain import trusted
from assistant.models.embedded.reply import Say
from assistant.models.embedded.requests import asks, deed, points_back
from assistant.models.embedded.toolbook import Parameter, ToolCard

_COMES_BACK = re.compile(r"^\W*(?:yes|yep|yeah|no|nope|done)\b|\bback to\b|[,.–-]\s*(?:yes|yep|yeah|no|nope)\b", re.IGNORECASE)
SWITCH_RANK = 1.5
SWITCH_CLOSENESS = 0.6
"""How far another tool must outrank the one that asked, and how close it must be, for a message not to be the answer."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing asked for. `text` is what the arguments are read from, `context` the same with the turn it leans on.

    `clear`: the tool is close enough to the request to ask for what it lacks.
    """

    text: str
    context: str
    card: ToolCard | None
    question: OpenQuestion | None = None
    clear: bool = True


class Pending:
    """Takes up what an earlier turn left open. Deterministic; holds no state of a conversation."""

    def __init__(self, choice: ToolChoice, reader: ArgumentReader) -> None:
        self._choice = choice
        self._reader = reader

    def answered(self, message: str, conversation: Conversation, cards: Sequence[ToolCard]) -> Request | None:
        """The request that goes on with the open question; null when none is open or the message is about something else."""
        question = conversation.open_question()
        card = next((card for card in cards if question and card.name == question.tool), None)
        parameter = card.parameter(question.argument) if card and question else None
        if question is None or card is None or parameter is None or self._moved_on(message, card, parameter, cards):
            return None
        if not question.fresh and not leans(message) and _COMES_BACK.search(message) is None:
            return None
        return Request(text=message, context=message, card=card, question=question)

    def _moved_on(self, message: str, card: ToolCard, parameter: Parameter, cards: Sequence[ToolCard]) -> bool:
        if is_thanks(message) or is_greeting(message) or asks(message):
            return True
        told = deed(message) == 0.0 and len(words(message)) <= 3
        typed = (parameter.kind != "string" or bool(parameter.choices)) and len(words(message)) <= 6
        if told or (typed and self._reader.answer(parameter, message, None) is not None):
            return False
        ranked = self._choice.rank(message, cards)
        own = next((one.rank for one in ranked if one.card.name == card.name), 0.0)
        best = ranked[0]
        return best.card.name != card.name and best.rank > own + SWITCH_RANK and best.closeness >= SWITCH_CLOSENESS

    def fill(self, request: Request, card: ToolCard, conversation: Conversation) -> Filled:
        """Arguments of `card` out of the request, what the open question already knew, and earlier turns."""
        today = day_in(conversation.instructions)
        earlier = [trusted(turn.user) for turn in reversed(conversation.past[-EARLIER_TURNS:]) if not acted_on(turn, card)]
        known: Mapping[str, Any] = request.question.known if request.question else {}
        message = request.text
        if request.question is None and leans(message) and card.effect == "read":
            known = last_arguments(conversation, card.name)
            goes_on = last_tool(conversation) == card.name and not substitutes(message)
            message = f"{earlier[0].rstrip('.! ')}. {message}" if earlier and goes_on else message
        sources = Sources(message=message, known=known, earlier=earlier, today=today)
        if request.question is None:
            return self._reader.fill(card, sources)
        parameter = card.parameter(request.question.argument)
        value = self._reader.answer(parameter, request.text, today) if parameter else None
        if parameter is not None and takes_words(parameter) and points_back(request.text):
            value = ". ".join([*_offered(conversation, request.question), request.text])
        return self._with_answer(card, sources, request.question, value)

    def _with_answer(self, card: ToolCard, sources: Sources, question: OpenQuestion, value: object) -> Filled:
        fixed = {
            parameter.name: question.known[parameter.name]
            for parameter in card.parameters
            if fits(parameter, question.known.get(parameter.name))
        }
        filled = self._reader.fill(card, sources)
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


def _offered(conversation: Conversation, question: OpenQuestion) -> list[str]:
    """What the user said when another tool offered to go on with it: what "log that" points back to."""
    asking = next((turn for turn in reversed(conversation.past) if turn.open_question() is not None), None)
    told = asking is not None and any(value == trusted(asking.user) for value in question.known.values())
    other = asking is not None and not told and bool(asking.results) and asking.results[-1].tool != question.tool
    return [trusted(asking.user).rstrip(".! ")] if asking is not None and other else []


def small_talk(text: str) -> Say | None:
    if is_greeting(text):
        return Say(text="Hello. What can I help you with?", outcome="answered")
    if is_thanks(text):
        return Say(text="You're welcome.", outcome="answered")
    return None
