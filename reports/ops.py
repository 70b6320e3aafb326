"""Figures of operation: what models, agents and tools did over stored turns, every number with its interval and its count.

Rates have Wilson bounds, quantiles bounds from order statistics, means Student t bounds, all one-sided at 95 %. Turns count as
independent, so bounds over few long threads are narrower than the truth.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from reports.ops_turns import StoredTurn, ToolUse
from reports.records import Estimate
from reports.statistics.means import mean_estimate
from reports.statistics.proportions import wilson
from reports.statistics.quantiles import quantile_estimate

Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)

OUTCOMES = ("answered", "abstained", "refused", "degraded", "error", "no answer kept")
STEPS_S = (60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400)
MOST_STEPS = 60


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Seconds."""

    p50: Estimate
    p95: Estimate
    p99: Estimate


@dataclass(frozen=True, kw_only=True)
class ModelFigures:
    """Turns of one configured model that one model answered. Tokens and cost are means per turn; a mean is null when no turn told it.

    `answer` counts a failed turn as infinitely slow. `cost_usd_total` is over the turns with a price.
    """

    model: str
    answered_by: str
    turns: int
    errors: Estimate
    answer: Quantiles
    input_tokens: Estimate
    output_tokens: Estimate
    tokens_total: int
    cost_usd: Estimate
    cost_usd_total: float | None


@dataclass(frozen=True, kw_only=True)
class AgentFigures:
    """`success`: turns that ended neither in an error nor degraded. Abstaining and refusing can be right, so they are no failure."""

    agent: str
    turns: int
    success: Estimate
    answer: Quantiles


