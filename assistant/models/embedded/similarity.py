"""Meaning and wording in one measure: sentence vectors, kept per text, and overlap of content words."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from assistant.models.embedded.language import overlap

Vector = NDArray[np.float32]


class TextEncoding(Protocol):
    @property
    def embedding(self) -> NDArray[Any]: ...


class TextEncoder(Protocol):
    """What the model needs of a sentence encoder. `encode` is deterministic."""

    def encode(self, text: str, /) -> TextEncoding: ...


@runtime_checkable
class LearnsTexts(Protocol):
    """An encoder that can keep the vectors of texts that will come again."""

    def learn(self, texts: Iterable[str], /) -> None: ...


class Similarity:
    """Cosine of sentence vectors with a bounded memory of them (a pure cache: it changes speed, never a result)."""

    def __init__(self, encoder: TextEncoder, *, capacity: int = 16384) -> None:
        self._encoder = encoder
        self._capacity = capacity
        self._kept: OrderedDict[str, Vector] = OrderedDict()

    def learn(self, texts: Iterable[str]) -> None:
        """Say beforehand which texts will be compared again and again, in this process and the next ones."""
        if isinstance(self._encoder, LearnsTexts):
            self._encoder.learn(texts)

    def vector(self, text: str) -> Vector:
        """Unit vector of a text; the zero vector stays zero."""
        known = self._kept.get(text)
        if known is not None:
            self._kept.move_to_end(text)
            return known
        raw = np.asarray(self._encoder.encode(text).embedding, dtype=np.float32)
        norm = float(np.linalg.norm(raw))
        unit = raw / norm if norm > 0 else raw
        self._kept[text] = unit
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return unit

    def cosine(self, left: str, right: str) -> float:
        return float(self.vector(left) @ self.vector(right))

    def match(self, query: str, text: str) -> float:
        """Cosine with up to 0.1 added for shared wording, so that equal meanings are told apart by words."""
        return self.cosine(query, text) + 0.1 * overlap(query, text)
