"""What to say once tools have answered: their summaries as they are, or sentences of the passages they found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from assistant.models.embedded.context import focus
from assistant.models.embedded.conversation import Conversation, ToolResult
from assistant.models.embedded.evidence import Asked, Evidence, read_sources
from assistant.models.embedded.similarity import Similarity
from assistant.models.embedded.toolbook import KNOWLEDGE_TOOL

NOT_FOUND = "I could not find that in the knowledge base, so I will not guess."

Outcome = Literal["answered", "asked", "abstained", "degraded"]


@dataclass(frozen=True, kw_only=True)
class Say:
    """A reply. `details` goes into the response's provider details and comes back with the history."""

    text: str
    outcome: Outcome
    asked: Mapping[str, Any] | None = None

    @property
    def details(self) -> dict[str, Any]:
        return {"outcome": self.outcome, **({"asked": dict(self.asked)} if self.asked else {})}

    def followed_by(self, question: Say) -> Say:
        """This told first, then the question asked."""
        return Say(text=f"{self.text}\n\n{question.text}", outcome=self.outcome, asked=question.asked)

    @classmethod
    def ask(cls, tool: str, argument: str, question: str, known: Mapping[str, Any]) -> Say:
        return cls(
            text=question, outcome="asked", asked={"tool": tool, "argument": argument, "question": question, "known": dict(known)}
        )

    @classmethod
    def nothing_found(cls) -> Say:
        return cls(text=NOT_FOUND, outcome="abstained")


def compose(similarity: Similarity, conversation: Conversation, question: str) -> Say:
    """Join what this turn's tools brought. A failed tool is said to have failed; what others brought is still told."""
    evidence = Evidence(similarity)
    told: list[str] = []
    outcomes: list[Outcome] = []
    for result in _final(conversation.now.results):
        said = _one(evidence, result, conversation, question)
        outcomes.append(said.outcome)
        if said.text and said.text not in told:
            told.append(said.text)
    if "answered" in outcomes and "abstained" in outcomes:
        told = [text for text in told if text != NOT_FOUND]
    outcome: Outcome = "degraded" if "degraded" in outcomes else "answered" if "answered" in outcomes else "abstained"
    return Say(text="\n\n".join(told) or NOT_FOUND, outcome=outcome)


def _final(results: Sequence[ToolResult]) -> list[ToolResult]:
    """Without failed attempts that a later call of the same tool made good."""
    return [
        result
        for number, result in enumerate(results)
        if result.outcome == "success"
        or not any(later.tool == result.tool and later.outcome == "success" for later in results[number + 1 :])
    ]


def _one(evidence: Evidence, result: ToolResult, conversation: Conversation, question: str) -> Say:
    if result.outcome != "success":
        return Say(text=_failure(result), outcome="degraded")
    summary = result.fields.get("summary")
    if isinstance(summary, str) and summary.strip():
        return Say(text=_with_question(summary.strip(), result.fields.get("next")), outcome="answered")
    sources = read_sources(result.content)
    if result.tool == KNOWLEDGE_TOOL or sources:
        query = next((value for value in result.arguments.values() if isinstance(value, str)), question)
        answer = evidence.answer(_asked(query, focus(conversation)), sources)
        return Say(text=answer.text, outcome="answered") if answer else Say.nothing_found()
    return Say(text=_plain(result.content), outcome="answered")


def _asked(query: str, message: str) -> Asked:
    """A query taken apart: its last line is what is asked now, or `message` where the query ends in it; the rest is context."""
    *context, last = [line for line in query.splitlines() if line.strip()] or [""]
    if message and last.endswith(message):
        context, last = [*context, last.removesuffix(message)], message
    return Asked(focus=last.strip(), context=" ".join(context).strip())


def _with_question(summary: str, following: object) -> str:
    question = cast("Mapping[str, Any]", following).get("question") if isinstance(following, Mapping) else None
    if not isinstance(question, str) or not question.strip() or question.strip() in summary:
        return summary
    return f"{summary} {question.strip()}"


def _failure(result: ToolResult) -> str:
    name = result.tool.replace("_", " ")
    if result.outcome == "denied":
        return f"I am not allowed to do that ({name}); nothing was changed."
    return f"I could not do that just now: {name} failed. Nothing else was changed; please try again in a moment or use the manual way."


def _plain(content: object) -> str:
    """A result without a summary, told field by field."""
    if isinstance(content, Mapping):
        fields = cast("Mapping[str, Any]", content)
        return "; ".join(
            f"{key.replace('_', ' ')}: {_plain(value)}" for key, value in fields.items() if value is not None and key != "next"
        )
    if isinstance(content, list):
        return ", ".join(_plain(item) for item in cast("list[Any]", content))
    return str(content) if content is not None else "Done."
