"""An encoder that reads many texts at once with torch, in fp32, on the device it is given."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from assistant.encoder.eager import Device, encode_batches, open_torch
from assistant.encoder.sentence import Encoding, SentenceEncoder
from assistant.encoder.weights import MAX_TOKENS, BertShape, EncoderError, locate, read_tensors, read_tokenizer


class BatchedEncoder(SentenceEncoder):
    """Keeps every vector it has made. Not to be shared between threads; for measuring and training, not for serving."""

    def __init__(self, path: Path | None, device: Device) -> None:
        """The encoder in `path`, or the installed one, on `device`: `cpu` or `cuda`. Raises `EncoderError`."""
        torch, files = open_torch(device), locate(path)
        self.fingerprint = f"{files.sha256[:16]}-torch-fp32-t{MAX_TOKENS}"
        self._torch = torch
        self._shape: BertShape = files.shape
        self._device = device
        self._place = files.folder
        self._tensors: dict[str, Any] = {name: torch.from_numpy(value).to(device) for name, value in read_tensors(files).items()}
        self._tokenizer = read_tokenizer(files)
        self._known: dict[str, Encoding] = {}

    def encode(self, text: str) -> Encoding:
        return self.encode_many([text])[0]

    def encode_many(self, texts: Iterable[str]) -> list[Encoding]:
        """One encoding per text; what is not known yet is read in batches of like length."""
        listed = list(texts)
        fresh = [text for text in dict.fromkeys(listed) if text not in self._known]
        ids = [self._tokenizer.encode(text).ids for text in fresh]
        try:
            self._known.update(
                zip(fresh, encode_batches(self._torch, self._tensors, self._shape, ids, self._device), strict=True)
            )
        except KeyError as error:
            raise EncoderError(f"{self._place / 'model.safetensors'}: no tensor {error}; give a BERT sentence encoder") from error
        return [self._known[text] for text in listed]
