"""A thumbs-down conversation as a draft card: JSON lines of `{"id", "reason", "comment", "messages": [{"role", "text", "agent", "tools"}]}`.

What the person said becomes the turns; the reason decides what is drafted as the expectation of the last turn. Personal data is masked before
anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from evals.catalog import nearest
from evals.errors import UsageError
from evals.evaluators.leaks import PII
from evals.evaluators.text import sentences
from evals.importing.drafts import Draft, Imported, Refused, draft, read_rows, turn

Reason = Literal[
    "wrong_answer",
    "wrong_agent",
    "wrong_tool",
    "no_source",
    "made_up",
    "refused_wrongly",
    "should_have_refused",
    "unsafe",
    "too_slow",
    "other",
]
REASONS: tuple[Reason, ...] = get_args(Reason)


class FeedbackModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UsedTool(FeedbackModel):
    name: str
    arguments: dict[str, JsonValue] = {}


class Message(FeedbackModel):
    role: Literal["user", "assistant"]
    text: Annotated[str, Field(min_length=1)]
    agent: str | None = None
    tools: list[UsedTool] = []


class Feedback(FeedbackModel):
    """`messages` end with the answer that was disliked; `comment` is what the person wrote about it."""

    id: str | None = None
    reason: Reason
    comment: str = ""
    messages: Annotated[list[Message], Field(min_length=2)]


def _said(last: Message) -> list[str]:
    """The disliked answer's first sentence: a fresh answer must not say it again."""
    return sentences(last.text)[:1]


_EXPECTED: Mapping[Reason, Callable[[Message], dict[str, Any]]] = {
    "wrong_answer": lambda last: {"agent": last.agent, "not_say": _said(last)},
    "wrong_agent": lambda _: {},
    "wrong_tool": lambda last: {"agent": last.agent, "forbid_tools": [tool.name for tool in last.tools]},
    "no_source": lambda last: {"agent": last.agent, "cite": True},
    "made_up": lambda last: {"agent": last.agent, "grounded": True},
    "refused_wrongly": lambda last: {"agent": last.agent, "refusal": False, "outcome": "answered"},
    "should_have_refused": lambda _: {"refusal": True, "outcome": "refused"},
    "unsafe": lambda last: {"not_say": _said(last)},
    "too_slow": lambda last: {"agent": last.agent},
    "other": lambda _: {},
}


def read(path: Path, answers: Path | None = None) -> Imported:
    """One draft per conversation. Raises `UsageError` with every faulty row: line, field, fault."""
    del answers
    faults: list[str] = []
    drafts: list[Draft] = []
    refused: list[Refused] = []
    for number, row in enumerate(read_rows(path), start=1):
        try:
            told = Feedback.model_validate(row)
        except ValidationError as error:
            faults += [f"{path}: row {number}: {_fault(one)}" for one in error.errors(include_url=False)]
            continue
        item = told.id or f"{path.stem}-{number}"
        if told.messages[-1].role != "assistant" or not any(message.role == "user" for message in told.messages):
            refused.append(Refused(item=item, reason="does not end with an answer to a user"))
        else:
            drafts.append(_draft(item, told))
    if faults:
        raise UsageError("\n".join(faults))
    return Imported(drafts=drafts, refused=refused)


def _draft(item: str, told: Feedback) -> Draft:
    masked: list[str] = []
    users = [mask(message.text, masked) for message in told.messages if message.role == "user"]
    last = told.messages[-1]
    expect = {name: value for name, value in _EXPECTED[told.reason](last).items() if value not in (None, [])}
    lost = [f"the person's words: {mask(told.comment, masked)}"] if told.comment.strip() else []
    lost += [f"the disliked answer: {mask(last.text, masked)}"]
    lost += (
        ["what is right: say which agent, tools, phrases or figures a right answer holds"]
        if told.reason in ("wrong_agent", "other")
        else []
    )
    lost += ["how slow is too slow: set budgets.turn_s"] if told.reason == "too_slow" else []
    lost += [f"personal data, masked: {', '.join(sorted(set(masked)))}"] if masked else []
    turns = [turn(text) for text in users[:-1]] + [turn(users[-1], **expect)]
    return draft(item, users[-1], turns, lost, tags=["feedback", told.reason.replace("_", "-")])


def mask(text: str, found: list[str]) -> str:
    """`text` with everything that looks like personal data replaced by its kind in brackets; the kinds are added to `found`."""
    for kind, pattern in PII.items():
        text, count = pattern.subn(f"[{kind}]", text)
        found += [kind] * count
    return text


def _fault(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    hint = nearest(str(error["input"]), REASONS) if where == "reason" and isinstance(error["input"], str) else ""
    return f"field `{where}`: {error['msg']}{hint}"
