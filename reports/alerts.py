"""Burn-rate alerts: is the error budget being spent too fast, in a long window and still in a short one?

Burn rate: share of bad turns divided by the share that the objective allows, 1 - objective (The Site Reliability Workbook,
chapter 5, "Alerting on SLOs", approach 6: multiwindow, multi-burn-rate alerts).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from reports import format as form
from reports.gates.yaml_files import PolicyError, read_model
from reports.ops_turns import StoredTurn
from reports.records import Estimate
from reports.statistics.proportions import wilson

Signal = Literal["errors", "latency", "cost", "cache"]
Per = Literal["intent", "agent", "model"]
AlertState = Literal["firing", "quiet", "no_turns", "not_recorded"]

_DURATION = re.compile(r"([0-9]{1,5})([smhd])")
LONGEST = 9999
_SIZES = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parse_span(text: object) -> timedelta:
    """`5m`, `24h`, `7d`. Raises `ValueError` with a sentence."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None or not 0 < int(found[1]) <= LONGEST:
        raise ValueError(f"{text!r} is not a span of time; write a whole number up to {LONGEST} and s, m, h or d, such as 5m")
    return int(found[1]) * _SIZES[found[2]]


Span = Annotated[timedelta, BeforeValidator(parse_span)]


def _short(span: timedelta) -> str:
    """As the rules write it, in the largest unit that fits."""
    return next(f"{span // unit}{sign}" for sign, unit in reversed(_SIZES.items()) if not span % unit)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Window(_Strict):
    """Fires when the burn rate exceeds `burn_rate` in the last `long` and in the last `short`: enough budget is gone, and it still goes."""

    long: Span
    short: Span
    burn_rate: Annotated[float, Field(gt=0)]
    severity: Literal["page", "ticket"]

    @model_validator(mode="after")
    def _nested(self) -> Self:
        if self.short >= self.long:
            raise ValueError("short must be shorter than long; a twelfth of it is usual")
        return self

    @property
    def name(self) -> str:
        return f"{_short(self.long)} and {_short(self.short)}"


class Rule(_Strict):
    """What makes a turn bad, and the share of turns that must not be.

    `errors`: no answer. `latency`: no answer within `slower_than_s`. `cost`: dearer than `above_usd`; turns without a price are left
    out. `cache`: not served from the cache; turns that do not tell are left out. `per` alerts for each value on its own. `bound: ci`
    compares the lower one-sided 95 % bound of the long window, `point` its rate; the short window only says that it still burns, by
    its rate. Fewer than `least_bad` bad turns in the long window never fire.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    signal: Signal
    objective: Annotated[float, Field(gt=0, lt=1)]
    slower_than_s: Annotated[float, Field(gt=0)] | None = None
    above_usd: Annotated[float, Field(ge=0)] | None = None
    per: Per | None = None
    bound: Literal["ci", "point"] = "ci"
    least_bad: Annotated[int, Field(ge=1)] = 3
    windows: Annotated[list[Window], Field(min_length=1)] | None = None
    why: str = ""

    @model_validator(mode="after")
    def _own_limit(self) -> Self:
        for field, signal in (("slower_than_s", "latency"), ("above_usd", "cost")):
            given = getattr(self, field) is not None
            if given != (self.signal == signal):
                raise ValueError(f"{field} goes with signal: {signal} {'only; remove it' if given else 'and is missing; add it'}")
        return self

    def is_bad(self, turn: StoredTurn) -> bool | None:
        """Null when the turn does not tell."""
        if self.signal == "errors":
            return turn.failed
        if self.signal == "cache":
            return None if turn.cache_hit is None else not turn.cache_hit
        limit, value = (self.slower_than_s, turn.felt_s) if self.signal == "latency" else (self.above_usd, turn.cost_usd)
        return None if value is None or limit is None else value > limit


class Alerts(_Strict):
    """Rules and the windows of every rule that names none of its own."""

    name: str
    windows: Annotated[list[Window], Field(min_length=1)]
    rules: Annotated[list[Rule], Field(min_length=1)]

    @property
    def longest(self) -> timedelta:
        return max(window.long for rule in self.rules for window in self.windows_of(rule))

    def windows_of(self, rule: Rule) -> Sequence[Window]:
        return rule.windows or self.windows


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One rule over one pair of windows, for one group of turns. `long` and `short` are shares of bad turns.

    `key` is the same every time, so that a receiver can tell a repeated alert from a new one.
    """

    key: str
    rule: str
    group: str | None
    severity: str
    window: str
    state: AlertState
    burn_rate: float | None
    threshold: float
    long: Estimate
    short: Estimate
    sentence: str


