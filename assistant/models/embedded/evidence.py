"""Answers from passages: the sentences that answer a question, each followed by the marker of the passage it stands in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from assistant.models.embedded.language import asks_procedure, content_stems, core, is_step, sentences, without_step, words
from assistant.models.embedded.similarity import Similarity

ANSWER_THRESHOLD = 0.46
"""Least score of the best sentence; below it nothing is said to be found."""
PROCEDURE_THRESHOLD = 0.5
"""Least fit of a passage's heading and steps to the question for its whole procedure to be told."""
_COMPANION = 0.86
"""A further sentence is told when it scores at least this share of the best one."""
MAX_SENTENCES = 4

_ASKS_NUMBER = re.compile(
    r"\bhow (?:long|many|much|often|hot|cold|warm|far|deep|old|high|low|big|soon|strong|fast)\b|\btemp(?:erature)?s?\b|\bwhen\b|\bwhat time\b|\bppm\b|"
    r"\bwhat (?:is the )?(?:limit|minimum|maximum|number|concentration|ratio|rate|price|size|interval|percentage)\b|\bhow (?:long|much)\b",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(
    r"\b(?:can|may|should|is it (?:ok|okay|safe|allowed|fine)|am i allowed|are we allowed|do i have to|must)\b", re.IGNORECASE
)
_MODAL = re.compile(r"\b(?:must|should|may|can|never|always|do not|not)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One retrieved passage. `marker` is how an answer cites it."""

    document: str
    passage: str
    title: str
    heading: str
    sentences: tuple[str, ...]

    @property
    def marker(self) -> str:
        return f"[{self.document}#{self.passage}]"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`text` carries its citation markers. `confidence` is the best sentence's score, about 0 to 1."""

    text: str
    confidence: float


def read_sources(content: object) -> list[Source]:
    """Passages of a search result: a list of mappings, or a mapping that holds such a list. Anything else is no passage."""
    if isinstance(content, dict):
        mapping = cast("Mapping[str, Any]", content)
        nested = [value for value in mapping.values() if isinstance(value, list)]
        return read_sources(nested[0]) if nested else [*_sources([mapping])]
    return _sources(cast("list[Any]", content)) if isinstance(content, list) else []


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
class _Scored:
    source: int
    at: int
    sentence: str
    score: float


class Evidence:
    """Chooses what to tell from passages. Deterministic for a given encoder."""

    def __init__(self, similarity: Similarity) -> None:
        self._similarity = similarity

    def answer(self, question: str, focus: str, sources: Sequence[Source]) -> Answer | None:
        """`question` is the request with its context, `focus` the words of the last message alone. Null: nothing answers it."""
        asked = core(question)
        scored = self._score(asked, focus, sources)
        if not scored:
            return None
        best = max(scored, key=lambda one: (one.score, -one.source, -one.at))
        wants_steps = asks_procedure(focus) or (not content_stems(focus) and asks_procedure(question))
        procedure = self._procedure(asked, sources, best) if wants_steps else None
        if procedure is not None:
            return procedure
        if best.score < ANSWER_THRESHOLD:
            return None
        return Answer(text=_told(self._chosen(scored, best), sources), confidence=best.score)

    def _score(self, asked: str, focus: str, sources: Sequence[Source]) -> list[_Scored]:
        rarity = _rarity(sources)
        asked_stems, focus_stems = content_stems(asked), content_stems(focus)
        wants_number = _ASKS_NUMBER.search(focus) is not None or (not focus_stems and _ASKS_NUMBER.search(asked) is not None)
        wants_rule = _FORBIDDEN.search(focus) is not None
        scored: list[_Scored] = []
        for number, source in enumerate(sources):
            about = self._similarity.cosine(asked, f"{source.title}. {source.heading}")
            frame = content_stems(f"{source.title} {source.heading}")
            for at, sentence in enumerate(source.sentences):
                said = content_stems(sentence)
                score = 0.62 * self._similarity.cosine(asked, without_step(sentence)) + 0.26 * about
                score += 0.22 * _weighted(asked_stems, said, rarity) + 0.08 * _weighted(asked_stems, said | frame, rarity)
                score += 0.1 * _weighted(focus_stems, said, rarity) if focus != asked else 0.0
                score += 0.06 if wants_number and re.search(r"\d", without_step(sentence)) else 0.0
                score += 0.03 if wants_rule and _MODAL.search(sentence) else 0.0
                scored.append(_Scored(source=number, at=at, sentence=sentence, score=score - 0.015 * number))
        return self._about_focus(scored, sources, _added(asked, focus)) if focus != asked else scored

    def _about_focus(self, scored: list[_Scored], sources: Sequence[Source], focus_stems: frozenset[str]) -> list[_Scored]:
        """For a follow-up: only sentences that name what the follow-up adds, when any does (in itself or its heading)."""
        named = [
            one for one in scored if focus_stems & (content_stems(one.sentence) | content_stems(sources[one.source].heading))
        ]
        return named or scored

    def _procedure(self, asked: str, sources: Sequence[Source], best: _Scored) -> Answer | None:
        candidates: list[tuple[float, int]] = []
        for number, source in enumerate(sources):
            steps = [without_step(sentence) for sentence in source.sentences if is_step(sentence)]
            if len(steps) < 2:
                continue
            fit = 0.75 * self._similarity.cosine(asked, f"{source.title}. {source.heading}") + 0.25 * max(
                self._similarity.cosine(asked, step) for step in steps
            )
            fit += 0.1 * _weighted(content_stems(asked), content_stems(f"{source.title} {source.heading}"), {})
            fit += 0.08 if number == best.source else 0.0
            candidates.append((fit - 0.01 * number, -number))
        if not candidates:
            return None
        fit, position = max(candidates)
        source = sources[-position]
        same_document = sources[best.source].document == source.document
        outdone = best.source != -position and best.score > fit + (0.25 if same_document else 0.08)
        if fit < PROCEDURE_THRESHOLD or outdone:
            return None
        return Answer(text=_whole_procedure(source), confidence=fit)

    def _chosen(self, scored: Sequence[_Scored], best: _Scored) -> list[_Scored]:
        good = [one for one in scored if one.score >= max(ANSWER_THRESHOLD, _COMPANION * best.score)]
        kept: list[_Scored] = []
        for one in sorted(good, key=lambda item: (-item.score, item.source, item.at)):
            repeated = any(self._similarity.cosine(one.sentence, other.sentence) > 0.93 for other in kept)
            if not repeated and len(kept) < MAX_SENTENCES - 1:
                kept.append(one)
        return sorted(kept, key=lambda item: (item.source != best.source, item.source, item.at))


def _added(asked: str, focus: str) -> frozenset[str]:
    """What the last message adds to the ones before it; all of its words when it repeats theirs."""
    before = asked.replace(core(focus), " ").replace(focus, " ")
    return content_stems(focus) - content_stems(before) or content_stems(focus)


def _rarity(sources: Sequence[Source]) -> dict[str, float]:
    texts = [content_stems(sentence) for source in sources for sentence in source.sentences]
    counts: dict[str, int] = {}
    for stems in texts:
        for one in stems:
            counts[one] = counts.get(one, 0) + 1
    return {one: math.log(1 + len(texts) / count) for one, count in counts.items()}


def _weighted(asked: frozenset[str], said: frozenset[str], rarity: Mapping[str, float]) -> float:
    """Share of the asked stems that are said, each weighted by how rare it is among the passages."""
    if not asked:
        return 0.0
    ceiling = max(rarity.values(), default=1.0)
    total = sum(rarity.get(one, ceiling) for one in asked)
    return sum(rarity.get(one, ceiling) for one in asked & said) / total if total else 0.0


def _told(chosen: Sequence[_Scored], sources: Sequence[Source]) -> str:
    """Sentences grouped by passage in the order given; the marker follows the last sentence of each passage."""
    groups: dict[int, list[_Scored]] = {}
    for one in chosen:
        groups.setdefault(one.source, []).append(one)
    parts: list[str] = []
    for number, group in groups.items():
        text = " ".join(without_step(one.sentence) for one in group)
        parts.append(f"{text} {sources[number].marker}")
    return " ".join(parts)


def _whole_procedure(source: Source) -> str:
    """What leads into the steps, the steps one a line, and what follows them, in the passage's order."""
    lines: list[str] = []
    for sentence in source.sentences:
        if is_step(sentence) or not lines or is_step(lines[-1]):
            lines.append(sentence)
        else:
            lines[-1] = f"{lines[-1]} {sentence}"
    return "\n".join(lines) + f" {source.marker}"


def numbers_in(text: str) -> list[str]:
    return [word for word in words(text) if word[0].isdigit()]
