"""How reliably each card passes over identical repeats: pass^k, pass@k, and which cards are flaky.

Every planned play counts: one left unjudged is not a pass, so a lost play can only lower these figures. `unjudged` says how many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Literal

from evals.errors import UsageError
from evals.runfiles import read_card_slots
from evals.scoring import play_states
from reports.records import Estimate, Slot, read_record
from reports.statistics.means import mean_estimate

Stability = Literal["stable-pass", "stable-fail", "flaky", "unknown"]
"""`unknown`: fewer than two plays were judged."""


@dataclass(frozen=True, kw_only=True)
class CardHistory:
    """The plays of one card over all repeats and runs."""

    card: str
    passed: int
    failed: int
    unjudged: int

    @property
    def planned(self) -> int:
        return self.passed + self.failed + self.unjudged

    @property
    def stability(self) -> Stability:
        if self.passed + self.failed < 2:
            return "unknown"
        if self.passed and self.failed:
            return "flaky"
        return "stable-pass" if self.passed else "stable-fail"

    @property
    def flips(self) -> float | None:
        """Chance that two judged plays disagree, unbiased: 2cf / (m(m-1)); null below two."""
        judged = self.passed + self.failed
        return 2 * self.passed * self.failed / (judged * (judged - 1)) if judged > 1 else None


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """`all_of[k]` is pass^k and `any_of[k]` pass@k, cards as units; a value is null where no card was played `k` times, and `n` of
    `planned` cards where some were. `noise_floor` is the mean of `flips`: how often identical reruns change a card's verdict."""

    cards: Sequence[CardHistory]
    all_of: Mapping[int, Estimate]
    any_of: Mapping[int, Estimate]
    noise_floor: Estimate


def pass_hat_k(passed: int, played: int, k: int) -> float | None:
    """pass^k, the chance that all of `k` plays pass: C(c, k) / C(n, k), unbiased (arXiv 2406.12045). Null when `played < k`."""
    _check(passed, played, k)
    return None if played < k else comb(passed, k) / comb(played, k)


def pass_at_k(passed: int, played: int, k: int) -> float | None:
    """pass@k, the chance that any of `k` plays passes: 1 - C(n - c, k) / C(n, k), unbiased (arXiv 2107.03374). Null when `played < k`."""
    _check(passed, played, k)
    return None if played < k else 1 - comb(played - passed, k) / comb(played, k)


def card_histories(runs: Iterable[Iterable[Slot]]) -> list[CardHistory]:
    """Histories by card id over the card slots of several runs; a repeat counts once per run."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"pass": 0, "fail": 0, "unjudged": 0})
    for slots in runs:
        for (card, _), state in play_states(list(slots)).items():
            counts[card][state] += 1
    return [
        CardHistory(card=card, passed=row["pass"], failed=row["fail"], unjudged=row["unjudged"])
        for card, row in sorted(counts.items())
    ]


def reliability(histories: Sequence[CardHistory], *, ks: Sequence[int] = (1, 2, 4, 8)) -> Reliability:
    """Means over cards with one-sided 95 % bounds."""
    planned = len(histories)

    def mean(values: Iterable[float | None]) -> Estimate:
        return mean_estimate([value for value in values if value is not None], planned=planned)

    return Reliability(
        cards=histories,
        all_of={k: mean(pass_hat_k(card.passed, card.planned, k) for card in histories) for k in ks},
        any_of={k: mean(pass_at_k(card.passed, card.planned, k) for card in histories) for k in ks},
        noise_floor=mean(card.flips for card in histories),
    )


def read_histories(folders: Sequence[Path]) -> list[CardHistory]:
    """Histories over run folders of one target. Raises `UsageError` when they are of several, `EvidenceError` when one is damaged."""
    seen: dict[tuple[str, str], Path] = {}
    for folder in folders:
        if (folder / "record.json").is_file():
            record = read_record(folder / "record.json")
            seen.setdefault((record.pack, record.target), folder)
    if len(seen) > 1:
        names = ", ".join(f"{folder} ({pack} on {target})" for (pack, target), folder in seen.items())
        raise UsageError(f"these runs measured different things: {names}; give runs of one pack and one target")
    return card_histories(read_card_slots(folder) for folder in folders)


def _check(passed: int, played: int, k: int) -> None:
    if not 0 <= passed <= played or k < 1:
        raise ValueError(f"needs 0 <= passed <= played and k >= 1, got passed={passed} played={played} k={k}")
