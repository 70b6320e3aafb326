"""Bounds of a difference between two independent estimates, built from their own bounds."""

from __future__ import annotations

from math import sqrt

from reports.records import Estimate


def difference(candidate: Estimate, baseline: Estimate) -> Estimate:
    """`candidate - baseline` with bounds by the method of variance estimates recovery.

    Newcombe's hybrid score interval for two rates, general for any two estimates with bounds (Newcombe, Stat. Med. 17 (1998)
    873; Zou and Donner, Stat. Med. 27 (2008) 1693). A bound that needs a missing one is null.
    """
    low = high = value = None
    if candidate.value is not None and baseline.value is not None:
        value = candidate.value - baseline.value
        if candidate.low is not None and baseline.high is not None:
            low = value - sqrt((candidate.value - candidate.low) ** 2 + (baseline.high - baseline.value) ** 2)
        if candidate.high is not None and baseline.low is not None:
            high = value + sqrt((candidate.high - candidate.value) ** 2 + (baseline.value - baseline.low) ** 2)
    return Estimate(
        value=value,
        low=low,
        high=high,
        k=candidate.k,
        n=candidate.n,
        planned=candidate.planned,
        confidence=min(candidate.confidence, baseline.confidence),
        method="difference from both intervals",
    )