@dataclass(frozen=True, kw_only=True)
class ToolFigures:
    """`used`: turns that called the tool, of all turns. `retries`: calls made after the tool had failed in the same turn, of all calls.

    `success` and `duration` are over the calls whose result was stored.
    """

    tool: str
    calls: int
    used: Estimate
    success: Estimate
    retries: Estimate
    duration: Quantiles


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stretch of time; `start_s` in seconds from the first turn."""

    start_s: float
    turns: int
    failed: int
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True, kw_only=True)
class Operations:
    """`thumbs_up` and `cache_hits` are null when no turn recorded any. `steps` is empty when all turns fall into one minute."""

    first: datetime | None
    last: datetime | None
    turns: int
    threads: int
    answer: Quantiles
    errors: Estimate
    outcomes: dict[str, Estimate]
    models: list[ModelFigures]
    agents: list[AgentFigures]
    tools: list[ToolFigures]
    intents: dict[str, Estimate]
    thumbs_up: Estimate | None
    cache_hits: Estimate | None
    step_s: int
    steps: list[Step]


def operations(turns: Sequence[StoredTurn]) -> Operations:
    """Everything the page shows, of `turns` in any order."""
    total = len(turns)
    times = [turn.at for turn in turns]
    ended = Counter(turn.outcome or OUTCOMES[-1] for turn in turns)
    step_s, steps = _steps(turns)
    return Operations(
        first=min(times, default=None),
        last=max(times, default=None),
        turns=total,
        threads=len({turn.thread for turn in turns}),
        answer=_waited(turns),
        errors=_rate(turns, lambda turn: turn.failed),
        outcomes={name: wilson(ended[name], total) for name in [*OUTCOMES, *sorted(ended.keys() - {*OUTCOMES})]},
        models=[_model(key, rows) for key, rows in _grouped(turns, lambda turn: (turn.model, turn.answered_by))],
        agents=[_agent(agent, rows) for agent, rows in _grouped(turns, lambda turn: turn.agent)],
        tools=_tools(turns),
        intents={intent: wilson(len(rows), total) for intent, rows in _grouped(turns, lambda turn: turn.intent)},
        thumbs_up=_told([turn.thumbs_up for turn in turns]),
        cache_hits=_told([turn.cache_hit for turn in turns]),
        step_s=step_s,
        steps=steps,
    )


def _grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> list[tuple[Key, list[Row]]]:
    """Largest group first."""
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return sorted(groups.items(), key=lambda item: (-len(item[1]), str(item[0])))


def _rate(rows: Sequence[Row], hit: Callable[[Row], bool]) -> Estimate:
    return wilson(sum(map(hit, rows)), len(rows))


def _told(values: Iterable[bool | None]) -> Estimate | None:
    known = [value for value in values if value is not None]
    return wilson(sum(known), len(known)) if known else None


def _quantiles(values: Sequence[float], planned: int) -> Quantiles:
    p50, p95, p99 = (quantile_estimate(values, q, planned=planned) for q in (0.5, 0.95, 0.99))
    return Quantiles(p50=p50, p95=p95, p99=p99)


def _waited(turns: Sequence[StoredTurn]) -> Quantiles:
    return _quantiles([turn.felt_s for turn in turns if turn.felt_s is not None], len(turns))


def _model(key: tuple[str, str], turns: Sequence[StoredTurn]) -> ModelFigures:
    costs = [turn.cost_usd for turn in turns if turn.cost_usd is not None]
    into = [turn.input_tokens for turn in turns if turn.input_tokens is not None]
    out = [turn.output_tokens for turn in turns if turn.output_tokens is not None]
    return ModelFigures(
        model=key[0],
        answered_by=key[1],
        turns=len(turns),
        errors=_rate(turns, lambda turn: turn.failed),
        answer=_waited(turns),
        input_tokens=mean_estimate(into, planned=len(turns)),
        output_tokens=mean_estimate(out, planned=len(turns)),
        tokens_total=sum(into) + sum(out),
        cost_usd=mean_estimate(costs, planned=len(turns)),
        cost_usd_total=sum(costs) if costs else None,
    )


def _agent(agent: str, turns: Sequence[StoredTurn]) -> AgentFigures:
    good = _rate(turns, lambda turn: not turn.failed and turn.outcome != "degraded")
    return AgentFigures(agent=agent, turns=len(turns), success=good, answer=_waited(turns))


def _tools(turns: Sequence[StoredTurn]) -> list[ToolFigures]:
    users = Counter(tool for turn in turns for tool in {use.tool for use in turn.tools})
    calls = _grouped([use for turn in turns for use in turn.tools], lambda use: use.tool)
    return [_tool(tool, uses, wilson(users[tool], len(turns))) for tool, uses in calls]


def _tool(tool: str, uses: Sequence[ToolUse], used: Estimate) -> ToolFigures:
    results = [use.ok for use in uses if use.ok is not None]
    return ToolFigures(
        tool=tool,
        calls=len(uses),
        used=used,
        success=wilson(sum(results), len(results), planned=len(uses)),
        retries=_rate(uses, lambda use: use.retry),
        duration=_quantiles([use.duration_s for use in uses if use.duration_s is not None], len(uses)),
    )


def _steps(turns: Sequence[StoredTurn]) -> tuple[int, list[Step]]:
    """At most `MOST_STEPS` stretches, or as many weeks as it takes; stretches without a turn are there, too."""
    if not turns:
        return STEPS_S[0], []
    first = min(turn.at for turn in turns)
    ages = [(turn.at - first).total_seconds() for turn in turns]
    span = max(ages)
    size = next((step for step in STEPS_S if span / step <= MOST_STEPS), STEPS_S[-1])
    if span < STEPS_S[0]:
        return size, []
    rows: list[list[StoredTurn]] = [[] for _ in range(int(span // size) + 1)]
    for age, turn in zip(ages, turns, strict=True):
        rows[int(age // size)].append(turn)
    return size, [_step(place * size, row) for place, row in enumerate(rows)]


def _step(start_s: float, turns: Sequence[StoredTurn]) -> Step:
    waited = _waited(turns)
    return Step(
        start_s=start_s,
        turns=len(turns),
        failed=sum(turn.failed for turn in turns),
        p50_s=waited.p50.value,
        p95_s=waited.p95.value,
    )
