"""Finds the passages of a knowledge folder that answer a question, by words and by meaning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.deps import Passage
from assistant.encoder import SentenceEncoder
from assistant.knowledge.documents import Document, read_documents
from assistant.knowledge.lexical import FullText, terms
from assistant.knowledge.vectors import PassageVectors

LEXICAL_WEIGHT = 0.03
"""What one unit of BM25, divided by the root of the number of terms, counts beside a cosine. Scores are added, not ranks: a convex
combination keeps how far apart the passages are (Bruch, Gai and Ingber 2023), which rank fusion throws away."""
CONTEXT_WEIGHT = 0.25
"""What the lines before the last of a query count: enough for a follow-up to stay with its subject, too little to hold a new one back."""

BARE_WEIGHT = 1.0
"""The same where the last line names next to nothing ("and for how long?")."""

MEASURES = frozenset(
    "long longer much many more less often far hot cold warm high low soon fast big old deep till until again".split()
)


class Library:
    """An `assistant.deps.PassageSearch` over one folder. Safe to share between threads; a search takes milliseconds."""

    def __init__(self, documents: Sequence[Document], encoder: SentenceEncoder, cache_dir: Path) -> None:
        self.passages = tuple(_passages(documents))
        self._agents = [frozenset(document.front.agents) for document in documents for _ in document.sections]
        self._by_id = {(item.document, item.passage): item for item in self.passages}
        self._encoder = encoder
        self._vectors = PassageVectors(self.passages, encoder, cache_dir)
        self._full_text = FullText(self.passages)

    @classmethod
    def load(cls, folder: Path, encoder: SentenceEncoder, cache_dir: Path) -> Library:
        """The library of the `*.md` files in `folder`. Vectors are computed once and kept in `cache_dir`.

        Raises `KnowledgeError`.
        """
        return cls(read_documents(folder), encoder, cache_dir)

    def search(self, query: str, *, limit: int = 5, agent: str | None = None) -> list[Passage]:
        """At most `limit` passages, best first. `agent` keeps the documents written for that agent.

        The last line of `query` is what is asked; lines before it tell what was talked about and count less.
        A score is about 0.5 to 1 where a passage answers and seldom above 0.4 where none does.
        """
        *context, asked = [line for line in query.splitlines() if line.strip()] or [""]
        if not asked:
            return []
        scores = self._scores(asked)
        if context:
            weight = CONTEXT_WEIGHT if set(terms(asked)) - MEASURES else BARE_WEIGHT
            scores = scores + weight * self._scores(" ".join(context))
        rows = np.array([row for row, agents in enumerate(self._agents) if agent is None or agent in agents], dtype=np.intp)
        best = rows[np.argsort(-scores[rows], kind="stable")][:limit]
        return [replace(self.passages[row], score=float(scores[row])) for row in best.tolist()]

    def passage(self, document: str, passage: str) -> Passage | None:
        """A passage by its names, with score 0, or None."""
        return self._by_id.get((document, passage))

    def word_scores(self, text: str) -> dict[int, float]:
        """BM25 by row of `passages`, of those that share a word with `text`."""
        return self._full_text.scores(text)

    def close(self) -> None:
        self._full_text.close()

    def _scores(self, text: str) -> NDArray[np.float64]:
        scores = self._vectors.closeness(self._encoder.encode(text).embedding)
        share = LEXICAL_WEIGHT / math.sqrt(max(1, len(terms(text))))
        found = self.word_scores(text)
        scores[list(found)] += share * np.fromiter(found.values(), dtype=np.float64, count=len(found))
        return scores


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
