"""The knowledge tool every specialist has, and the citations its answers carry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic_ai import ModelMessage, ModelRequest, RunContext, TextPart, UserPromptPart
from typing_extensions import TypedDict

from assistant.deps import Passage, PassageSearch, TurnDeps

MARKER = re.compile(r"\[([A-Za-z0-9][\w.-]*)#([A-Za-z0-9][\w.-]*)\]")
PASSAGES = 5


class FoundPassage(TypedDict):
    document: str
    passage: str
    title: str
    heading: str
    text: str
    score: float


class FoundPassages(TypedDict):
    passages: list[FoundPassage]


async def search_knowledge(ctx: RunContext[TurnDeps], query: str) -> FoundPassages:
    """Search the written procedures and reference pages for passages that answer a question.

    Cite what you use by putting [document#passage] after the sentence it supports.

    Args:
        query: What to look for, in plain words. What was talked about before may stand on lines of its own above it.
    """
    found = ctx.deps.knowledge.search(_with_context(ctx, query), limit=PASSAGES, agent=ctx.agent.name if ctx.agent else None)
    return FoundPassages(passages=[_found(passage) for passage in found])


def _with_context(ctx: RunContext[TurnDeps], query: str) -> str:
    """The query on the last line. Above it what it follows on: the passage the last answer cited, else what stands before the user's words."""
    message = ctx.prompt.strip() if isinstance(ctx.prompt, str) else ""
    before, asked = (query.removesuffix(message), message) if message and query.endswith(message) else ("", query)
    cited = MARKER.search(_last_answer(ctx.messages))
    passage = ctx.deps.knowledge.passage(cited[1], cited[2]) if cited else None
    if passage is not None:
        before = f"{passage.title}: {passage.heading}"
    return "\n".join(" ".join(line.split()) for line in (before, *asked.splitlines()) if line.strip())


def _last_answer(messages: Sequence[ModelMessage]) -> str:
    """What was said last before the user's latest message."""
    latest = max((at for at, message in enumerate(messages) if _is_users(message)), default=0)
    for message in reversed(messages[:latest]):
        said = [part.content for part in message.parts if isinstance(part, TextPart)]
        if said:
            return " ".join(said)
    return ""


def _is_users(message: ModelMessage) -> bool:
    return isinstance(message, ModelRequest) and any(isinstance(part, UserPromptPart) for part in message.parts)


def _found(passage: Passage) -> FoundPassage:
    return FoundPassage(
        document=passage.document,
        passage=passage.passage,
        title=passage.title,
        heading=passage.heading,
        text=passage.text,
        score=round(passage.score, 6),
    )


@dataclass(frozen=True, kw_only=True)
class Citation:
    """`quote` is the whole passage on one line. `title` and `quote` are empty when the passage does not exist."""

    document: str
    passage: str
    title: str
    quote: str
    exists: bool


def citations(text: str, knowledge: PassageSearch) -> Iterator[Citation]:
    """One citation per distinct marker in `text`, in order of first appearance."""
    for document, passage in dict.fromkeys(MARKER.findall(text)):
        found = knowledge.passage(document, passage)
        yield Citation(
            document=document,
            passage=passage,
            title=found.title if found else "",
            quote=" ".join(found.text.split()) if found else "",
            exists=found is not None,
        )
