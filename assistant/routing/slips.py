"""Mends slips of the keyboard against the words a router was trained on."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from assistant.routing.lexical import MAX_WORDS, words

SHORTEST = 4
LONGEST_WORD = 24
CACHED_WORDS = 4096
_WORD = re.compile(rf"[^\W\d_]{{{SHORTEST},{LONGEST_WORD}}}")


class Vocabulary:
    """Words of a training file and how often it has them; `real` tells words of the language that it may lack.

    Safe to share between threads.
    """

    def __init__(self, counts: Mapping[str, int], real: Callable[[str], bool]) -> None:
        self.counts = counts
        self._real = real
        self._letters = "".join(sorted({letter for word in counts for letter in word if letter.isalpha()}))
        self._known = lru_cache(maxsize=CACHED_WORDS)(self._nearest)

    @classmethod
    def of(cls, texts: Iterable[str], real: Callable[[str], bool]) -> Vocabulary:
        return cls(Counter(word for text in texts for word in words(text)), real)

    @classmethod
    def from_bytes(cls, content: bytes, real: Callable[[str], bool]) -> Vocabulary:
        """The vocabulary that `to_bytes` wrote. Raises `ValueError`."""
        counts = json.loads(content)
        if not isinstance(counts, dict):
            raise ValueError("not an object of words and counts")
        return cls({str(word): int(count) for word, count in counts.items()}, real)

    def to_bytes(self) -> bytes:
        return json.dumps(self.counts, sort_keys=True, ensure_ascii=False).encode()

    def mend(self, text: str) -> str:
        """`text` with each unknown word of four letters and more replaced by the most frequent training word one slip away, if any.

        A slip is a letter lost, added, changed, or two neighbours swapped (Damerau, CACM 7 (1964) 171). At most 64 words are looked at.
        """
        return _WORD.sub(lambda match: self._known(match.group()), text, count=MAX_WORDS)

    def _nearest(self, written: str) -> str:
        word = written.casefold()
        if word in self.counts or self._real(word):
            return written
        near = [other for other in self._one_slip_away(word) if other in self.counts]
        return max(near, key=lambda other: (self.counts[other], other), default=written)

    def _one_slip_away(self, word: str) -> set[str]:
        splits = [(word[:at], word[at:]) for at in range(len(word) + 1)]
        found = {left + right[1:] for left, right in splits if right}
        found |= {left + right[1] + right[0] + right[2:] for left, right in splits if len(right) > 1}
        found |= {left + letter + right[1:] for left, right in splits if right for letter in self._letters}
        return found | {left + letter + right for left, right in splits for letter in self._letters}
