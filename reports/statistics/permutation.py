"""Sign-flip permutation test on paired differences: a check on the t interval that assumes no distribution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

EXACT_UP_TO = 14
"""Differences up to which all sign patterns are tried."""
_SLACK = 1e-12


def sign_flip_worse(differences: Sequence[float], *, seed: int, flips: int = 9_999) -> float:
    """P(the mean difference is as low as seen, or lower) if every difference were as likely to have the other sign.

    Exact for few differences, else `flips` seeded patterns with the seen one counted in (Fisher, The Design of Experiments
    (1935) section 21; Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39). Without differences 1.
    """
    data = np.asarray(differences, dtype=np.float64)
    data = data[data != 0]
    n = len(data)
    if n == 0:
        return 1.0
    seen = float(data.sum()) + _SLACK * float(np.abs(data).sum())
    if n <= EXACT_UP_TO:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(((1 - 2 * patterns) @ data <= seen).mean())
    signs = 1 - 2 * np.random.default_rng(seed).integers(0, 2, (flips, n), dtype=np.int8)
    return float(((signs @ data <= seen).sum() + 1) / (flips + 1))
