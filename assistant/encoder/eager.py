"""The same BERT in torch, in batches: for fine-tuning, and for encoding on a device that torch can use.

torch is no part of the installed product: it comes with the extra `train` and is imported when it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.encoder.graph import FEATURE_LAYERS
from assistant.encoder.sentence import Encoding
from assistant.encoder.weights import BertShape, EncoderError

INSTALL_TORCH = "pip install 'assay[train]'"
BATCH_TOKENS = 8192

Device = str
Tensors = Mapping[str, Any]
"""torch tensors, named as in a Hugging Face `BertModel`."""


def open_torch(device: Device = "cpu") -> Any:
    """The module torch, once it is certain that it can use `device`. Raises `EncoderError`."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise EncoderError(f"torch is not installed; install it with: {INSTALL_TORCH}") from error
    if device == "cuda" and not torch.cuda.is_available():
        raise EncoderError(f"torch {torch.__version__} sees no CUDA device on this machine; use --device cpu")
    return torch


@dataclass(frozen=True, kw_only=True)
class Batch:
    """`ids` and `mask` (texts, tokens); `mask` is true for what is a token and false for padding. `places` are the texts' numbers."""

    ids: Any
    mask: Any
    places: list[int]


def batches(torch: Any, ids: Sequence[Sequence[int]], device: Device) -> Iterator[Batch]:
    """Texts of like length together, at most `BATCH_TOKENS` tokens at a time, padding included."""
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * len(ids[order[end]]) <= BATCH_TOKENS:
            end += 1
        yield pad(torch, ids, order[start:end], device)
        start = end


def pad(torch: Any, ids: Sequence[Sequence[int]], places: list[int], device: Device) -> Batch:
    """The texts at `places` as one batch."""
    width = max(len(ids[place]) for place in places)
    rows = np.zeros((len(places), width), dtype=np.int64)
    mask = np.zeros((len(places), width), dtype=np.bool_)
    for row, place in enumerate(places):
        rows[row, : len(ids[place])] = ids[place]
        mask[row, : len(ids[place])] = True
    return Batch(ids=torch.from_numpy(rows).to(device), mask=torch.from_numpy(mask).to(device), places=places)


def pooled_layers(torch: Any, tensors: Tensors, shape: BertShape, batch: Batch, dropout: float = 0.0) -> list[Any]:
    """Mean over the tokens of each layer's output, (texts, hidden) per layer, first layer first.

    `dropout` is the share dropped where BERT drops: after the embeddings, in attention and after each dense part.
    """
    functional = torch.nn.functional

    def drop(value: Any) -> Any:
        return functional.dropout(value, dropout) if dropout else value

    def dense(value: Any, name: str) -> Any:
        return functional.linear(value, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def norm(value: Any, name: str) -> Any:
        weight, bias = tensors[f"{name}.LayerNorm.weight"], tensors[f"{name}.LayerNorm.bias"]
        return functional.layer_norm(value, (shape.hidden,), weight, bias, shape.epsilon)

    def attend(value: Any, name: str) -> Any:
        parts = (dense(value, f"{name}.self.{part}") for part in ("query", "key", "value"))
        query, key, content = (part.unflatten(-1, (shape.heads, -1)).transpose(1, 2) for part in parts)
        scores = query @ key.transpose(-1, -2) / math.sqrt(shape.hidden // shape.heads)
        scores = scores.masked_fill(~batch.mask[:, None, None, :], -math.inf)
        mixed = drop(scores.softmax(-1)) @ content
        return norm(value + drop(dense(mixed.transpose(1, 2).flatten(2), f"{name}.output.dense")), f"{name}.output")

    places = tensors["embeddings.position_embeddings.weight"][: batch.ids.shape[1]]
    words = functional.embedding(batch.ids, tensors["embeddings.word_embeddings.weight"])
    value = drop(norm(words + places + tensors["embeddings.token_type_embeddings.weight"][0], "embeddings"))
    share = batch.mask[:, :, None] / batch.mask.sum(1)[:, None, None]
    pooled: list[Any] = []
    for number in range(shape.layers):
        name = f"encoder.layer.{number}"
        value = attend(value, f"{name}.attention")
        wide = functional.gelu(dense(value, f"{name}.intermediate.dense"))
        value = norm(value + drop(dense(wide, f"{name}.output.dense")), f"{name}.output")
        pooled.append((value * share).sum(1))
    return pooled


def encode_batches(
    torch: Any, tensors: Tensors, shape: BertShape, ids: Sequence[Sequence[int]], device: Device
) -> list[Encoding]:
    """One encoding per text, in fp32, as the served graph gives it without quantisation."""
    found: dict[int, Encoding] = {}
    with torch.inference_mode():
        for batch in batches(torch, ids, device):
            layers = pooled_layers(torch, tensors, shape, batch)
            features: NDArray[np.float32] = torch.cat(layers[-FEATURE_LAYERS:], 1).cpu().numpy()
            embeddings: NDArray[np.float32] = torch.nn.functional.normalize(layers[-1], dim=1).cpu().numpy()
            for row, place in enumerate(batch.places):
                found[place] = Encoding(embedding=embeddings[row], features=features[row])
    return [found[place] for place in range(len(ids))]
