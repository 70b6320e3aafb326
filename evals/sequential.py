"""More plays until the pass rate is decided, or the cap: cards drawn at random, a test that may be looked at after each play."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evals.budget import Meter
from evals.cards import Card
from evals.errors import UsageError
from evals.experiment import Pace, run_plan
from evals.journal import Journal
from evals.plan import Plan, PlannedPlay, plan_cards
from evals.scoring import play_states
from evals.suites import CardRun, Progress, speaks_freely
from evals.targets.opening import open_target
from reports.gates.verdict import VerdictWord
from reports.statistics.sequential import e_value_above, e_value_below

AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Decide whether the mean pass rate over the cards is at least `at_least`, at error rate `alpha` for each side, within `cap` plays."""

    at_least: float
    cap: int
    alpha: float = 0.05
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Decision:
    """`unjudged` plays count for neither side. `above` and `below` are the evidence; 1 / alpha of it decides."""

    verdict: VerdictWord
    plays: int
    passed: int
    unjudged: int
    above: float
    below: float


async def run_sequential(cards: Sequence[Card], run: CardRun, rule: Rule, progress: Progress) -> Decision:
    """Draw cards with replacement, so that each play is an independent trial of the mean, and stop when it is decided. Raises `AssayError`."""
    run.folder.mkdir(parents=True, exist_ok=True)
    async with open_target(run.target, pack=run.pack, environ=run.environ, store=run.folder / "store") as target:
        plan = _drawn(plan_cards(cards, repeats=1, visible=target.visible, llm=speaks_freely(run.target, run.environ)), rule)
        digest = hashlib.sha256(repr([(play.key, rule) for play in plan.plays]).encode()).hexdigest()
        decision = decide(rule, [])
        states: list[str] = []
        with Journal.open(run.folder, digest=digest) as journal:
            meter = Meter(budget=run.budget)
            for first in range(0, len(plan.plays), AT_ONCE):
                part = Plan(plays=plan.plays[first : first + AT_ONCE], not_measurable={})
                played = await run_plan(part, target, journal, Pace(concurrency=AT_ONCE, meter=meter))
                found = play_states(played.slots)
                states += [found.get(play.key, "unjudged") for play in part.plays]
                decision = decide(rule, states)
                progress("plays", len(states), rule.cap)
                if decision.verdict != "inconclusive" or meter.used_up():
                    break
    return decision


def decide(rule: Rule, states: Sequence[str]) -> Decision:
    """The first moment at which the plays so far decide settles it: what comes after cannot take it back."""
    counts: Counter[str] = Counter()
    above = below = 1.0
    verdict: VerdictWord = "inconclusive"
    for state in states:
        counts[state] += 1
        judged = counts["pass"] + counts["fail"]
        above = e_value_above(counts["pass"], judged, rule.at_least)
        below = e_value_below(counts["pass"], judged, rule.at_least)
        if max(above, below) >= 1.0 / rule.alpha:
            verdict = "pass" if above > below else "fail"
            break
    return Decision(
        verdict=verdict,
        plays=sum(counts.values()),
        passed=counts["pass"],
        unjudged=counts["unjudged"],
        above=above,
        below=below,
    )


def _drawn(plan: Plan, rule: Rule) -> Plan:
    if not plan.plays:
        raise UsageError("--until: no card can be played on this target; name others or configure a model")
    source = random.Random(rule.seed)
    seen: Counter[str] = Counter()
    plays: list[PlannedPlay] = []
    for _ in range(rule.cap):
        play = source.choice(plan.plays)
        plays.append(PlannedPlay(card=play.card, repeat=seen[play.card.id], checks=play.checks))
        seen[play.card.id] += 1
    return Plan(plays=plays, not_measurable=plan.not_measurable)
