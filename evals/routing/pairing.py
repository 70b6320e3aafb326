"""Two measurements of routers on the same texts: which choices broke, which healed, and whether that is chance."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evals.errors import UsageError
from reports.statistics.bonett_price import paired_difference
from reports.statistics.mcnemar import mcnemar_worse


def compare_results(first: Path, second: Path) -> dict[str, Any]:
    """The second against the first: counts, the paired difference of accuracy and McNemar's exact test, both one-sided and two-sided.

    Raises `UsageError` when a file is no result or the texts differ.
    """
    a, b = _read(first), _read(second)
    if a.keys() != b.keys():
        lacking = len(a.keys() ^ b.keys())
        raise UsageError(f"{first} and {second}: {lacking} texts are in one only; measure both on the same test set")
    broke = healed = both = neither = 0
    for key, (expected, right) in a.items():
        other, after = b[key]
        if expected != other:
            raise UsageError(
                f"{second}: text {key[0]} has the label {other!r}, in {first} {expected!r}; measure both on the same labels"
            )
        broke += right and not after
        healed += after and not right
        both += right and after
        neither += not right and not after
    worse, better = mcnemar_worse(broke, healed), mcnemar_worse(healed, broke)
    return {
        "a": str(first),
        "b": str(second),
        "n": len(a),
        "both_right": both,
        "both_wrong": neither,
        "broke": broke,
        "healed": healed,
        "difference": asdict(paired_difference(broke, healed, len(a))),
        "p_worse": worse,
        "p_better": better,
        "p_two_sided": min(1.0, 2 * min(worse, better)),
    }


def _read(path: Path) -> Mapping[tuple[str, int], tuple[str, bool]]:
    """Label and success of each text; a text that occurs twice is told apart by its turn."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        items = data["items"]
        seen: dict[str, int] = defaultdict(int)
        found: dict[tuple[str, int], tuple[str, bool]] = {}
        for item in items:
            key = (str(item["id"]), seen[item["id"]])
            seen[item["id"]] += 1
            found[key] = (str(item["expected"]), bool(item["right"]))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a result of `assay routing --json` ({type(error).__name__}: {error})") from error
    if not found:
        raise UsageError(f"{path}: holds no text; measure again with --json")
    return found
