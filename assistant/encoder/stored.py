"""Vectors of texts known beforehand, computed once and kept in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assistant.encoder.atomic import write_atomically
from assistant.encoder.sentence import SentenceEncoder

STORED_VERSION = 1

Vectors = NDArray[np.float32]


class Embedded(Protocol):
    @property
    def embedding(self) -> Vectors: ...


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """`embedding`: float32 (hidden,), of unit length."""

    embedding: Vectors


class KnownTexts:
    """An encoder that has read some texts before; their embeddings, and no features, cost nothing. The others go to `encoder`."""

    def __init__(self, encoder: SentenceEncoder, texts: Iterable[str], cache_dir: Path) -> None:
        self._encoder = encoder
        self._cache_dir = cache_dir
        self._known: dict[str, Embedding] = {}
        self.learn(texts)

    def learn(self, texts: Iterable[str], /) -> None:
        """Read some more texts, which the folder keeps as one piece."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        rows = stored_embeddings(fresh, self._encoder, self._cache_dir)
        self._known |= {text: Embedding(embedding=row) for text, row in zip(fresh, rows, strict=True)}

    def encode(self, text: str, /) -> Embedded:
        return self._known.get(text) or self._encoder.encode(text)


def stored_embeddings(texts: Sequence[str], encoder: SentenceEncoder, cache_dir: Path) -> Vectors:
    """float32 (texts, hidden), read from `cache_dir` when these texts were encoded before."""
    if not texts:
        return np.empty((0, 0), dtype=np.float32)
    known = f"{STORED_VERSION} {encoder.fingerprint}\0" + "\0".join(texts)
    path = cache_dir / f"vectors-{hashlib.sha256(known.encode()).hexdigest()[:24]}.npy"
    cached = _read(path, len(texts))
    if cached is not None:
        return cached
    rows = np.stack([encoding.embedding for encoding in encoder.encode_many(texts)]).astype(np.float32)
    body = BytesIO()
    np.save(body, rows)
    with suppress(OSError):  # a folder that cannot be written makes the next start slower, no answer wrong
        write_atomically(path, body.getvalue())
    return rows


def _read(path: Path, count: int) -> Vectors | None:
    """The cached vectors, or None when they are absent or damaged."""
    try:
        rows: Vectors = np.load(path, allow_pickle=False)
    except (FileNotFoundError, EOFError, ValueError):
        return None
    return rows if rows.ndim == 2 and len(rows) == count else None
