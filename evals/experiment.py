"""Playing a plan: bounded concurrency, a journal line per finished play, every slot in exactly one state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_evals.evaluators import EvaluationReason, EvaluatorContext
from pydantic_evals.otel.span_tree import SpanTree

from evals.blame import blamed
from evals.budget import Budget, Meter
from evals.conversation import as_one_turn
from evals.errors import AssayError
from evals.evaluators.table import Check
from evals.journal import FinishedPlay, Journal
from evals.plan import Plan, PlannedPlay, slot_for
from evals.spans import span_tree
from evals.targets.target import Target
from evals.throttle import Throttle
from evals.transcript import Transcript, Turn
from reports.records import Slot, SlotState, Stage

Progress = Callable[[int, int], None]
LONGEST_PAUSE_S = 30.0
Context = EvaluatorContext[list[str], Transcript, Any]
_FAULT_STAGES: dict[str, Stage] = {"agent_error": "model", "timeout": "model", "infra_error": "network"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Played:
    """`plays` in plan order; a play that never happened is absent and its slots are `not_run`.

    Without a repr: `asyncio.run` makes one of what it returns, which takes seconds for a long run.
    """

    plays: Sequence[FinishedPlay]
    slots: Sequence[Slot]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a plan is played. The meter's budget counts what this sitting spends; `attempts` bounds how often a play is begun."""

    concurrency: int = 4
    meter: Meter = field(default_factory=lambda: Meter(budget=Budget()))
    progress: Progress | None = None
    attempts: int = 4
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def run_plan(plan: Plan, target: Target, journal: Journal, pace: Pace | None = None) -> Played:
    """Play what the journal does not hold yet. Cancelling keeps what is finished; a budget that is used up leaves the rest `not_run`."""
    pace = pace or Pace()
    throttle = Throttle(pace.concurrency)
    done = len(journal.finished)

    async def one(play: PlannedPlay) -> None:
        nonlocal done
        async with throttle:
            if pace.meter.used_up():
                return
            transcript = await _play_until_it_counts(target, play, pace, throttle)
            pace.meter.add(transcript)
            journal.add(FinishedPlay(transcript=transcript, slots=judge(play, transcript)))
        done += 1
        if pace.progress:
            pace.progress(done, len(plan.plays))

    try:
        async with asyncio.TaskGroup() as group:
            for play in plan.plays:
                if play.key not in journal.finished:
                    group.create_task(one(play))
    except* AssayError as errors:
        raise errors.exceptions[0] from None
    return collect(plan, journal, pace.meter.used_up() or "the run ended before this play")


async def _play_until_it_counts(target: Target, play: PlannedPlay, pace: Pace, throttle: Throttle) -> Transcript:
    """Play, and begin again what broke off for a reason outside the assistant that may pass. What the assistant did wrong is never tried again."""
    attempt = 1
    while True:
        transcript = await _play(target, play)
        if transcript.again_in_s is None or transcript.fault != "infra_error":
            throttle.went_well()
            break
        if transcript.limited:
            throttle.slow_down()
        if attempt == pace.attempts or pace.meter.used_up():
            break
        await pace.sleep(min(LONGEST_PAUSE_S, transcript.again_in_s * 2 ** (attempt - 1)))
        attempt += 1
    return replace(transcript, attempts=attempt) if attempt > 1 else transcript


async def _play(target: Target, play: PlannedPlay) -> Transcript:
    """The isolation point around a play: what the engine or a target's driver raises is `infra_error`, never the assistant's failure."""
    try:
        return await target.play(play.card, play.repeat)
    except AssayError:
        raise
    except Exception as error:  # noqa: BLE001 whatever breaks below a play is a fault of ours and costs this card alone
        reason = f"{type(error).__name__}: {error}"
        return Transcript(
            card=play.card.id, repeat=play.repeat, turns=[], visible=target.visible, fault="infra_error", fault_reason=reason
        )


def collect(plan: Plan, journal: Journal, missing: str = "the run ended before this play") -> Played:
    """All slots of the plan in plan order; those of plays that did not finish are `not_run`, `missing` says why."""
    plays: list[FinishedPlay] = []
    slots: list[Slot] = []
    for play in plan.plays:
        finished = journal.finished.get(play.key)
        if finished is None:
            slots += [slot_for(play, check, "not_run", missing) for check in play.checks]
        else:
            plays.append(finished)
            slots += finished.slots
    return Played(plays=plays, slots=slots)


def judge(play: PlannedPlay, transcript: Transcript) -> list[Slot]:
    """One slot per planned check. A play that broke off gives all its slots the state of what broke it."""
    if transcript.fault is not None:
        state = _fault_state(transcript.fault)
        stage = _FAULT_STAGES.get(state)
        return [slot_for(play, check, state, transcript.fault_reason, stage=stage) for check in play.checks]
    broken = next(
        (turn.error for number, turn in enumerate(transcript.turns) if turn.error and not play.card.awaits_error(number)), None
    )
    if broken is not None:
        return [slot_for(play, check, "agent_error", broken, stage="model") for check in play.checks]
    by_turn = _context(play, transcript)
    whole = by_turn if play.card.goal is None else _context(play, as_one_turn(transcript))
    slots = [_judge_one(play, check, by_turn if check.every_turn else whole) for check in play.checks]
    return blamed(play.card, transcript, slots)


def _judge_one(play: PlannedPlay, check: Check, context: Context) -> Slot:
    try:
        result = check.evaluator.evaluate(context)
    except Exception as error:  # noqa: BLE001  the isolation point around an evaluator: its fault is ours, never the assistant's
        return slot_for(
            play, check, "judge_error", f"evaluator `{check.name}` raised {type(error).__name__}: {error}", stage="judge"
        )
    if not isinstance(result, EvaluationReason):
        return slot_for(play, check, "judge_error", f"evaluator `{check.name}` gave no verdict", stage="judge")
    if result.value is True:
        return slot_for(play, check, "pass", result.reason or "")
    return slot_for(play, check, "fail", result.reason or "", stage=_blame(check, context.output))


def _blame(check: Check, transcript: Transcript) -> Stage:
    """A tool that failed or a wrong route explains a wrong answer better than the model does."""
    if check.stage == "model" and any(call.ok is False for turn in transcript.turns for call in turn.tool_calls):
        return "tool"
    return check.stage


def _context(play: PlannedPlay, transcript: Transcript) -> Context:
    return EvaluatorContext(
        name=play.card.id,
        inputs=[turn.user for turn in play.card.turns],
        metadata=play.card,
        expected_output=None,
        output=transcript,
        duration=sum(turn.duration_s or 0.0 for turn in transcript.turns),
        _span_tree=span_tree(transcript) if play.card.evaluators else SpanTree(),
        attributes={},
        metrics=_counts(transcript.turns),
    )


def _counts(turns: Sequence[Turn]) -> dict[str, int | float]:
    return {"turns": len(turns), "tool_calls": sum(len(turn.tool_calls) for turn in turns)}


def _fault_state(fault: str) -> SlotState:
    if fault == "agent_error" or fault == "timeout" or fault == "simulator_error":
        return fault
    return "infra_error"
