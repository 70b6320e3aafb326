"""Schedule: which conversation starts when. Pure and seeded, so every worker derives the same one and plays its slice."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from loadtests.prompts import synthetic
from loadtests.script import Conversation, mean_turns
from loadtests.traces import read_trace
from loadtests.traffic import Arrivals, Pattern, Trace, TrafficError, TrafficProfile, Users

Phase = Literal["warmup", "steady", "cooldown"]


@dataclass(frozen=True, kw_only=True)
class Session:
    """One conversation to play, `t_plan` seconds after the run's start. Only turns of the phase `steady` are measured."""

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
    """All sessions of a run in order of `t_plan`: warm-up, measured ones, and the cool-down that keeps the load on. None for users in a
    closed loop, whose conversations follow from the server (see `users_conversations`). Raises `TrafficError` for a faulty trace.
    """
    if isinstance(profile.arrivals, Users):
        return []
    if isinstance(profile.arrivals, Trace):
        return _traced(profile, profile.arrivals, script, seed=seed)
    arrivals = profile.arrivals
    synthetic_only = profile.content.kind == "synthetic"
    rate = arrivals.rate_per_s / (1.0 if synthetic_only else mean_turns(script))
    mean_rate = rate * (1.0 + (arrivals.to_rate_per_s or arrivals.rate_per_s) / arrivals.rate_per_s) / 2
    end_rate = rate * (arrivals.to_rate_per_s or arrivals.rate_per_s) / arrivals.rate_per_s
    spans: list[tuple[Phase, float, float, float]] = [
        ("warmup", 0.0, profile.warmup_s, rate),
        ("steady", profile.warmup_s, arrivals.duration_s, mean_rate),
        ("cooldown", profile.warmup_s + arrivals.duration_s, profile.drain_s, end_rate),
    ]
    sessions: list[Session] = []
    for offset, (phase, start, length, phase_rate) in enumerate(spans):
        count = max(1, math.ceil(phase_rate * length)) if phase == "steady" else int(phase_rate * length)
        times = _phase_times(arrivals, count, length, seed=seed * 3 + offset)
        if phase == "steady" and arrivals.to_rate_per_s is not None:
            times = _warped(times, length, arrivals.to_rate_per_s / arrivals.rate_per_s)
        said = _said(profile, script, range(len(sessions), len(sessions) + count), seed=seed * 3 + offset)
        for time, conversation in zip(times, said, strict=True):
            sessions.append(Session(session=len(sessions), phase=phase, t_plan=start + time, conversation=conversation))
    return sessions


def _traced(profile: TrafficProfile, trace: Trace, script: Sequence[Conversation], *, seed: int) -> list[Session]:
    start, end = profile.warmup_s, profile.warmup_s + trace.duration_s
    arrivals = [item for item in read_trace(trace, workers=profile.workers) if item.t_s < end + profile.drain_s]
    if not any(start <= item.t_s < end for item in arrivals):
        raise TrafficError(
            f"{trace.file}: nothing arrives from {start:g} s to {end:g} s, the rate measured would be 0; change warmup_s or duration_s"
        )
    if profile.content.kind == "synthetic":
        said = [
            synthetic(number, profile.content, seed=seed, input_tokens=item.input_tokens) for number, item in enumerate(arrivals)
        ]
    else:
        said = _shares(script, len(arrivals), seed=seed)
    return [
        Session(session=number, phase=phase_at(profile, item.t_s), t_plan=item.t_s, conversation=conversation)
        for number, (item, conversation) in enumerate(zip(arrivals, said, strict=True))
    ]


def phase_at(profile: TrafficProfile, t_plan: float) -> Phase:
    """The phase that a turn belongs to by its intended start."""
    if t_plan < profile.warmup_s:
        return "warmup"
    return "steady" if t_plan < profile.warmup_s + profile.arrivals.duration_s else "cooldown"


def users_conversations(script: Sequence[Conversation], user: int, *, seed: int) -> Iterator[Conversation]:
    """What one user of a closed loop talks about, without end, each conversation as often as its weight says."""
    generator = random.Random(f"{seed}/user/{user}")
    weights = [item.weight for item in script]
    while True:
        yield generator.choices(script, weights)[0]


def users_slice(profile: TrafficProfile, *, worker: int, workers: int) -> list[tuple[int, float]]:
    """The users that a worker plays, and when each of them comes, in seconds from the start."""
    if not isinstance(profile.arrivals, Users):
        return []
    arrivals = profile.arrivals
    everyone = [(user, arrivals.ramp_s * user / arrivals.users) for user in range(arrivals.users)]
    return everyone[worker::workers]


def _said(profile: TrafficProfile, script: Sequence[Conversation], numbers: range, *, seed: int) -> list[Conversation]:
    if profile.content.kind == "synthetic":
        return [synthetic(number, profile.content, seed=profile.seed) for number in numbers]
    return _shares(script, len(numbers), seed=seed)


def _phase_times(arrivals: Arrivals, count: int, length_s: float, *, seed: int) -> list[float]:
    """Arrivals of one phase; the rate is that of `count` in `length_s`, so that rounding up never runs past the phase."""
    if count == 0:
        return []
    return arrival_times(arrivals.pattern, count / length_s, count, burstiness=arrivals.burstiness, seed=seed)


def _warped(times: Sequence[float], length_s: float, ratio: float) -> list[float]:
    """Times of an even rate moved so that the rate goes in a straight line from one to `ratio` times that: the inverse of the cumulative
    rate `(x + (ratio - 1) x^2 / 2) / ((1 + ratio) / 2)` at each time's share `x` of the phase.
    """
    if ratio == 1.0:
        return list(times)
    slope, area = ratio - 1.0, (1.0 + ratio) / 2
    return [length_s * (math.sqrt(1.0 + 2.0 * slope * area * time / length_s) - 1.0) / slope for time in times]


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


def turns_per_s(profile: TrafficProfile, planned: int) -> float:
    """The rate that a profile asks for: its own, that of `planned` turns of a trace, or what users send whom nothing keeps waiting."""
    arrivals = profile.arrivals
    if isinstance(arrivals, Arrivals):
        return arrivals.rate_per_s
    if isinstance(arrivals, Trace):
        return planned / arrivals.duration_s
    return arrivals.users / profile.think.median_s if profile.think else 0.0


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
