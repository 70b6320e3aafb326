"""Answers from passages: the passage that answers a question, or the sentences of it that do, followed by its marker."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from assistant.models.embedded.language import asks_procedure, content_stems, is_step, sentences, stem, without_step, word_list
from assistant.models.embedded.similarity import Similarity

ANSWER_THRESHOLD = 0.27
"""Least score of the best passage; below it nothing is said to be found. Passages that answer score 0.45 to 1, others seldom above 0.4."""
CONTEXT_WEIGHT = 0.25
"""What is counted for fitting what was talked about before, beside fitting what is asked now."""
TIE = 0.04
"""The search's first passage is told, and a second one that scores higher or no further below."""
CONSIDERED = 4
"""Passages that may be told: the search's first ones."""
MAX_SENTENCES = 5
_WORDING = 0.12
_FIGURE = 0.15
_RULING = 0.03

_ASKS_NUMBER = re.compile(
    r"\bhow (?:long|many|much|often|hot|cold|warm|far|deep|old|high|low|big|soon|strong|fast|thick|heavy|late|early|close)\b|\btemp(?:erature)?s?\b|"
    r"\bwhen\b|\bwhat time\b|\bppm\b|\bby when\b|"
    r"\bwhat(?:'s| is|s)?(?: the)? (?:limit|minimum|maximum|number|concentration|ratio|rate|price|size|interval|percentage|share|age|weight|speed|pressure)\b",
    re.IGNORECASE,
)
_ASKS_RULE = re.compile(
    r"\b(?:can|could|may|should|is it|ok|okay|safe|allowed|fine|do (?:i|we) (?:have|need) to|must|gotta|got to|or not|keep|throw|toss)\b",
    re.IGNORECASE,
)
_RULE = re.compile(r"\b(?:must|should|may|can|cannot|never|always|do not|not|allowed|forbidden)\b", re.IGNORECASE)
MEASURES = frozenset(
    stem(word) for word in word_list("long much many often far high low hot cold soon old big deep more less again till until")
)
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One retrieved passage. `marker` is how an answer cites it."""

    document: str
    passage: str
    title: str
    heading: str
    sentences: tuple[str, ...]

    @property
    def about(self) -> str:
        return f"{self.title}: {self.heading}"

    @property
    def whole(self) -> str:
        return f"{self.heading} {' '.join(self.sentences)}"

    @property
    def steps(self) -> int:
        return sum(is_step(sentence) for sentence in self.sentences)

    @property
    def marker(self) -> str:
        return f"[{self.document}#{self.passage}]"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`focus` is what is asked now, `context` what it follows on ("" when nothing)."""

    focus: str
    context: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`text` carries its citation markers. `confidence` is the best passage's score, about 0 to 1."""

    text: str
    confidence: float


def read_sources(content: object) -> list[Source]:
    """Passages of a search result: a list of mappings, or a mapping that holds such a list. Anything else is no passage."""
    if isinstance(content, dict):
        mapping = cast("Mapping[str, Any]", content)
        nested = [value for value in mapping.values() if isinstance(value, list)]
        return read_sources(nested[0]) if nested else [*_sources([mapping])]
    return _sources(cast("list[Any]", content)) if isinstance(content, list) else []


