"""The packs that ship with this distribution: one folder each, known to the code only by listing them."""

from __future__ import annotations

from pathlib import Path


def shipped_packs() -> dict[str, Path]:
    """Name of each shipped pack and its folder, in name order."""
    here = Path(__file__).parent
    return {folder.name: folder for folder in sorted(here.iterdir()) if (folder / "pack.yaml").is_file()}
