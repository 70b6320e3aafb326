"""The guards' rates by simulation: `python tests/reports/measure_guards.py [TRIALS]`.

50 cards whose pass rates are drawn as in `test_guards.suite`, 40 accepted plays and 8 of the candidate per card, the policy of the pr tier.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import sample_run
import test_guards as shown

from reports.gates.policy import read_policy

ROOT = Path(__file__).resolve().parents[2]
Change = Callable[[np.ndarray], np.ndarray]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def words(change: Change, trials: int, repeats: int, *, sure: bool = False) -> list[str]:
    """Verdicts of the guards. `sure`: the eighth card nearly always passed before."""
    record, guards = sample_run.make_record(), read_policy(ROOT / "datasets/gates/pr.yaml").guards
    random = np.random.default_rng(20261112)
    names = [f"card-{number:02d}" for number in range(50)]
    found: list[str] = []
    for _ in range(trials):
        rates = shown.suite(random)
        if sure:
            rates[7] = 0.97
        base = {name: (int(k), 40) for name, k in zip(names, random.binomial(40, rates), strict=True)}
        here = {name: (int(k), repeats) for name, k in zip(names, random.binomial(repeats, change(rates)), strict=True)}
        found.append(shown.worst(shown.judged(record, here, shown.pool_of(base), guards=guards)))
    return found


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    cases: list[tuple[str, Change, bool]] = [
        ("no change", lambda rates: rates, False),
        ("20 % of the cards broken", lambda rates: np.where(np.arange(50) < 10, 0.1 * rates, rates), False),
        ("one card broken", lambda rates: np.where(np.arange(50) == 7, 0.0, rates), True),
    ]
    for repeats in (8, 16):
        for name, change, sure in cases:
            found = words(change, trials, repeats, sure=sure)
            shares = ", ".join(f"{word} {found.count(word) / trials:.1%}" for word in ("pass", "inconclusive", "fail"))
            say(f"{repeats} plays a card, {name}: {shares} of {trials}")


if __name__ == "__main__":
    main()
