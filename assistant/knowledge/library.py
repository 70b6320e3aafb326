"""Finds the passages of a knowledge folder that answer a question, by words and by meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.deps import Passage
from assistant.encoder import SentenceEncoder, write_atomically
from assistant.knowledge.documents import Document, read_documents
from assistant.knowledge.lexical import FullText

RANK_OFFSET = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009): a row ranked r-th adds 1 / (60 + r)."""

DEPTH = 40
VECTORS_VERSION = 1

Matrix = NDArray[np.float32]


class Library:
    """An `assistant.deps.PassageSearch` over one folder. Safe to share between threads; a search takes milliseconds."""

    def __init__(self, documents: Sequence[Document], encoder: SentenceEncoder, vectors: Matrix) -> None:
        self.passages = tuple(_passages(documents))
        self._agents = [frozenset(document.front.agents) for document in documents for _ in document.sections]
        self._by_id = {(item.document, item.passage): item for item in self.passages}
        self._encoder = encoder
        self._vectors = vectors
        self._full_text = FullText(self.passages)

    @classmethod
    def load(cls, folder: Path, encoder: SentenceEncoder, cache_dir: Path) -> Library:
        """The library of the `*.md` files in `folder`. Vectors are computed once and kept in `cache_dir`.

        Raises `KnowledgeError`.
        """
        documents = read_documents(folder)
        return cls(documents, encoder, _vectors(list(_passages(documents)), encoder, cache_dir))

    def search(self, query: str, *, limit: int = 5, agent: str | None = None) -> list[Passage]:
        """At most `limit` passages, best first. `agent` keeps the documents written for that agent."""
        if not query.strip():
            return []
        allowed = [agent is None or agent in agents for agents in self._agents]
        lexical = [row for row in self._full_text.ranked(query) if allowed[row]][:DEPTH]
        cosines = (self._vectors @ self._encoder.encode(query).embedding).max(axis=1)
        dense = [int(row) for row in np.argsort(-cosines, kind="stable") if allowed[row]][:DEPTH]
        scores = fuse([lexical, dense])
        best = sorted(scores, key=lambda row: (-scores[row], row))[:limit]
        return [replace(self.passages[row], score=scores[row]) for row in best]

    def passage(self, document: str, passage: str) -> Passage | None:
        """A passage by its names, with score 0, or None."""
        return self._by_id.get((document, passage))

    def close(self) -> None:
        self._full_text.close()


def fuse(rankings: Iterable[Sequence[int]]) -> dict[int, float]:
    """Reciprocal rank fusion: the score of every row that any ranking holds."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, start=1):
            scores[row] = scores.get(row, 0.0) + 1.0 / (RANK_OFFSET + rank)
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


def _vectors(passages: Sequence[Passage], encoder: SentenceEncoder, cache_dir: Path) -> Matrix:
    """float32 (passages, 2, hidden): what each passage is about, and what it says."""
    texts = [text for item in passages for text in (f"{item.title}: {item.heading}", f"{item.heading} {item.text}")]
    known = f"{VECTORS_VERSION} {encoder.fingerprint}\0" + "\0".join(texts)
    path = cache_dir / f"knowledge-{hashlib.sha256(known.encode()).hexdigest()[:24]}.npy"
    cached = _read_vectors(path, len(passages))
    if cached is not None:
        return cached
    stacked = np.stack([encoding.embedding for encoding in encoder.encode_many(texts)])
    vectors = stacked.reshape(len(passages), 2, -1).astype(np.float32)
    body = BytesIO()
    np.save(body, vectors)
    write_atomically(path, body.getvalue())
    return vectors


def _read_vectors(path: Path, passages: int) -> Matrix | None:
    """The cached vectors, or None when they are absent or damaged."""
    try:
        vectors: Matrix = np.load(path, allow_pickle=False)
    except (FileNotFoundError, EOFError, ValueError):
        return None
    return vectors if vectors.ndim == 3 and len(vectors) == passages else None
