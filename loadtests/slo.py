"""Objectives: which turns were good, and how many a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.samples import Sample
from loadtests.timing import response_s, ttft_s
from loadtests.traffic import Objectives


@dataclass(frozen=True, kw_only=True)
class Attainment:
    """How `planned` measured turns kept to the objectives. `late` and `late_first_word` count answered turns only and may overlap.

    `share` has everything planned in its denominator: errors and turns that were never sent included.
    """

    planned: int
    answered: int
    good: int
    late: int
    late_first_word: int

    @property
    def share(self) -> float:
        return self.good / self.planned if self.planned else 0.0


def is_good(sample: Sample, objectives: Objectives) -> bool:
    """Answered, and within every objective."""
    return response_s(sample) <= objectives.response_s and ttft_s(sample) <= objectives.ttft_s


def attainment(measured: Sequence[Sample], objectives: Objectives, *, planned: int) -> Attainment:
    answered = [sample for sample in measured if sample.ok]
    return Attainment(
        planned=planned,
        answered=len(answered),
        good=sum(is_good(sample, objectives) for sample in answered),
        late=sum(response_s(sample) > objectives.response_s for sample in answered),
        late_first_word=sum(ttft_s(sample) > objectives.ttft_s for sample in answered),
    )
