"""Counts how much of a training file comes back in a test set, without showing a test text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assistant.routing.lexical import words
from assistant.routing.utterances import Utterance

NEAR = 0.75
"""Texts whose sets of words have this Jaccard similarity or more are near duplicates."""


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Training utterances with the words of a test text in the same order (`exact`) or nearly the same words (`near`).

    `lines` are the lines of both in the training file, ascending.
    """

    exact: int
    near: int
    lines: tuple[int, ...]


def count_overlap(training: Sequence[Utterance], test_texts: Iterable[str]) -> Overlap:
    """The overlap of `training` with `test_texts`. No test text leaves this function."""
    held = [words(text) for text in test_texts]
    if not held or not training:
        return Overlap(exact=0, near=0, lines=())
    known = [words(item.text) for item in training]
    sequences = {tuple(listed) for listed in held}
    exact = np.array([tuple(listed) in sequences for listed in known])
    numbers = {word: number for number, word in enumerate(sorted({word for listed in (*held, *known) for word in listed}))}
    left, right = _incidence(known, numbers), _incidence(held, numbers)
    shared = (left @ right.T).toarray()
    sizes = np.asarray(left.sum(axis=1)).reshape(-1, 1) + np.asarray(right.sum(axis=1)).reshape(1, -1)
    near = (shared / np.maximum(sizes - shared, 1)).max(axis=1) >= NEAR
    lines = [item.line for item, found in zip(training, exact | near, strict=True) if found]
    return Overlap(exact=int(exact.sum()), near=int((near & ~exact).sum()), lines=tuple(sorted(lines)))


def _incidence(listed: Sequence[Sequence[str]], numbers: dict[str, int]) -> Any:
    """Which words each text has, as a sparse matrix (texts, words) of ones."""
    from scipy.sparse import csr_matrix

    rows = [sorted({numbers[word] for word in item}) for item in listed]
    ends = np.cumsum([0, *(len(row) for row in rows)])
    columns = np.array([number for row in rows for number in row], dtype=np.intp)
    return csr_matrix((np.ones(len(columns), dtype=np.float32), columns, ends), shape=(len(rows), len(numbers)))
