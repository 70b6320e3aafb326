"""What a suite can see: the smallest drop it would find, and the cards or repeats it takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Variance of a paired difference of card means: `between` cards (true changes), `within` a card's single repeat."""

    between: float
    within: float


def detectable_drop(cards: int, repeats: int, noise: Noise, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest drop of the mean that a one-sided test at `alpha` finds with probability `power`, base and candidate both with
    `repeats`.

    (z_alpha + z_beta) sqrt((between + 2 within / repeats) / cards): Miller, arXiv 2411.00640, section 5.
    """
    return _z(alpha, power) * sqrt((noise.between + 2 * noise.within / repeats) / cards)


def detectable_drop_single(cards: int, discordance: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The same for one repeat of pass or fail, when a share `discordance` of cards changes its result from run to run.

    (z_alpha + z_beta) sqrt(discordance / cards): Connor, Biometrics 43 (1987) 207, without its small correction.
    """
    return _z(alpha, power) * sqrt(discordance / cards)


def cards_needed(drop: float, repeats: int, noise: Noise, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Fewest cards whose `detectable_drop` is at most `drop`."""
    return max(1, ceil(_z(alpha, power) ** 2 * (noise.between + 2 * noise.within / repeats) / drop**2 - 1e-9))


def _z(alpha: float, power: float) -> float:
    return NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(power)
