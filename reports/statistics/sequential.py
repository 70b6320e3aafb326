"""Anytime-valid tests, of discordant pairs and of a pass rate: they may be looked at after every case, without any correction."""

from __future__ import annotations

from math import exp, inf, log

from scipy import special


def e_value_changed(broke: int, healed: int) -> float:
    """Evidence that breaking and healing are not equally likely, after `broke` and `healed` changed cases.

    E = B(broke + 1/2, healed + 1/2) / (B(1/2, 1/2) 2^-(broke + healed)): the likelihood ratio of a Beta(1/2, 1/2) mixture against
    one half. Stop for "different" when E >= 1 / alpha; the chance of ever doing so without a difference is at most alpha, at any
    number of looks (Ville 1939; Robbins, Ann. Math. Stat. 41 (1970) 1397).
    """
    return _exp(_log_mixture(broke, healed))


def e_value_worse(broke: int, healed: int) -> float:
    """Like `e_value_changed`, the mixture restricted to breaking being likelier than healing: evidence of harm only."""
    share = float(special.betaincc(broke + 0.5, healed + 0.5, 0.5))
    return _exp(_log_mixture(broke, healed) + log(2 * share)) if share > 0 else 0.0


def _log_mixture(broke: int, healed: int) -> float:
    if broke < 0 or healed < 0:
        raise ValueError(f"counts must not be negative, got {broke} and {healed}")
    return float(special.betaln(broke + 0.5, healed + 0.5) - special.betaln(0.5, 0.5)) + (broke + healed) * log(2)


def _exp(value: float) -> float:
    return exp(value) if value < 700 else inf


def e_value_above(passed: int, n: int, limit: float) -> float:
    """Evidence, after `passed` of `n` independent trials, that the pass rate is above `limit`; it may be looked at after each.

    E = integral over p in (limit, 1) of p^passed (1 - p)^(n - passed) / (limit^passed (1 - limit)^(n - passed)), p uniform there: a mixture of
    likelihood ratios, each a supermartingale for every rate up to `limit`. Stop for "above" when E >= 1 / alpha (Ville 1939; Robbins 1970).
    """
    return _exp(_log_tail(passed, n, limit))


def e_value_below(passed: int, n: int, limit: float) -> float:
    """Like `e_value_above`, for a pass rate below `limit`."""
    return _exp(_log_tail(n - passed, n, 1.0 - limit))


def _log_tail(k: int, n: int, limit: float) -> float:
    if not 0 <= k <= n:
        raise ValueError(f"counts must be within 0 and n, got {k} of {n}")
    if not 0.0 < limit < 1.0:
        raise ValueError(f"the limit must be within 0 and 1, got {limit}")
    tail = float(special.betaincc(k + 1, n - k + 1, limit))
    if tail <= 0.0:
        return -inf
    mixed = float(special.betaln(k + 1, n - k + 1)) + log(tail) - log(1.0 - limit)
    return mixed - k * log(limit) - (n - k) * log(1.0 - limit)
