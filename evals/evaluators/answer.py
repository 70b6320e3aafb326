"""Evaluators of what was said: answered at all, phrases, outcome, citations, a seamless hand-off."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_evals.evaluators import EvaluationReason, Evaluator, EvaluatorContext

from evals.cards import Card, Said
from evals.evaluators.text import content_words, normalise, quantities, says, sentences
from evals.transcript import Citation, Transcript, Turn

Context = EvaluatorContext[list[str], Transcript, Card]

_ANNOUNCED = re.compile(
    r"\b(transfer(?:ring)?|hand(?:ing)?|pass(?:ing)?|connect(?:ing)?|redirect(?:ing)?|forward(?:ing)?|rout(?:e|ing))\s+(?:you|this|your \w+)\b"
    r"|\b(?:another|different|right) (?:agent|specialist|assistant|department|team member)\b|\bi am the \w+ (?:agent|specialist)\b"
)
_MARKED = re.compile(r"((?:\s*\[[a-z0-9-]+#[a-z0-9-]+\])+)")
_MARKER = re.compile(r"\[([a-z0-9-]+)#([a-z0-9-]+)\]")
_SUPPORT = 0.5
_SAME_QUESTION = 0.9


def verdict(faults: list[str], passed: str = "") -> EvaluationReason:
    return EvaluationReason(value=not faults, reason="; ".join(faults) or passed or None)


def card_of(ctx: Context) -> Card:
    assert ctx.metadata is not None
    return ctx.metadata


@dataclass
class Answered(Evaluator[list[str], Transcript, Card]):
    """Every turn got an answer with text in it; an error that the card plants and expects still needs its words."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        card = card_of(ctx)
        return verdict(
            [
                f"turn {number + 1}: {turn.error or 'the answer is empty'}"
                for number, turn in enumerate(ctx.output.turns)
                if not turn.text.strip() or (turn.error and not card.awaits_error(number))
            ]
        )


@dataclass
class Say(Evaluator[list[str], Transcript, Card]):
    """Every phrase that must be said is said."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults: list[str] = []
        for number, (spec, turn) in enumerate(zip(card_of(ctx).turns, ctx.output.turns, strict=False), 1):
            faults += [f"turn {number}: does not say {_phrase(said)}" for said in spec.expect.say if not _said(turn.text, said)]
        return verdict(faults)


@dataclass
class NotSay(Evaluator[list[str], Transcript, Card]):
    """No phrase that must not be said is said."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults: list[str] = []
        for number, (spec, turn) in enumerate(zip(card_of(ctx).turns, ctx.output.turns, strict=False), 1):
            faults += [f"turn {number}: says {phrase!r}" for phrase in spec.expect.not_say if says(turn.text, phrase)]
        return verdict(faults)


@dataclass
class OutcomeIs(Evaluator[list[str], Transcript, Card]):
    """Each turn ends as expected: answered, refused, abstained or degraded."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults: list[str] = []
        for number, (spec, turn) in enumerate(zip(card_of(ctx).turns, ctx.output.turns, strict=False), 1):
            wanted = spec.expect.outcome
            if wanted is not None and turn.outcome not in ([wanted] if isinstance(wanted, str) else wanted):
                faults.append(f"turn {number}: outcome {turn.outcome!r}, expected {wanted!r}")
        return verdict(faults)


@dataclass
class Citations(Evaluator[list[str], Transcript, Card]):
    """Cited passages exist, belong to an expected document, and support the sentence that cites them."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults: list[str] = []
        for number, (spec, turn) in enumerate(zip(card_of(ctx).turns, ctx.output.turns, strict=False), 1):
            faults += [f"turn {number}: {fault}" for fault in citation_faults(turn, spec.expect.cite)]
        return verdict(faults)


@dataclass
class Seamless(Evaluator[list[str], Transcript, Card]):
    """A change of specialist goes unnoticed: nothing announced, no question asked twice."""

    def evaluate(self, ctx: Context) -> EvaluationReason:
        faults = [
            f"turn {number}: announces a hand-off: {match.group(0)!r}"
            for number, turn in enumerate(ctx.output.turns, 1)
            if (match := _ANNOUNCED.search(normalise(turn.text)))
        ]
        return verdict(faults + _repeated_questions(ctx.output))


def citation_faults(turn: Turn, wanted: list[str] | bool | None) -> list[str]:
    faults = [f"cites [{c.document}#{c.passage}], which does not exist" for c in turn.citations if not c.exists]
    cited = {citation.document for citation in turn.citations}
    if wanted is False and cited:
        faults.append(f"cites {', '.join(sorted(cited))}; nothing was to be cited")
    elif wanted is True and not cited:
        faults.append("cites nothing")
    elif isinstance(wanted, list) and wanted and not cited & set(wanted):
        faults.append(f"cites {', '.join(sorted(cited)) or 'nothing'}, expected one of {', '.join(wanted)}")
    return faults + _unsupported(turn)


def _unsupported(turn: Turn) -> list[str]:
    by_place = {(c.document, c.passage): c for c in turn.citations if c.exists and c.quote}
    faults: list[str] = []
    pieces = _MARKED.split(turn.text)
    for claim, markers in zip(pieces[::2], pieces[1::2], strict=False):
        cited = [by_place[place] for place in _MARKER.findall(markers) if place in by_place]
        if cited and not any(_supports(claim, citation) for citation in cited):
            faults.append(f"[{cited[0].document}#{cited[0].passage}] does not support {_short(claim)!r}")
    return faults


def _supports(claim: str, citation: Citation) -> bool:
    """All quantities of the claim's last sentence occur in the passage, and half of its content words do."""
    last = sentences(claim)[-1:] or [claim]
    passage_numbers = quantities(citation.quote)
    if any(not any(q.unit == p.unit and abs(q.value - p.value) <= 0.6 for p in passage_numbers) for q in quantities(last[0])):
        return False
    words = content_words(last[0])
    return not words or len(words & content_words(citation.quote)) >= _SUPPORT * len(words)


def _repeated_questions(transcript: Transcript) -> list[str]:
    """A question is asked twice when it comes again after its own agent got the next message. An interruption leaves it open, and a
    refusal's closing question is no question about the matter."""
    asked: list[tuple[str, int]] = []
    faults: list[str] = []
    for number, turn in enumerate(transcript.turns, 1):
        if turn.outcome == "refused":
            continue
        questions = [normalise(part) for part in sentences(turn.text) if part.endswith("?")]
        for question in questions:
            if any(_same(question, earlier) and _heard(transcript.turns, at) for earlier, at in asked):
                faults.append(f"turn {number}: asks again {_short(question)!r}")
        asked += [(question, number) for question in questions]
    return faults


def _same(left: str, right: str) -> bool:
    return difflib.SequenceMatcher(None, left, right).ratio() >= _SAME_QUESTION


def _heard(turns: Sequence[Turn], number: int) -> bool:
    """Whether the message after turn `number` went to the agent that had asked."""
    return number >= len(turns) or turns[number].agent == turns[number - 1].agent


def _said(answer: str, said: Said) -> bool:
    return says(answer, said) if isinstance(said, str) else any(says(answer, phrase) for phrase in said)


def _phrase(said: Said) -> str:
    return repr(said) if isinstance(said, str) else "any of " + ", ".join(repr(phrase) for phrase in said)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."
