"""What a candidate is compared with: one record, or the accepted runs pooled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from reports.gates.metrics import describe_metric
from reports.gates.policy import BaselineOptions
from reports.history import DETERMINISTIC, Aspect, History, Promotion, fingerprint, mismatches, needed_aspects
from reports.records import Estimate, Record
from reports.statistics.means import weighted_mean

NOTHING = "No baseline"


class Reference(Protocol):
    """Gives a metric's earlier estimate, or null with the reason why there is none."""

    def estimate(self, metric: str) -> tuple[Estimate | None, str]:
        """Null always comes with a reason."""
        ...


@dataclass(frozen=True, kw_only=True)
class OneRecord:
    """A single record as baseline."""

    record: Record
    baseline: Record
    options: BaselineOptions

    def estimate(self, metric: str) -> tuple[Estimate | None, str]:
        faults = mismatches(fingerprint(self.record), fingerprint(self.baseline), _aspects(metric, self.options))
        if faults:
            return None, f"{NOTHING}: {'; '.join(faults)}"
        found = self.baseline.metrics.get(metric)
        return found, "" if found else "The baseline did not measure it"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A card over the accepted runs: passed of judged repeats, weighted by age."""

    passed: float
    judged: float

    @property
    def rate(self) -> float:
        return self.passed / self.judged


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Cards of the comparable accepted runs. `reason` says why there are none. `deterministic`: every run was, and the candidate."""

    runs: int
    cards: dict[str, Tally]
    deterministic: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class AcceptedRuns:
    """The last accepted runs that are comparable with a record, by metric."""

    record: Record
    history: History
    options: BaselineOptions

    def estimate(self, metric: str) -> tuple[Estimate | None, str]:
        """Weighted mean over the runs, runs as units; a single run keeps its own bounds."""
        runs, reason = self._comparable(metric)
        kept = [(run.metrics[metric], weight) for run, weight in runs if metric in run.metrics]
        found = [(row, weight) for row, weight in kept if row.value is not None]
        if not found:
            return None, reason or "The accepted runs did not measure it"
        if len(found) == 1:
            return found[0][0], ""
        values, weights = [float(row.value or 0.0) for row, _ in found], [weight for _, weight in found]
        return weighted_mean(values, weights, confidence=min(row.confidence for row, _ in found)), ""

    def pool(self) -> Pool:
        """Cards added up over the comparable runs."""
        runs, reason = self._comparable("cards.pass_rate")
        runs = [(run, weight) for run, weight in runs if run.cards]
        cards = {
            card: _tally([(*run.cards[card], weight) for run, weight in runs if card in run.cards])
            for card in sorted({card for run, _ in runs for card in run.cards})
        }
        same = bool(runs) and self.record.tables.get(DETERMINISTIC) is True and all(run.deterministic for run, _ in runs)
        return Pool(
            runs=len(runs),
            cards=cards,
            deterministic=same,
            reason="" if runs else reason or "The accepted runs played no cards",
        )

    def _comparable(self, metric: str) -> tuple[list[tuple[Promotion, float]], str]:
        """Comparable runs with their weights, newest first; without any, why the newest is not one."""
        here, aspects = fingerprint(self.record), _aspects(metric, self.options)
        accepted = list(reversed(self.history.before(self.record)))
        runs = [run for run in accepted if not mismatches(here, run.fingerprint, aspects)][: self.options.window]
        if not runs:
            faults = mismatches(here, accepted[0].fingerprint, aspects) if accepted else ["no run is accepted yet"]
            return [], f"{NOTHING}: {'; '.join(faults)}"
        half = self.options.half_life_runs
        return [(run, 0.5 ** (age / half) if half else 1.0) for age, run in enumerate(runs)], ""


def _aspects(metric: str, options: BaselineOptions) -> Collection[Aspect]:
    bound = describe_metric(metric).unit in ("seconds", "bytes", "per_second")
    return needed_aspects(metric, machine_bound=bound, wanted=options.same)


def _tally(rows: Sequence[tuple[int, int, float]]) -> Tally:
    """Weighted passes at the effective number of repeats, (sum w n)^2 / sum w^2 n, which equal weights leave as it is."""
    judged = sum(weight * n for _, n, weight in rows)
    rate = sum(weight * k for k, _, weight in rows) / judged
    effective = judged**2 / sum(weight * weight * n for _, n, weight in rows)
    return Tally(passed=rate * effective, judged=effective)
