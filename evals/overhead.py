"""What an assistant adds to its model's time: interleaved rounds of turns, straight to a model of known delays and through the assistant.

The difference of a round's medians is the added latency, and rounds are the units of a Student t interval: what else the machine does
strikes both alike. Beside it stands what the assistant's own spans say, the turn less its exchange with the model and its tools. The same
server asked for a model that is slower by a known time is a measurement with a known answer (two server processes alone differ by milliseconds);
one that misses it proves nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

from assistant.wire import TurnRequest
from evals.errors import TargetError
from evals.serving import served_assistant, served_model
from evals.targets.opening import private_environ
from loadtests.lines import Endpoint
from loadtests.played import Played
from loadtests.stream import TURN_PATH
from loadtests.traffic import Transport
from reports.records import Estimate
from reports.statistics.means import mean_estimate

AGREE = 0.10
"""By how much the spans may differ from the rounds, as a share of the added time."""
KNOWN_TOLERANCE = 0.05
"""By how much the interval of the known delay may miss it, as a share of it."""
TWO_SIDED = 0.975
Word = Literal["pass", "fail", "inconclusive", "invalid"]


class TurnFailed(Exception):
    """A round with a turn that was not answered as it should is left out whole and counted."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Medians of one round's turns in seconds: one turn that the machine held up is not the assistant's doing. `by_spans`: what the spans leave beside the model and the tools; null where there are none."""

    took_s: float
    by_spans_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Added:
    """What `other` takes longer than `base`, from the rounds that both kept. The interval is two-sided, 95 %."""

    added_s: Estimate
    by_spans_s: float | None

    @property
    def disagreement(self) -> float | None:
        """By how much the spans differ from the rounds, as a share; null where either is missing."""
        value = self.added_s.value
        return self.by_spans_s / value - 1 if value and self.by_spans_s is not None else None


@dataclass(frozen=True, kw_only=True)
class OverheadRun:
    """`rounds` of `turns` each, all saying `message`. Delays of the model in seconds; `known_s` is the planted difference."""

    pack: str
    message: str
    folder: Path
    environ: Mapping[str, str]
    rounds: int = 20
    turns: int = 5
    ttft_s: float = 0.1
    gap_s: float = 0.005
    tokens: int = 30
    known_s: float = 0.020


@dataclass(frozen=True, kw_only=True)
class Overhead:
    known: Added
    through: Added
    word: Word
    reason: str
    load_average: float

    def as_row(self) -> dict[str, Any]:
        rows = {
            name: {**asdict(one), "disagreement": one.disagreement}
            for name, one in (("known", self.known), ("through", self.through))
        }
        return {"word": self.word, "reason": self.reason, "load_average": self.load_average, **rows}


def measure_overhead(run: OverheadRun, told: Callable[[int], None]) -> Overhead:
    """Serve a model server and an assistant, and play. `told` hears of every round. Raises `TargetError` when one does not start."""
    with ExitStack() as stack:
        pace = {"gap-ms": run.gap_s * 1000, "tokens": run.tokens}
        model = stack.enter_context(served_model({**pace, "ttft-ms": run.ttft_s * 1000}, log=run.folder / "model.log"))
        environ = private_environ(run.environ, run.folder / "store")
        environ |= {"ASSAY_MODEL": "openai-chat:paced", "ASSAY_OPENAI_BASE_URL": model, "ASSAY_OPENAI_API_KEY": "none"}
        served = stack.enter_context(served_assistant(["--pack", run.pack], environ=environ, log=run.folder / "server.log"))
        direct = stack.enter_context(closing(Turns(model, "openai", "paced", run)))
        slower = stack.enter_context(closing(Turns(model, "openai", f"paced+{run.known_s * 1000:g}ms", run)))
        through = stack.enter_context(closing(Turns(served.url, "sse", "paced", run)))
        load_average = os.getloadavg()[0]
        known = compare(direct, slower, run.rounds, told)
        return judged(known, compare(direct, through, run.rounds, told), run.known_s, load_average)


