"""Finds the passages of a knowledge folder that answer a question, by words and by meaning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.deps import Fusion, Passage
from assistant.encoder import SentenceEncoder
from assistant.knowledge.documents import Document, read_documents
from assistant.knowledge.lexical import FullText, terms
from assistant.knowledge.vectors import PassageVectors

LEXICAL_WEIGHT = 0.03
"""What one unit of BM25, divided by the root of the number of terms, counts beside a cosine in a passage's score."""
RANK_OFFSET = 10
WORDS_WEIGHT = 0.3
"""Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): the item at rank r (from 1) of a list gets w / (k + r). With the usual k = 60 and equal
weights the right passage comes first for 39 of 76 plain questions, with these for 47; see docs/measurements/retrieval.md."""
CONTEXT_WEIGHT = 0.25
"""What the lines before the last of a query count: enough for a follow-up to stay with its subject, too little to hold a new one back."""
BARE_WEIGHT = 1.0
"""The same where the last line names next to nothing ("and for how long?")."""
Scores = NDArray[np.float64]

MEASURES = frozenset(
    "long longer much many more less often far hot cold warm high low soon fast big old deep till until again".split()
)


class Library:
    """An `assistant.deps.PassageSearch` over one folder. Safe to share between threads; a search takes milliseconds."""

    def __init__(
        self, documents: Sequence[Document], encoder: SentenceEncoder, cache_dir: Path, *, fusion: Fusion = "ranks"
    ) -> None:
        self.passages = tuple(_passages(documents))
        self._agents = [frozenset(document.front.agents) for document in documents for _ in document.sections]
        self._by_id = {(item.document, item.passage): item for item in self.passages}
        self._encoder = encoder
        self._fusion = fusion
        self._vectors = PassageVectors(self.passages, encoder, cache_dir)
        self._full_text = FullText(self.passages)

    @classmethod
    def load(cls, folder: Path, encoder: SentenceEncoder, cache_dir: Path, *, fusion: Fusion = "ranks") -> Library:
        """The library of the `*.md` files in `folder`. Vectors are computed once and kept in `cache_dir`.

        Raises `KnowledgeError`.
        """
        return cls(read_documents(folder), encoder, cache_dir, fusion=fusion)

    def search(self, query: str, *, limit: int = 5, agent: str | None = None) -> list[Passage]:
        """At most `limit` passages, best first. `agent` keeps the documents written for that agent.

        The last line of `query` is what is asked; lines before it tell what was talked about and count less.
        A score is about 0.5 to 1 where a passage answers and seldom above 0.4 where none does.
        """
        *context, asked = [line for line in query.splitlines() if line.strip()] or [""]
        if not asked:
            return []
        meaning, words = self._meaning(asked), self._words(asked)
        if context:
            weight = CONTEXT_WEIGHT if set(terms(asked)) - MEASURES else BARE_WEIGHT
            meaning = meaning + weight * self._meaning(" ".join(context))
            words = words + weight * self._words(" ".join(context))
        score = meaning + words
        fused = score if self._fusion == "scores" else fuse_ranks(meaning, words)
        rows = [row for row, agents in enumerate(self._agents) if agent is None or agent in agents]
        best = sorted(rows, key=lambda row: (-fused[row], row))[:limit]
        return [replace(self.passages[row], score=float(score[row])) for row in best]

    def passage(self, document: str, passage: str) -> Passage | None:
        """A passage by its names, with score 0, or None."""
        return self._by_id.get((document, passage))

    def word_scores(self, text: str) -> dict[int, float]:
        """BM25 by row of `passages`, of those that share a word with `text`."""
        return self._full_text.scores(text)

    def close(self) -> None:
        self._full_text.close()

    def _meaning(self, text: str) -> Scores:
        return self._vectors.closeness(self._encoder.encode(text).embedding)

    def _words(self, text: str) -> Scores:
        """BM25 by row, scaled to stand beside a cosine; 0 without a shared word."""
        scores = np.zeros(len(self.passages))
        share = LEXICAL_WEIGHT / math.sqrt(max(1, len(terms(text))))
        for row, score in self.word_scores(text).items():
            scores[row] = share * score
        return scores


def fuse_ranks(meaning: Scores, words: Scores) -> Scores:
    """Weighted reciprocal rank fusion of two score lists, higher is better. A row with score 0 in `words` is on the first list alone."""
    by_words = np.where(words > 0, WORDS_WEIGHT / (RANK_OFFSET + _ranks(words)), 0.0)
    return 1.0 / (RANK_OFFSET + _ranks(meaning)) + by_words


def _ranks(scores: Scores) -> Scores:
    """Ranks from 1, best first."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks


def _passages(documents: Iterable[Document]) -> Iterable[Passage]:
    for document in documents:
        front = document.front
        for section in document.sections:
            yield Passage(
                document=front.id,
                passage=section.slug,
                title=front.title,
                heading=section.heading,
                text=section.text,
                version=front.version,
                score=0.0,
            )
