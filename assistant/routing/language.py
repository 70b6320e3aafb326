"""Tells a text in a language that a router was never trained on, by how its words are spelled."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from assistant.routing.archive import pack, unpack
from assistant.routing.lexical import MAX_WORDS, words
from assistant.routing.slips import LONGEST_WORD, Vocabulary
from assistant.routing.utterances import Utterance

LANGUAGE_VERSION = 1
"""Changes whenever the stored counts or the threshold would come out differently."""
ORDER = 5
"""Characters of a gram, the last of which is foretold by those before it."""
TABLE = 1 << 18
CHARACTERS = 200
"""Characters that are thought possible where nothing is known."""
FOLDS = 4
STRANGE_SHARE = 0.005
"""Of the training utterances, held out by family, this share is spelled stranger than the threshold."""
FEWEST_WORDS = 4
FEWEST_LETTERS = 6
MENDED = 0.85
"""With slips mended a text must still reach this share of the threshold; chosen on sentences in twelve languages and on misspelled ones."""
FAR = 2.0
"""Shorter texts are strange only at this many times the threshold, which takes a foreign alphabet."""

Counts = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """Character n-grams within words, without accents, with Witten-Bell smoothing (Witten and Bell, IEEE Trans. Inf. Theory 37 (1991) 1085).

    `seen` counts hashed grams, `total` hashed histories and `kinds` how many different characters followed each. `threshold` (1,) is in bits per character.
    """

    seen: Counts
    total: Counts
    kinds: Counts
    threshold: NDArray[np.float32]

    def bits(self, text: str) -> float:
        """Mean surprise per character of the words of `text`; 0.0 for a text without words."""
        return float(self.surprise(_grams(text)).mean()) if words(text) else 0.0

    def surprise(self, ids: NDArray[np.intp]) -> NDArray[np.float64]:
        """Bits of each character of a text, given as the places of its grams."""
        share = np.full(len(ids), 1.0 / CHARACTERS)
        for order in range(ORDER):
            gram, history = ids[:, 2 * order], ids[:, 2 * order + 1]
            kinds = self.kinds[history]
            # An unseen history adds nothing; a table's collision may count a gram without its history.
            weight = np.maximum(self.total[history] + kinds, 1)
            known = (np.minimum(self.seen[gram], self.total[history]) + kinds * share) / weight
            share = np.where(self.total[history] > 0, known, share)
        return -np.log2(share)

    def to_bytes(self) -> bytes:
        """A versioned archive that carries its own digest."""
        return pack({item.name: getattr(self, item.name) for item in fields(self)}, LANGUAGE_VERSION, compressed=True)

    @classmethod
    def from_file(cls, path: Path) -> Spelling | None:
        """Null when the file is absent, cut short, altered or of another version."""
        arrays = unpack(path, [item.name for item in fields(cls)], LANGUAGE_VERSION)
        return None if arrays is None else cls(**arrays)


class Language:
    """Whether a text is in a language that the training utterances hold, even mixed or misspelled. Safe to share between threads."""

    def __init__(self, spelling: Spelling, vocabulary: Callable[[], Vocabulary]) -> None:
        self.spelling = spelling
        self._read = vocabulary

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        # Wanted for the few texts that look strange; to read it for all would cost every start a tenth of a second.
        return self._read()

    def is_strange(self, text: str) -> bool:
        """Whether `text` is spelled unlike the training utterances, also once its slips of the keyboard are mended."""
        if sum(letter.isalpha() for letter in text) < FEWEST_LETTERS:
            return False
        limit = float(self.spelling.threshold[0]) * (1.0 if len(words(text)) >= FEWEST_WORDS else FAR)
        return self.spelling.bits(text) > limit and self.spelling.bits(self._vocabulary.mend(text)) > MENDED * limit


def learn_spelling(utterances: Sequence[Utterance]) -> Spelling:
    """Counts over all utterances; the threshold from utterances whose families were left out of the counts."""
    grams = [_grams(item.text) for item in utterances]
    fold = [crc32(item.family.encode()) % FOLDS for item in utterances]
    held_out: list[float] = []
    for number in range(FOLDS):
        others = _count([ids for ids, own in zip(grams, fold, strict=True) if own != number], 0.0)
        held_out += [
            float(others.surprise(ids).mean()) if len(words(item.text)) >= FEWEST_WORDS else 0.0
            for item, ids, own in zip(utterances, grams, fold, strict=True)
            if own == number
        ]
    return _count(grams, float(np.quantile(held_out, 1.0 - STRANGE_SHARE)))


def _count(grams: Sequence[NDArray[np.intp]], threshold: float) -> Spelling:
    ids = np.concatenate([*grams, np.empty((0, 2 * ORDER), dtype=np.intp)])
    seen, total, kinds = (np.zeros(TABLE + 1, dtype=np.int32) for _ in range(3))
    for order in range(ORDER):
        gram, history = ids[:, 2 * order], ids[:, 2 * order + 1]
        seen += np.bincount(gram, minlength=TABLE + 1).astype(np.int32)
        total += np.bincount(history, minlength=TABLE + 1).astype(np.int32)
        pairs = np.unique(gram * (TABLE + 1) + history)
        kinds += np.bincount(pairs % (TABLE + 1), minlength=TABLE + 1).astype(np.int32)
    for counts in (seen, total, kinds):
        counts[TABLE] = 0
    return Spelling(seen=seen, total=total, kinds=kinds, threshold=np.array([threshold], dtype=np.float32))


def _grams(text: str) -> NDArray[np.intp]:
    """For each character of each word, and its end, the places of gram and history from the shortest to the longest: (characters, 2 * ORDER).

    Place `TABLE` stands for a history longer than the word so far, of which nothing is counted.
    """
    rows: list[list[int]] = []
    for word in words(_plain(text))[:MAX_WORDS]:
        padded = f" {word[:LONGEST_WORD]} "
        for end in range(1, len(padded)):
            row: list[int] = []
            for order in range(ORDER):
                history = padded[end - order : end] if end >= order else None
                row += [TABLE, TABLE] if history is None else [_place(f"g{history}{padded[end]}"), _place(f"h{history}")]
            rows.append(row)
    return np.array(rows, dtype=np.intp).reshape(-1, 2 * ORDER)


def _place(gram: str) -> int:
    return crc32(gram.encode()) % TABLE


def _plain(text: str) -> str:
    """`text` without accents, which people leave out."""
    parted = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in parted if not unicodedata.combining(sign))
