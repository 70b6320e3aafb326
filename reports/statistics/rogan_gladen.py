"""A pass rate read through an imperfect judge, corrected for the judge's own errors."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from reports.records import Estimate


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The judge against human labels: `true_passes` of `passes` good answers it passed, `true_fails` of `fails` bad ones it failed."""

    true_passes: int
    passes: int
    true_fails: int
    fails: int


def corrected_variance(p: float, n: int, judge: Judge) -> float:
    """Variance of the uncorrected-for-few-samples estimate at corrected rate `p` of `n` answers, by the delta method.

    [q (1 - q) / n + p^2 Se (1 - Se) / passes + (1 - p)^2 Sp (1 - Sp) / fails] / (Se + Sp - 1)^2, q the rate the judge would see
    (Rogan and Gladen, Am. J. Epidemiol. 107 (1978) 71).
    """
    se, sp = judge.true_passes / judge.passes, judge.true_fails / judge.fails
    return _variance(p, (p * se + (1 - p) * (1 - sp), n), (se, judge.passes), (sp, judge.fails))


def corrected_rate(k: int, n: int, judge: Judge, *, planned: int | None = None, confidence: float = 0.95) -> Estimate:
    """Share of answers that are good when the judge passed `k` of `n`, within 0..1.

    Value (q + Sp - 1) / (Se + Sp - 1), Rogan and Gladen (as above); bounds by the adjusted interval of Lang and Reiczigel, Prev.
    Vet. Med. 113 (2014) 13. Without answers, labels, or a judge better than chance there is no value.
    """
    counts = ((k, n), (judge.true_passes, judge.passes), (judge.true_fails, judge.fails))
    if any(not 0 <= some <= of for some, of in counts):
        raise ValueError(f"counts must be within 0..n, got {counts}")
    value = low = high = None
    if n and judge.passes and judge.fails:
        value, low, high = _solve(k / n, n, judge, NormalDist().inv_cdf(confidence))
    wanted = n if planned is None else planned
    return Estimate(
        value=value,
        low=low,
        high=high,
        k=k,
        n=n,
        planned=wanted,
        confidence=confidence,
        method="Rogan-Gladen, Lang-Reiczigel bounds",
    )


def _solve(q: float, n: int, judge: Judge, z: float) -> tuple[float | None, float | None, float | None]:
    se, sp = judge.true_passes / judge.passes, judge.true_fails / judge.fails
    if se + sp <= 1:
        return None, None, None
    n_q, n_se, n_sp = n + z * z, judge.passes + 2, judge.fails + 2
    q2, se2, sp2 = (n * q + z * z / 2) / n_q, (judge.true_passes + 1) / n_se, (judge.true_fails + 1) / n_sp
    p2 = (q2 + sp2 - 1) / (se2 + sp2 - 1)
    shift = 2 * z * z * (p2 * se2 * (1 - se2) / n_se - (1 - p2) * sp2 * (1 - sp2) / n_sp)
    half = z * sqrt(_variance(p2, (q2, n_q), (se2, n_se), (sp2, n_sp)))
    clipped = [min(1.0, max(0.0, x)) for x in ((q + sp - 1) / (se + sp - 1), p2 + shift - half, p2 + shift + half)]
    return clipped[0], clipped[1], clipped[2]


def _variance(p: float, seen: tuple[float, float], good: tuple[float, float], bad: tuple[float, float]) -> float:
    """Each pair is a rate and its count: passes seen, good answers passed, bad answers failed."""
    (q, n_q), (se, n_se), (sp, n_sp) = seen, good, bad
    total = q * (1 - q) / n_q + p * p * se * (1 - se) / n_se + (1 - p) ** 2 * sp * (1 - sp) / n_sp
    return total / (se + sp - 1) ** 2
