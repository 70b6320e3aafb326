"""A fine-tuned encoder as a folder that says what it is, and the proof that it is served as it was tuned."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from assistant.encoder.atomic import write_atomically
from assistant.encoder.eager import Device, encode_batches, open_torch
from assistant.encoder.sentence import SentenceEncoder
from assistant.encoder.tuning import Tensors, TuningPlan
from assistant.encoder.weights import FILES, EncoderError, EncoderFiles, file_sha256, locate, read_tensors, read_tokenizer

TUNED_VERSION = 1
CARD_FILE = "tuned.json"
COMPARED_TEXTS = 500
LEAST_MEAN = 0.99
LEAST = 0.95


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Cosines between the embeddings of torch in fp32 and those of the served int8 graph, over `texts` texts."""

    texts: int
    mean: float
    least: float


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What an encoder was tuned with: `base` is the digest of the weights it began with, `data_digest` that of the texts."""

    data: str
    data_digest: str
    texts: int
    base: str
    plan: TuningPlan
    device: Device
    torch: str


def write_tuned(folder: Path, base: EncoderFiles, tensors: Tensors, tuning: Tuning, compared: Sequence[str]) -> Parity:
    """Write the tuned encoder into `folder`, its card last, once its int8 vectors of `compared` texts agree with torch.

    Raises `EncoderError` when they do not, or when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CARD_FILE).unlink(missing_ok=True)
        for name, content in _contents(base, tensors).items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise EncoderError(f"{folder}: cannot be written ({error.strerror}); give a folder that can") from error
    parity = measure_parity(folder, compared)
    card = {
        "version": TUNED_VERSION,
        "files": {name: file_sha256(folder / name) for name in FILES},
        **asdict(tuning),
        "parity": asdict(parity),
    }
    write_atomically(folder / CARD_FILE, (json.dumps(card, indent=1) + "\n").encode())
    return parity


def _contents(base: EncoderFiles, tensors: Tensors) -> dict[str, bytes]:
    from safetensors.numpy import save

    plain = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    copied = {name: (base.folder / name).read_bytes() for name in FILES if name != "model.safetensors"}
    return {"model.safetensors": save(plain), **copied}


def measure_parity(folder: Path, texts: Sequence[str]) -> Parity:
    """Encode at most `COMPARED_TEXTS` of `texts` both ways. Raises `EncoderError` below `LEAST_MEAN` or `LEAST`."""
    files, torch = locate(folder), open_torch()
    chosen = texts[:: max(1, len(texts) // COMPARED_TEXTS)][:COMPARED_TEXTS]
    tensors = {name: torch.from_numpy(tensor) for name, tensor in read_tensors(files).items()}
    tokenizer = read_tokenizer(files)
    eager = encode_batches(torch, tensors, files.shape, [tokenizer.encode(text).ids for text in chosen], "cpu")
    with tempfile.TemporaryDirectory(prefix="assay-parity-") as cache:
        served = SentenceEncoder.load(folder, cache_dir=Path(cache)).encode_many(chosen)
    cosines = [float(one.embedding @ other.embedding) for one, other in zip(eager, served, strict=True)]
    parity = Parity(texts=len(chosen), mean=float(np.mean(cosines)), least=min(cosines))
    if parity.mean < LEAST_MEAN or parity.least < LEAST:
        raise EncoderError(
            f"{folder}: the int8 vectors are not those that were tuned: over {parity.texts} texts the mean cosine is "
            f"{parity.mean:.4f} (at least {LEAST_MEAN}), the least {parity.least:.4f} (at least {LEAST}); tune again at a lower rate"
        )
    return parity


def load_tuned(folder: Path, cache_dir: Path) -> SentenceEncoder:
    """The encoder of a folder written by `write_tuned`. Raises `EncoderError` when it is unfinished, altered or of another version."""
    card = read_card(folder)
    if card.get("version") != TUNED_VERSION:
        raise EncoderError(f"{folder}: encoder version {card.get('version')}, this build reads {TUNED_VERSION}; tune it again")
    digests = cast("Mapping[str, str]", card.get("files", {}))
    for name in FILES:
        if not (folder / name).is_file() or file_sha256(folder / name) != digests.get(name):
            raise EncoderError(f"{folder / name}: is absent or not the file that {CARD_FILE} names; tune the encoder again")
    return SentenceEncoder.load(folder, cache_dir=cache_dir)


def read_card(folder: Path) -> Mapping[str, Any]:
    """What `tuned.json` says. Raises `EncoderError`."""
    path = folder / CARD_FILE
    try:
        card: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EncoderError(f"{path}: cannot be read ({error.strerror}); tune the encoder again") from error
    except ValueError as error:
        raise EncoderError(f"{path}: not JSON ({error}); tune the encoder again") from error
    if not isinstance(card, dict) or not isinstance(cast("Mapping[str, object]", card).get("files", {}), dict):
        raise EncoderError(f"{path}: not the card of an encoder; tune it again")
    return cast("Mapping[str, Any]", card)
