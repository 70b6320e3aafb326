"""McNemar's exact test on paired decisions, one-sided: did more cases break than heal?"""

from __future__ import annotations

from math import comb


def mcnemar_worse(broke: int, healed: int) -> float:
    """P(at least `broke` of `broke + healed` changed cases broke) if breaking and healing were equally likely.

    McNemar, Psychometrika 12 (1947) 153, with the exact binomial tail. No changed case gives 1.
    """
    if broke < 0 or healed < 0:
        raise ValueError(f"counts must not be negative, got {broke} and {healed}")
    changed = broke + healed
    return sum(comb(changed, j) for j in range(broke, changed + 1)) / 2**changed