def passage_texts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is compared with a question when these passages are found, so that it can be encoded beforehand."""
    return [
        text
        for source in _sources(rows)
        for text in (source.about, source.whole, *(without_step(sentence) for sentence in source.sentences))
    ]


def _sources(rows: Sequence[Any]) -> list[Source]:
    found: list[Source] = []
    for row in rows:
        if isinstance(row, dict) and isinstance(cast("Any", row).get("text"), str) and "document" in row and "passage" in row:
            mapping = cast("Mapping[str, Any]", row)
            found.append(
                Source(
                    document=str(mapping["document"]),
                    passage=str(mapping["passage"]),
                    title=str(mapping.get("title") or ""),
                    heading=str(mapping.get("heading") or ""),
                    sentences=_body(str(mapping["text"]), str(mapping.get("heading") or "")),
                )
            )
    return found


def _body(text: str, heading: str) -> tuple[str, ...]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#") and line.strip() != heading]
    return tuple(sentences("\n".join(lines)))


@dataclass(frozen=True, kw_only=True)
class _Fit:
    source: Source
    score: float


@dataclass(frozen=True, kw_only=True)
class _Wants:
    """What the form of a question asks for."""

    number: bool
    rule: bool
    steps: bool


class Evidence:
    """Chooses what to tell from passages. Deterministic for a given encoder."""

    def __init__(self, similarity: Similarity) -> None:
        self._similarity = similarity

    def answer(self, asked: Asked, sources: Sequence[Source]) -> Answer | None:
        """`sources` come best first. Null: nothing answers it."""
        wants = _wants(asked)
        fits = self._fits(asked, [source for source in sources if source.sentences][:CONSIDERED])
        if not fits or max(one.score for one in fits) < ANSWER_THRESHOLD:
            return None
        first, *others = fits
        second = max(others, key=lambda one: one.score, default=None)
        told = [first] if second is None or second.score < first.score - TIE else [first, second]
        parts = [f"{self._told(asked, wants, one.source)} {one.source.marker}" for one in told]
        separator = "\n" if any("\n" in part for part in parts) else " "
        return Answer(text=separator.join(parts), confidence=max(one.score for one in told))

    def _fits(self, asked: Asked, sources: Sequence[Source]) -> list[_Fit]:
        rarity = _rarity(sources)
        return [_Fit(source=source, score=self._fit(asked, source, rarity)) for source in sources]

    def _fit(self, asked: Asked, source: Source, rarity: Mapping[str, float]) -> float:
        fit = self._alone(asked.focus, source, rarity)
        if not asked.context:
            return fit
        weight = CONTEXT_WEIGHT if content_stems(asked.focus) - MEASURES else 1.0
        return fit + weight * self._alone(asked.context, source, rarity)

    def _alone(self, text: str, source: Source, rarity: Mapping[str, float]) -> float:
        """Mean of three cosines with the passage (title and heading, the whole, the closest sentence), and of the wording they share."""
        closest = max(self._similarity.cosine(text, without_step(sentence)) for sentence in source.sentences)
        meaning = (self._similarity.cosine(text, source.about) + self._similarity.cosine(text, source.whole) + closest) / 3.0
        return meaning + _WORDING * _weighted(content_stems(text), content_stems(f"{source.title} {source.whole}"), rarity)

    def _told(self, asked: Asked, wants: _Wants, source: Source) -> str:
        """The whole passage, when it is short or steps are wanted; else the sentences that answer best, in their order."""
        specific = wants.number and not wants.steps
        if len(source.sentences) <= MAX_SENTENCES or (source.steps > 1 and not specific):
            return _whole(source.sentences) if source.steps > 1 else " ".join(without_step(one) for one in source.sentences)
        scored = sorted(
            range(len(source.sentences)), key=lambda at: -self._sentence_score(asked, wants, without_step(source.sentences[at]))
        )
        return " ".join(without_step(source.sentences[at]) for at in sorted(scored[:MAX_SENTENCES]))

    def _sentence_score(self, asked: Asked, wants: _Wants, sentence: str) -> float:
        score = self._similarity.cosine(asked.focus, sentence)
        score += CONTEXT_WEIGHT * self._similarity.cosine(asked.context, sentence) if asked.context else 0.0
        score += _WORDING * _weighted(content_stems(asked.focus), content_stems(sentence), {})
        score += _FIGURE if wants.number and _DIGIT.search(sentence) else 0.0
        return score + (_RULING if wants.rule and _RULE.search(sentence) else 0.0)


def _wants(asked: Asked) -> _Wants:
    return _Wants(
        number=_ASKS_NUMBER.search(asked.focus) is not None,
        rule=_ASKS_RULE.search(asked.focus) is not None,
        steps=asks_procedure(asked.focus),
    )


def _rarity(sources: Sequence[Source]) -> dict[str, float]:
    """How rare each stem is among the passages: log(1 + passages / passages with it)."""
    counts: dict[str, int] = {}
    for source in sources:
        for one in content_stems(f"{source.title} {source.whole}"):
            counts[one] = counts.get(one, 0) + 1
    return {one: math.log(1 + len(sources) / count) for one, count in counts.items()}


def _weighted(asked: frozenset[str], said: frozenset[str], rarity: Mapping[str, float]) -> float:
    """Share of the asked stems that are said, each weighted by how rare it is among the passages."""
    if not asked:
        return 0.0
    ceiling = max(rarity.values(), default=1.0)
    total = sum(rarity.get(one, ceiling) for one in asked)
    return sum(rarity.get(one, ceiling) for one in asked & said) / total if total else 0.0


def _whole(lines: Sequence[str]) -> str:
    """What leads into the steps, the steps one a line, and what follows them, in the passage's order."""
    told: list[str] = []
    for sentence in lines:
        if is_step(sentence) or not told or is_step(told[-1]):
            told.append(sentence)
        else:
            told[-1] = f"{told[-1]} {sentence}"
    return "\n".join(told)