class Turns:
    """Plays a round of turns on one endpoint, each in a conversation of its own."""

    def __init__(self, base_url: str, transport: Transport, model: str, run: OverheadRun) -> None:
        self._endpoint = Endpoint(
            base_url=base_url, transport=transport, timeout_s=30.0, turn_path=TURN_PATH, clock=time.monotonic, model=model
        )
        self._run = run

    def close(self) -> None:
        self._endpoint.close()

    def __call__(self) -> Timed:
        turns = [self._turn() for _ in range(self._run.turns)]
        spans = [by_spans for _, by_spans in turns if by_spans is not None]
        return Timed(took_s=median(took for took, _ in turns), by_spans_s=median(spans) if spans else None)

    def _turn(self) -> tuple[float, float | None]:
        line, played = self._endpoint.line(), Played()
        began = time.monotonic()
        line.play(TurnRequest(message=self._run.message), played)
        line.close()
        if played.outcome != "ok" or played.t_done is None:
            raise TurnFailed(played.outcome)
        return played.t_done - began, by_spans_s(played.events) if self._endpoint.transport == "sse" else None


def by_spans_s(events: Sequence[Mapping[str, Any]]) -> float | None:
    """What the spans of an assistant's turn leave beside its exchange with the model and its tools; null where they tell of no exchange.

    Raises `TurnFailed` for a turn that did not ask its model exactly once: its time is not the model's and something more.
    """
    calls = sum(event["model_calls"] for event in events if event["type"] == "usage")
    if calls != 1:
        raise TurnFailed(f"the assistant asked its model {calls} times")
    timings = next(event["timings"] for event in events if event["type"] == "done")
    return timings["total_s"] - timings["wire_s"] - timings["tools_s"] if "wire_s" in timings else None


def compare(base: Callable[[], Timed], other: Callable[[], Timed], rounds: int, told: Callable[[int], None]) -> Added:
    """Interleave `rounds` of both, in an order that turns, after one of each to warm up. Raises `TargetError` when no round is whole."""
    added: list[float] = []
    spans: list[float] = []
    failed = ""
    for number in range(-1, rounds):
        told(number + 1)
        try:
            first, second = (base(), other()) if number % 2 == 0 else _turned(base, other)
        except TurnFailed as error:
            failed = str(error)
            continue
        if number >= 0:
            added.append(second.took_s - first.took_s)
            spans += [] if second.by_spans_s is None else [second.by_spans_s]
    if len(added) < 2:
        raise TargetError(f"{len(added)} of {rounds} rounds were answered ({failed}); see the logs, or choose another --message")
    return Added(added_s=mean_estimate(added, planned=rounds, confidence=TWO_SIDED), by_spans_s=fmean(spans) if spans else None)


def _turned(base: Callable[[], Timed], other: Callable[[], Timed]) -> tuple[Timed, Timed]:
    second = other()
    return base(), second


def judged(known: Added, through: Added, known_s: float, load_average: float) -> Overhead:
    """`invalid` where the known delay was not found. Where the spans differ from the rounds by more than agreement allows: `fail`, or
    `inconclusive` when they agree with some value of the rounds' interval."""
    word, reason = _word(known, through, known_s)
    return Overhead(known=known, through=through, word=word, reason=reason, load_average=load_average)


def _word(known: Added, through: Added, known_s: float) -> tuple[Word, str]:
    low, high, slack = known.added_s.low, known.added_s.high, KNOWN_TOLERANCE * known_s
    if low is None or high is None or low <= 0 or not low - slack <= known_s <= high + slack:
        return "invalid", f"A known {known_s * 1000:g} ms was not found, so nothing else that was measured can be believed."
    apart = through.disagreement
    if apart is None:
        return "invalid", "The assistant's spans tell of no exchange with its model."
    if abs(apart) > AGREE and _may_agree(through):
        return (
            "inconclusive",
            f"The assistant's spans differ from the rounds by {apart:+.0%}, but lie within their interval; play more rounds.",
        )
    if abs(apart) > AGREE:
        return "fail", f"The assistant's spans differ from the rounds by {apart:+.0%}; up to {AGREE:.0%} is agreement."
    return "pass", ""


def _may_agree(through: Added) -> bool:
    low, high, spans = through.added_s.low, through.added_s.high, through.by_spans_s
    return low is not None and high is not None and spans is not None and low * (1 - AGREE) <= spans <= high * (1 + AGREE)
