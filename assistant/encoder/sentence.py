"""Turns one text into one vector, on one thread, without torch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from assistant.encoder.atomic import write_atomically
from assistant.encoder.products import open_graph, signed_products_are_exact
from assistant.encoder.weights import MAX_TOKENS, EncoderError, EncoderFiles, Precision, locate, read_tensors, read_tokenizer

CACHED_TEXTS = 2048
LEAST_PER_THREAD = 64
"""Texts that are worth a thread of their own."""
TEXTS_AT_ONCE = 16
"""Texts that a thread takes in one go: few enough to share them out evenly, enough to make up for the taking."""

GRAPH_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """`embedding`: float32 (hidden,), of unit length. `features`: float32 (3 * hidden,), for linear heads. Both are read-only."""

    embedding: NDArray[np.float32]
    features: NDArray[np.float32]


class SentenceEncoder:
    """Encodes texts one at a time: the vector of a text never depends on its neighbours. Safe to share between threads."""

    def __init__(self, session: ort.InferenceSession, tokenizer: Tokenizer, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        """Changes whenever the vectors may change: keys for caches of anything computed from them."""
        self._session = session
        self._tokenizer = tokenizer
        self._encode = lru_cache(maxsize=CACHED_TEXTS)(self._run)

    @classmethod
    def load(cls, path: Path | None = None, *, cache_dir: Path, precision: Precision = "int8") -> SentenceEncoder:
        """The encoder in `path` (a folder with config.json, model.safetensors, tokenizer.json), or the installed one.

        The first call builds the graph (seconds) and keeps it in `cache_dir`; several processes may do so at once.
        Raises `EncoderError`.
        """
        files = locate(path)
        key = f"{files.sha256[:16]}-v{GRAPH_VERSION}-{precision}"
        # Both kernels give the same vectors, so the processor is no part of the fingerprint.
        signed = precision == "int8" and signed_products_are_exact(cache_dir)
        graph = cache_dir / f"encoder-{key}{'-signed' if signed else ''}.onnx"
        if not graph.is_file():
            write_atomically(graph, _build(files, precision, signed=signed))
        return cls(open_graph(graph), read_tokenizer(files), f"{key}-t{MAX_TOKENS}")

    def encode(self, text: str) -> Encoding:
        """The vectors of `text`, of which the first 64 tokens count."""
        return self._encode(text)

    def encode_many(self, texts: Iterable[str]) -> list[Encoding]:
        """One encoding per text, equal to `encode` of each: text after text, on as many threads as there are processors to use."""
        listed = list(texts)
        threads = min(_processors(), len(listed) // LEAST_PER_THREAD)
        if threads < 2:
            return self._encode_each(listed)
        parts = [listed[start : start + TEXTS_AT_ONCE] for start in range(0, len(listed), TEXTS_AT_ONCE)]
        with ThreadPoolExecutor(threads) as pool:
            return list(chain.from_iterable(pool.map(self._encode_each, parts)))

    def _encode_each(self, texts: list[str]) -> list[Encoding]:
        return [self._encode(text) for text in texts]

    def knows(self, word: str) -> bool:
        """Whether `word`, in lower case, is a single token: then it is a common word and no slip of the keyboard."""
        return self._tokenizer.token_to_id(word) is not None

    def _run(self, text: str) -> Encoding:
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        outputs = self._session.run(["embedding", "features"], {"input_ids": ids})
        embedding, features = (cast("NDArray[np.float32]", output)[0] for output in outputs)
        embedding.setflags(write=False)
        features.setflags(write=False)
        return Encoding(embedding=embedding, features=features)


def _processors() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _build(files: EncoderFiles, precision: Precision, *, signed: bool) -> bytes:
    from assistant.encoder.graph import build_graph

    try:
        return build_graph(read_tensors(files), files.shape, precision, signed=signed).SerializeToString()
    except KeyError as error:
        raise EncoderError(f"{files.folder / 'model.safetensors'}: no tensor {error}; give a BERT sentence encoder") from error
