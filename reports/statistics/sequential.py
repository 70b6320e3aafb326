"""An anytime-valid test on discordant pairs: it may be looked at after every pair, without any correction."""

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
