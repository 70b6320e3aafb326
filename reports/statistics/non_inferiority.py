"""Non-inferiority: is the candidate shown not to be worse than the base by more than a margin?"""

from __future__ import annotations

from typing import Literal

from reports.records import Estimate

Decision = Literal["pass", "fail", "inconclusive"]


def non_inferior(difference: Estimate, margin: float) -> Decision:
    """Decide on `candidate - base`, larger being better, with `margin` in its unit.

    `pass` when the lower bound is above `-margin`, `fail` when the upper bound is below it, else `inconclusive`; a missing bound
    decides nothing (Blackwelder, Control. Clin. Trials 3 (1982) 345; Piaggio et al., JAMA 308 (2012) 2594).
    """
    if margin < 0:
        raise ValueError(f"margin must not be negative, got {margin}")
    if difference.low is not None and difference.low > -margin:
        return "pass"
    if difference.high is not None and difference.high < -margin:
        return "fail"
    return "inconclusive"
