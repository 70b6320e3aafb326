"""Fisher's exact test, one-sided: does a candidate pass less often than its history?"""

from __future__ import annotations

from math import comb


def fisher_less(k: int, n: int, base_k: int, base_n: int) -> float:
    """Probability of `k` or fewer passes of `n`, given the margins, if the candidate were as good as `base_k` of `base_n`.

    Hypergeometric tail (Fisher, J. R. Stat. Soc. 98 (1935) 39), in exact integers.
    """
    if not (0 <= k <= n and 0 <= base_k <= base_n):
        raise ValueError(f"counts must be within 0..n, got {k}/{n} and {base_k}/{base_n}")
    passes, total = k + base_k, n + base_n
    if k >= min(n, passes):
        return 1.0
    lowest = max(0, passes - base_n)
    tail = sum(comb(n, i) * comb(base_n, passes - i) for i in range(lowest, k + 1))
    return tail / comb(total, passes)
