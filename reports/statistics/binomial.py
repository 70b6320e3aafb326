"""Exact binomial test of a percentile's limit: is the promised share of samples within it?"""

from __future__ import annotations

from dataclasses import dataclass

from scipy import special


@dataclass(frozen=True, kw_only=True)
class PercentileTest:
    """`p_within` small: the percentile is below the limit. `p_beyond` small: it is above. Both one-sided and exact."""

    p_within: float
    p_beyond: float


def percentile_test(over: int, n: int, q: float) -> PercentileTest:
    """Test "the `q` quantile is below the limit" when `over` of `n` samples exceed it; failed samples exceed any limit.

    `p_within` = P(Bin(n, 1 - q) <= over), `p_beyond` = P(Bin(n, 1 - q) >= over): the sign test for a quantile (Conover, Practical
    Nonparametric Statistics, 3rd ed., 3.2). No sample decides nothing: both are 1.
    """
    if not 0 <= over <= n or not 0 < q < 1:
        raise ValueError(f"over must be within 0..n and q within 0..1, got {over} of {n} and q={q}")
    if n == 0:
        return PercentileTest(p_within=1.0, p_beyond=1.0)
    within = float(special.bdtr(over, n, 1 - q))
    beyond = 1.0 if over == 0 else float(special.bdtrc(over - 1, n, 1 - q))
    return PercentileTest(p_within=within, p_beyond=beyond)
