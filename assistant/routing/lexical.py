"""Hashed word and character n-grams of a text, the part of a head that sees spelling rather than meaning."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 14
CHARACTERS = (3, 4, 5)
MAX_WORDS = 64
_WORD = re.compile(r"\w+(?:'\w+)?", re.UNICODE)


def words(text: str) -> list[str]:
    """Lower-case words and numbers in order."""
    return _WORD.findall(text.casefold())


def grams(text: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Buckets of the n-grams of `text`, ascending and distinct, and their damped counts (1 + ln count)."""
    listed = words(text)[:MAX_WORDS]
    found = [f"w {word}" for word in listed]
    found += [f"p {first} {second}" for first, second in pairwise(listed)]
    for word in listed:
        padded = f" {word} "
        found += [padded[start : start + size] for size in CHARACTERS for start in range(len(padded) - size + 1)]
    counts = Counter(crc32(gram.encode()) % BUCKETS for gram in found)
    buckets = sorted(counts)
    damped = 1.0 + np.log(np.array([counts[bucket] for bucket in buckets], dtype=np.float32))
    return np.array(buckets, dtype=np.intp), damped.astype(np.float32)


def weigh(buckets: NDArray[np.intp], counts: NDArray[np.float32], rarity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Damped counts times the rarity of each bucket, scaled to unit length (empty stays empty)."""
    values = counts * rarity[buckets]
    length = float(np.sqrt((values * values).sum()))
    return (values / length).astype(np.float32) if length > 0 else values
