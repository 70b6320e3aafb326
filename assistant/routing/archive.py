"""Named arrays in one file that carries its version and its own digest."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
"""NumPy arrays by name."""


def pack(arrays: Arrays, version: int, *, compressed: bool = False) -> bytes:
    body = BytesIO()
    (np.savez_compressed if compressed else np.savez)(body, version=np.array([version]), **arrays)
    content = body.getvalue()
    return hashlib.sha256(content).digest() + content


def unpack(path: Path, names: Collection[str], version: int) -> Arrays | None:
    """The arrays in `path`, or None when it is absent, cut short, altered, of another version or without exactly these names."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, content = raw[:32], raw[32:]
    if hashlib.sha256(content).digest() != digest:
        return None
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        if {*arrays.files} != {*names, "version"} or int(arrays["version"][0]) != version:
            return None
        return {name: arrays[name] for name in names}
