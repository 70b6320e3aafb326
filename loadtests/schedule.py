"""Schedule: which conversation starts when. Pure and seeded, so every worker derives the same one and plays its slice."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from loadtests.script import Conversation, mean_turns
from loadtests.traffic import Arrivals, Pattern, TrafficProfile

Phase = Literal["warmup", "steady", "cooldown"]


@dataclass(frozen=True, kw_only=True)
class Session:
    """One conversation to play, `t_plan` seconds after the run's start. Only `steady` sessions are measured."""

    session: int
    phase: Phase
    t_plan: float
    conversation: Conversation


def arrival_times(pattern: Pattern, rate_per_s: float, count: int, *, burstiness: float = 1.0, seed: int = 0) -> list[float]:
    """`count` increasing times in seconds, of which the last is exactly `count / rate_per_s`.

    The rescaling takes out the drift of the mean rate from seed to seed, so that two runs at one rate carry one load.
    """
    if count == 0:
        return []
    generator = random.Random(seed)
    gaps = [_gap(pattern, burstiness, generator) for _ in range(count)]
    times = list(accumulate(gaps))
    scale = count / rate_per_s / times[-1]
    return [*(time * scale for time in times[:-1]), count / rate_per_s]


def _gap(pattern: Pattern, burstiness: float, generator: random.Random) -> float:
    """A gap of mean 1."""
    if pattern == "constant":
        return 1.0
    shape = burstiness if pattern == "gamma" else 1.0
    return max(generator.gammavariate(shape, 1.0 / shape), 1e-12)


def plan_sessions(profile: TrafficProfile, script: Sequence[Conversation], *, seed: int) -> list[Session]:
    """All sessions of a run in order of `t_plan`: warm-up, measured ones, and the cool-down that keeps the load on."""
    arrivals = profile.arrivals
    rate = arrivals.rate_per_s / mean_turns(script)
    spans: list[tuple[Phase, float, float]] = [
        ("warmup", 0.0, profile.warmup_s),
        ("steady", profile.warmup_s, arrivals.duration_s),
        ("cooldown", profile.warmup_s + arrivals.duration_s, profile.drain_s),
    ]
    sessions: list[Session] = []
    for offset, (phase, start, length) in enumerate(spans):
        count = max(1, math.ceil(rate * length)) if phase == "steady" else int(rate * length)
        times = _phase_times(arrivals, count, length, seed=seed * 3 + offset)
        for time, conversation in zip(times, _shares(script, count, seed=seed * 3 + offset), strict=True):
            sessions.append(Session(session=len(sessions), phase=phase, t_plan=start + time, conversation=conversation))
    return sessions


def _phase_times(arrivals: Arrivals, count: int, length_s: float, *, seed: int) -> list[float]:
    """Arrivals of one phase; the rate is that of `count` in `length_s`, so that rounding up never runs past the phase."""
    if count == 0:
        return []
    return arrival_times(arrivals.pattern, count / length_s, count, burstiness=arrivals.burstiness, seed=seed)


def _shares(script: Sequence[Conversation], count: int, *, seed: int) -> list[Conversation]:
    """`count` conversations shuffled, each as often as its weight says to the nearest whole number (largest remainder, ties by lot)."""
    generator = random.Random(seed)
    total = sum(item.weight for item in script)
    exact = [count * item.weight / total for item in script]
    whole = [int(value) for value in exact]
    by_lot = generator.sample(range(len(script)), len(script))
    by_remainder = sorted(by_lot, key=lambda index: whole[index] - exact[index])
    for index in by_remainder[: count - sum(whole)]:
        whole[index] += 1
    drawn = [item for item, times in zip(script, whole, strict=True) for _ in range(times)]
    generator.shuffle(drawn)
    return drawn


def worker_slice(sessions: Sequence[Session], *, worker: int, workers: int) -> list[Session]:
    """The sessions that worker `worker` of `workers` plays. The slices of all workers are the whole schedule, each session once."""
    return [session for index, session in enumerate(sessions) if index % workers == worker]


def planned_turns(sessions: Sequence[Session]) -> int:
    """Measured turns of the schedule."""
    return sum(len(session.conversation.turns) for session in sessions if session.phase == "steady")


def think_times(profile: TrafficProfile, session: Session, *, seed: int) -> list[float]:
    """Seconds of thought after each turn of a session. After the last one the user still reads, so that the conversations open at a
    time are the turns per second times the seconds of a turn and its thought, however long the script's conversations are.
    """
    turns = len(session.conversation.turns)
    if profile.think is None:
        return [0.0] * turns
    generator = random.Random(f"{seed}/{session.session}")
    mu = math.log(profile.think.median_s)
    return [generator.lognormvariate(mu, profile.think.sigma) for _ in range(turns)]
