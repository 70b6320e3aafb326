"""Sentence vectors of passages: what each is about, what it says as a whole, and what each of its sentences says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.deps import Passage
from assistant.encoder import SentenceEncoder, stored_embeddings

Vector = NDArray[np.float32]

_STEP = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*])\s+")
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])")


class PassageVectors:
    """Unit vectors of `passages`, computed once and kept in `cache_dir`."""

    def __init__(self, passages: Sequence[Passage], encoder: SentenceEncoder, cache_dir: Path) -> None:
        said = [sentences(item.text) or [item.heading] for item in passages]
        about = [f"{item.title}: {item.heading}" for item in passages]
        whole = [f"{item.heading} {item.text}" for item in passages]
        rows = stored_embeddings([*about, *whole, *(sentence for several in said for sentence in several)], encoder, cache_dir)
        count = len(passages)
        self._about, self._whole, self._sentences = rows[:count], rows[count : 2 * count], rows[2 * count :]
        self._starts = np.cumsum([0, *(len(several) for several in said[:-1])])

    def closeness(self, query: Vector) -> NDArray[np.float64]:
        """Per passage the mean of three cosines with the query: its title and heading, its whole, and its closest sentence."""
        closest = np.maximum.reduceat(self._sentences @ query, self._starts)
        return ((self._about @ query + self._whole @ query + closest) / 3.0).astype(np.float64)


def sentences(text: str) -> list[str]:
    """Sentences in order, without step numbers; a line is never joined with the next."""
    return [piece for line in text.splitlines() for piece in _END.split(_STEP.sub("", line.strip())) if piece]
