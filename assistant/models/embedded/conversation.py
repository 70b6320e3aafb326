"""What a request's messages say: earlier user turns, this turn's tool results, and the question still open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_core import to_jsonable_python


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """One finished tool call. `content` is JSON; `outcome` other than `success` means there is no result in it."""

    tool: str
    call_id: str
    arguments: Mapping[str, Any]
    content: Any
    outcome: Literal["success", "failed", "denied", "interrupted", "retried"]

    @property
    def fields(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.content) if isinstance(self.content, dict) else {}


@dataclass(frozen=True, kw_only=True)
class OpenQuestion:
    """A question the user was asked: their next message answers `argument` of `tool`.

    `known` holds arguments already given; `fresh` is false when something else was talked about since.
    """

    tool: str
    argument: str
    question: str
    known: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fresh: bool = True

    @property
    def details(self) -> Mapping[str, Any]:
        """As the model tells of its own questions, so that the next turn finds this one still open."""
        return {"tool": self.tool, "argument": self.argument, "question": self.question, "known": dict(self.known)}


PATIENCE = 1
"""Side questions an open question outlives."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One user message with all that followed it. `details` are the model's own facts about its reply."""

    user: str
    results: tuple[ToolResult, ...] = ()
    reply: str = ""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def open_question(self) -> OpenQuestion | None:
        """What this turn left open: a tool's `next` in its last result, or a missing argument the model asked for."""
        asked = self.details.get("asked")
        if isinstance(asked, Mapping):
            return _question(cast("Mapping[str, Any]", asked), known=cast("Any", asked).get("known"))
        if not self.results or self.results[-1].outcome != "success":
            return None
        last = self.results[-1]
        following = last.fields.get("next")
        if not isinstance(following, Mapping):
            return None
        known = {**last.arguments, **{key: value for key, value in last.fields.items() if key not in {"summary", "next"}}}
        given = cast("Mapping[str, Any]", following).get("arguments")
        return _question(cast("Mapping[str, Any]", following), known={**known, **(given if isinstance(given, dict) else {})})


def _question(source: Mapping[str, Any], *, known: object) -> OpenQuestion | None:
    tool, argument = source.get("tool"), source.get("argument")
    if not isinstance(tool, str) or not isinstance(argument, str):
        return None
    facts = cast("Mapping[str, Any]", known) if isinstance(known, Mapping) else {}
    return OpenQuestion(tool=tool, argument=argument, question=str(source.get("question") or ""), known=dict(facts))


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """`past` turns are finished; `now` is the turn being answered, with the tool results it already has."""

    past: tuple[Turn, ...]
    now: Turn
    instructions: str

    def open_question(self) -> OpenQuestion | None:
        """The question the last turn left open, or one open before a side question: a turn that only searched or talked."""
        for age, turn in enumerate(reversed(self.past)):
            question = turn.open_question()
            if question is not None:
                return question if age == 0 else replace(question, fresh=False)
            if age == PATIENCE or any(result.fields.get("summary") for result in turn.results):
                return None
        return None

    def was_asked(self, tool: str, argument: str, *, turns: int = 3) -> bool:
        """Whether the model itself asked for this argument lately."""
        asked = [turn.details.get("asked") for turn in self.past[-turns:]]
        questions = [_question(cast("Mapping[str, Any]", one), known=None) for one in asked if isinstance(one, Mapping)]
        return any(one is not None and (one.tool, one.argument) == (tool, argument) for one in questions)


@dataclass(kw_only=True)
class _Draft:
    user: str
    calls: dict[str, ToolCallPart] = field(default_factory=dict[str, ToolCallPart])
    results: list[ToolResult] = field(default_factory=list[ToolResult])
    reply: str = ""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def finish(self) -> Turn:
        return Turn(user=self.user, results=tuple(self.results), reply=self.reply, details=self.details)


def read(messages: Sequence[ModelMessage]) -> Conversation:
    """Group messages into turns. Messages before the first user message form no turn."""
    drafts: list[_Draft] = []
    instructions: list[str] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            if message.instructions:
                instructions = [message.instructions]
            _read_request(message, drafts, instructions)
        elif drafts:
            _read_response(message, drafts[-1])
    if not drafts:
        drafts.append(_Draft(user=""))
    *past, now = [draft.finish() for draft in drafts]
    return Conversation(past=tuple(past), now=now, instructions="\n".join(instructions))


def _read_request(message: ModelRequest, drafts: list[_Draft], instructions: list[str]) -> None:
    for part in message.parts:
        if isinstance(part, UserPromptPart):
            text = _user_text(part)
            if drafts and not drafts[-1].calls and not drafts[-1].reply:
                drafts[-1].user = f"{drafts[-1].user}\n{text}".strip()
            else:
                drafts.append(_Draft(user=text))
        elif isinstance(part, SystemPromptPart):
            instructions.append(part.content)
        elif isinstance(part, ToolReturnPart) and drafts:
            drafts[-1].results.append(_result(part, drafts[-1].calls.get(part.tool_call_id)))
        elif isinstance(part, RetryFeedbackPart):
            continue


def _read_response(message: ModelResponse, draft: _Draft) -> None:
    for part in message.parts:
        if isinstance(part, ToolCallPart):
            draft.calls[part.tool_call_id] = part
        elif isinstance(part, TextPart):
            draft.reply += part.content
    draft.details = message.provider_details or {}


def _user_text(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    return "\n".join(
        item if isinstance(item, str) else str(getattr(item, "content", "")) for item in part.content if _is_text(item)
    )


def _is_text(item: object) -> bool:
    return isinstance(item, str) or isinstance(getattr(item, "content", None), str)


def _result(part: ToolReturnPart, call: ToolCallPart | None) -> ToolResult:
    content = to_jsonable_python(part.content, fallback=str)
    arguments = call.args_as_dict() if call is not None else {}
    return ToolResult(tool=part.tool_name, call_id=part.tool_call_id, arguments=arguments, content=content, outcome=part.outcome)
