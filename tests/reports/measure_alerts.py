"""How often the shipped alert rules fire without cause, and how soon they fire with one; prints a table.

.venv/bin/python tests/reports/measure_alerts.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np

from reports.alerts import Alerts, evaluate, read_alerts
from reports.ops_turns import StoredTurn

RULES = Path(__file__).resolve().parents[2] / "datasets/gates/alerts.yaml"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 3
GOOD = StoredTurn(at=START, thread="t", outcome="answered", answer_s=0.5)


def turns(draws: np.random.Generator, per_minute: float, share: Callable[[float], float], minutes: float) -> list[StoredTurn]:
    """Poisson arrivals; `share` gives the chance of an error at a minute."""
    times = np.sort(draws.uniform(0, minutes, draws.poisson(per_minute * minutes)))
    bad = draws.uniform(size=len(times))
    return [
        replace(GOOD, at=START + timedelta(minutes=float(at)), outcome="error" if chance < share(at) else "answered")
        for at, chance in zip(times, bad, strict=True)
    ]


def pages(rules: Alerts, found: list[StoredTurn], minute: float) -> bool:
    at = START + timedelta(minutes=minute)
    return any(alert.state == "firing" and alert.severity == "page" for alert in evaluate(rules, found, at))


def false_pages(rules: Alerts, per_minute: float, share: float, rounds: int) -> float:
    """Share of moments at which a page fires though the error rate is steadily `share`."""
    draws, end = np.random.default_rng(7), DAYS * 1440
    return sum(pages(rules, turns(draws, per_minute, lambda _: share, end), end) for _ in range(rounds)) / rounds


def delay(rules: Alerts, per_minute: float, share: float, rounds: int) -> list[int | None]:
    """Minutes from the start of an outage to the first page, null when none came within an hour."""
    draws, begin = np.random.default_rng(8), DAYS * 1440
    waits: list[int | None] = []
    for _ in range(rounds):
        found = turns(draws, per_minute, lambda minute: share if minute >= begin else 0.002, begin + 60)
        recent = [turn for turn in found if turn.at >= START + timedelta(minutes=begin - 400)]
        waits.append(next((wait for wait in range(1, 61) if pages(rules, recent, begin + wait)), None))
    return waits


def main() -> None:
    shipped = read_alerts(RULES)
    errors = shipped.model_copy(update={"rules": [rule for rule in shipped.rules if rule.id == "errors"]})
    point = errors.model_copy(update={"rules": [errors.rules[0].model_copy(update={"bound": "point", "least_bad": 1})]})
    rounds = 200
    for name, rules in (("shipped: bound ci, least_bad 3", errors), ("plain rates: bound point, least_bad 1", point)):
        print(name)  # noqa: T201
        for per_minute in (0.05, 0.2, 1.0):
            wrong = [false_pages(rules, per_minute, share, rounds) for share in (0.005, 0.01)]
            waits = {share: delay(rules, per_minute, share, 20) for share in (0.3, 1.0)}
            told = ", ".join(
                f"{share:.0%} errors: {sum(w is not None for w in row)}/20 paged, median {median([w or 61 for w in row])} min"
                for share, row in waits.items()
            )
            print(f"  {per_minute:g}/min: false pages {wrong[0]:.3f} at 0.5 %, {wrong[1]:.3f} at 1 %; {told}")  # noqa: T201


if __name__ == "__main__":
    main()
