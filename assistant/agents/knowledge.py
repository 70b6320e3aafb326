"""The knowledge tool every specialist has, and the citations its answers carry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic_ai import RunContext
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
    found = ctx.deps.knowledge.search(query, limit=PASSAGES, agent=ctx.agent.name if ctx.agent else None)
    return FoundPassages(passages=[_found(passage) for passage in found])


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

