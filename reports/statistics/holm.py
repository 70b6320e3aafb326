"""Holm's step-down correction: which of many tests reject, with the family-wise error held at alpha."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values under the same names; reject those at or below alpha. Holm, Scand. J. Stat. 6 (1979) 65."""
    adjusted: dict[str, float] = {}
    running = 0.0
    ordered = sorted(p_values.items(), key=lambda item: (item[1], item[0]))
    for rank, (name, p) in enumerate(ordered):
        running = max(running, min(1.0, p * (len(ordered) - rank)))
        adjusted[name] = running
    return {name: adjusted[name] for name in p_values}
