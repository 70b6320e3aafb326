"""A trained head as a folder that says what it is: its version, its digest, its encoder and the data it was trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from assistant.encoder import SentenceEncoder, write_atomically
from assistant.encoder.tuned import CARD_FILE as TUNED_CARD
from assistant.encoder.tuned import load_tuned
from assistant.encoder.weights import FILES
from assistant.errors import AssistantError
from assistant.routing.head import Head
from assistant.routing.router import Router
from assistant.routing.slips import Vocabulary

MODEL_VERSION = 1
HEAD_FILE = "head.npz"
WORDS_FILE = "words.json"
CARD_FILE = "model.json"
ENCODER_FOLDER = "encoder"
"""Holds the encoder where it was tuned together with the head."""


class ModelError(AssistantError):
    """A model folder cannot be used. The message names the file, the fault and the remedy."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """`head` and `words` are the digests of the head and of the vocabulary, `encoder` the fingerprint of the encoder its vectors came from, `data` the name and
    `data_digest` the digest of what it was trained on, `utterances` how many those were."""

    version: int
    head: str
    words: str
    encoder: str
    data: str
    data_digest: str
    utterances: int


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    name: str
    digest: str
    utterances: int


def head_digest(head: Head) -> str:
    """`sha256:…` of a head's content."""
    return _digest(head.to_bytes()[32:])


def save_model(folder: Path, router: Router, data: TrainingData, encoder: Path | None = None) -> ModelCard:
    """Write `head.npz`, `words.json`, a copy of the folder `encoder` of a tuned encoder, then `model.json`, so that an unfinished
    folder has no card. Raises `ModelError`."""
    content = router.head.to_bytes()
    words = (router.vocabulary or Vocabulary({}, router.encoder.knows)).to_bytes()
    card = ModelCard(
        version=MODEL_VERSION,
        head=_digest(content[32:]),
        words=_digest(words),
        encoder=router.encoder.fingerprint,
        data=data.name,
        data_digest=data.digest,
        utterances=data.utterances,
    )
    try:
        (folder / CARD_FILE).unlink(missing_ok=True)
        write_atomically(folder / HEAD_FILE, content)
        write_atomically(folder / WORDS_FILE, words)
        _copy_encoder(encoder, folder / ENCODER_FOLDER)
        write_atomically(folder / CARD_FILE, (json.dumps(asdict(card), indent=1) + "\n").encode())
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written ({error.strerror}); give a folder that can") from error
    return card


def _copy_encoder(encoder: Path | None, place: Path) -> None:
    """The four files of a tuned encoder, its card last; a folder written before loses the encoder that it had."""
    (place / TUNED_CARD).unlink(missing_ok=True)
    if encoder is None:
        for name in FILES:
            (place / name).unlink(missing_ok=True)
        return
    for name in (*FILES, TUNED_CARD):
        write_atomically(place / name, (encoder / name).read_bytes())


def own_encoder(folder: Path, cache_dir: Path) -> SentenceEncoder | None:
    """The tuned encoder in a model folder, or None where the head was trained on a frozen one. Raises `EncoderError`."""
    place = folder / ENCODER_FOLDER
    return load_tuned(place, cache_dir) if (place / FILES[0]).is_file() else None


def read_model(folder: Path) -> tuple[Head, ModelCard]:
    """The head of a model folder. Raises `ModelError` when the folder is absent, altered or of another version."""
    card = _read_card(folder / CARD_FILE)
    if card.version != MODEL_VERSION:
        raise ModelError(f"{folder}: model version {card.version}, this build reads {MODEL_VERSION}; train it again")
    head = Head.from_file(folder / HEAD_FILE)
    if head is None:
        raise ModelError(f"{folder / HEAD_FILE}: is absent, cut short or of another version; train it again")
    if head_digest(head) != card.head:
        raise ModelError(f"{folder / HEAD_FILE}: is not the head that {CARD_FILE} names ({card.head}); train it again")
    return head, card


def load_model(folder: Path, encoder: SentenceEncoder) -> tuple[Router, ModelCard]:
    """The router of a model folder. Raises `ModelError` where `read_model` does, and when it was trained with another encoder."""
    head, card = read_model(folder)
    if card.encoder != encoder.fingerprint:
        raise ModelError(
            f"{folder}: was trained on vectors of encoder {card.encoder}, this build has {encoder.fingerprint}; train it again"
        )
    return Router(head, encoder, vocabulary=_read_words(folder / WORDS_FILE, card, encoder)), card


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _read_words(path: Path, card: ModelCard, encoder: SentenceEncoder) -> Vocabulary:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); train the model again") from error
    if _digest(content) != card.words:
        raise ModelError(f"{path}: is not the vocabulary that {CARD_FILE} names ({card.words}); train it again")
    return Vocabulary.from_bytes(content, encoder.knows)


def _read_card(path: Path) -> ModelCard:
    try:
        fields: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give a folder written by --model") from error
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error}); train the model again") from error
    try:
        return ModelCard(**cast("Mapping[str, int | str]", fields))  # pyright: ignore[reportArgumentType]
    except TypeError as error:
        raise ModelError(f"{path}: not the card of a model ({error}); train the model again") from error