def read_alerts(path: Path) -> Alerts:
    """Raises `PolicyError` with every fault: file, line, field, remedy."""
    alerts, locate = read_model(path, Alerts, "an alerts")
    faults: list[str] = []
    seen: dict[str, str] = {}
    for index, rule in enumerate(alerts.rules):
        place = locate(("rules", index))
        if rule.id in seen:
            faults.append(f"{place}: second rule {rule.id!r}, the first is at {seen[rule.id]}; rename one")
        seen.setdefault(rule.id, place)
        for number, window in enumerate(alerts.windows_of(rule)):
            if window.burn_rate * (1 - rule.objective) > 1 - 1e-9:
                where = locate(("rules", index, "windows", number)) if rule.windows else locate(("windows", number))
                faults.append(
                    f"{place}: rule {rule.id!r} can never fire at burn rate {window.burn_rate:g} ({where}): with objective"
                    f" {rule.objective:g} all turns bad is {1 / (1 - rule.objective):.4g}; give it windows with lower burn rates or raise the objective"
                )
    if faults:
        raise PolicyError("\n".join(faults))
    return alerts


def evaluate(alerts: Alerts, turns: Iterable[StoredTurn], at: datetime) -> list[Alert]:
    """Every rule over every pair of windows that end at `at`, those that fire first. Turns after `at` are ignored."""
    past = [turn for turn in turns if at - alerts.longest < turn.at <= at]
    found = [
        alert
        for rule in alerts.rules
        for group, rows in _groups(rule, past)
        for alert in (_judge(rule, window, (group, rows), at) for window in alerts.windows_of(rule))
    ]
    return sorted(found, key=lambda alert: (alert.state != "firing", alert.severity != "page"))


Trials = Sequence[tuple[datetime, bool | None]]


def _groups(rule: Rule, turns: Sequence[StoredTurn]) -> list[tuple[str | None, Trials]]:
    groups: dict[str | None, list[tuple[datetime, bool | None]]] = defaultdict(list)
    for turn in turns:
        group: str | None = getattr(turn, rule.per) if rule.per else None
        groups[group].append((turn.at, rule.is_bad(turn)))
    return sorted(groups.items(), key=lambda item: item[0] or "") or [(None, [])]


def _judge(rule: Rule, window: Window, grouped: tuple[str | None, Trials], at: datetime) -> Alert:
    group, trials = grouped
    inside = [(when, bad) for when, bad in trials if when > at - window.long]
    known = [(when, bad) for when, bad in inside if bad is not None]
    recent = [bad for when, bad in known if when > at - window.short]
    long, short = wilson(sum(bad for _, bad in known), len(known)), wilson(sum(recent), len(recent))
    allowed = 1 - rule.objective
    limit = window.burn_rate * allowed
    sure = (long.low if rule.bound == "ci" else long.value) or 0.0
    exceeded = sure > limit and (short.value or 0.0) > limit and (long.k or 0) >= rule.least_bad
    state: AlertState = "firing" if exceeded else "quiet" if known else "not_recorded" if inside else "no_turns"
    return Alert(
        key="/".join([rule.id, *([group] if group is not None else []), window.severity, window.name]),
        rule=rule.id,
        group=group,
        severity=window.severity,
        window=window.name,
        state=state,
        burn_rate=None if long.value is None else long.value / allowed,
        threshold=window.burn_rate,
        long=long,
        short=short,
        sentence=_sentence(rule, window, (long, short), state),
    )


def _sentence(rule: Rule, window: Window, shares: tuple[Estimate, Estimate], state: AlertState) -> str:
    if state == "no_turns":
        return f"no turn in the last {form.seconds(window.long.total_seconds())}"
    if state == "not_recorded":
        return f"no turn of the last {form.seconds(window.long.total_seconds())} recorded it"
    what = {
        "errors": "got no answer",
        "latency": f"took longer than {form.seconds(rule.slower_than_s or 0)} or got no answer",
        "cost": f"cost more than {rule.above_usd or 0:g} USD",
        "cache": "missed the cache",
    }[rule.signal]
    told = [_counted(share, span, rule) for share, span in zip(shares, (window.long, window.short), strict=True)]
    return f"{what}: {told[0]}, {told[1]}; fires above {window.burn_rate:g} in both"


def _counted(bad: Estimate, span: timedelta, rule: Rule) -> str:
    words = f"{bad.k} of {form.plural(bad.n, 'turns')} in {form.seconds(span.total_seconds())}"
    if bad.value is None or bad.low is None:
        return words
    rate, least = (share / (1 - rule.objective) for share in (bad.value, bad.low))
    return f"{words} (burn rate {rate:.3g}, at least {least:.3g})"
