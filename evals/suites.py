"""The three suites of a release, each run to slots, metrics and tables: cards, agent selection, load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evals.budget import Budget, Meter
from evals.cards import Card
from evals.evaluators.table import Check
from evals.experiment import Pace, Played, run_plan
from evals.journal import Journal
from evals.judging.asking import Judge
from evals.judging.jury import Jury, load_jury
from evals.plan import Plan, plan_cards
from evals.scoring import card_metrics, card_rows, stage_seconds, turn_metrics
from evals.simulation.users import SimulatedUser, name_digest, prompt_digest
from evals.targets.judged import JudgedTarget
from evals.targets.opening import TargetSpec, open_target
from evals.targets.simulated import SimulatedTarget, playable
from evals.targets.target import Target
from evals.transcript import Transcript
from evals.yardstick import Yardstick
from reports.records import Estimate, Slot

DATASETS = Path("datasets")
LAP = "machine.lap.p50_s"
WAITING = "machine.waiting_share"
REPLAYED = "replayed answers; their times are those of the recorded run"
Progress = Callable[[str, int, int], None]
"""Called with the suite's name, how much is done and how much there is."""


@dataclass(frozen=True, kw_only=True, repr=False)
class SuiteResult:
    """What one suite contributes to a record. Without a repr, as `Played`."""

    slots: Sequence[Slot]
    metrics: Mapping[str, Estimate | None]
    tables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    not_measurable: Mapping[str, str] = field(default_factory=dict[str, str])
    broken: Sequence[str] = ()
    transcripts: Sequence[Transcript] = ()
    load: Mapping[str, str] = field(default_factory=dict[str, str])
    digests: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class CardRun:
    """What a card suite needs beside its cards. `user` plays the user of goal cards; without a `judge` nothing is judged by a model."""

    pack: str
    target: TargetSpec
    folder: Path
    environ: Mapping[str, str]
    repeats: int = 1
    judge: Judge | None = None
    user: SimulatedUser = field(default_factory=SimulatedUser)
    budget: Budget = field(default_factory=Budget)


async def run_cards(cards: Sequence[Card], run: CardRun, progress: Progress) -> SuiteResult:
    """Play and judge cards on a target, continuing the folder's journal. Raises `AssayError`."""
    run.folder.mkdir(parents=True, exist_ok=True)
    jury = load_jury(run.judge, DATASETS / run.pack / "judge", cards) if run.judge else None
    async with (
        open_target(run.target, pack=run.pack, environ=run.environ, store=run.folder / "store") as opened,
        AsyncExitStack() as clients,
    ):
        for model in (run.judge and run.judge.model, run.user.model):
            if model is not None:
                await clients.enter_async_context(model)
        chosen, hidden = playable(cards, opened, run.user)
        target = _attended(opened, chosen, run, jury)
        repeats = 1 if target.deterministic else run.repeats
        plan = plan_cards(chosen, repeats=repeats, visible=target.visible, llm=speaks_freely(run.target, run.environ))
        plan = jury.plan(plan) if jury else plan
        concurrency = 1 if target.deterministic else 4
        with Journal.open(run.folder, digest=plan_digest(plan, run)) as journal:
            yardstick = Yardstick()

            def after_play(done: int, planned: int) -> None:
                yardstick.lap()
                progress("cards", done, planned)

            pace = Pace(concurrency=concurrency, meter=Meter(budget=run.budget), progress=after_play)
            played = await run_plan(plan, target, journal, pace)
            machine = {LAP: yardstick.estimate(), WAITING: yardstick.waiting()}
    result = card_result(plan, played, deterministic=target.deterministic)
    result = replace(result, metrics={**result.metrics, **machine})
    if run.target.kind == "replay":
        result = _without_times(result)
    result = replace(result, not_measurable={**result.not_measurable, **hidden})
    return _with_instruments(result, plan, run, jury)


def _without_times(result: SuiteResult) -> SuiteResult:
    """A replay repeats answers, not times: those are of another day and machine, and no gate may read them."""
    metrics = {name: value for name, value in result.metrics.items() if not name.startswith(("turn.", "store.", "machine."))}
    tables = {**result.tables, "stages": {}, "evidence": "replay"}
    return replace(
        result,
        metrics=metrics,
        tables=tables,
        not_measurable={**result.not_measurable, **dict.fromkeys(("turn", "store"), REPLAYED)},
    )


def _attended(target: Target, cards: Sequence[Card], run: CardRun, jury: Jury | None) -> Target:
    """The target with a simulated user in front of it and a judge behind it, as far as cards and run ask for them."""
    if any(card.goal for card in cards):
        target = SimulatedTarget(target, run.user)
    return JudgedTarget(target, jury) if jury else target


def _with_instruments(result: SuiteResult, plan: Plan, run: CardRun, jury: Jury | None) -> SuiteResult:
    """What measured beside our own checks, for the record: the judge with its corrected rates, the simulated user."""
    tables, digests, metrics = dict(result.tables), dict(result.digests), dict(result.metrics)
    if jury and any(check.needs == "judge" for play in plan.plays for check in play.checks):
        tables["judge"] = jury.table(plan)
        digests |= jury.digests(plan)
        metrics |= jury.metrics(result.slots)
    if any(play.card.goal for play in plan.plays):
        tables["simulated_user"] = {"user": run.user.name}
        if not run.user.deterministic:
            digests |= {"simulated_user": name_digest(run.user.name), "simulated_user.prompt": prompt_digest()}
    return replace(result, tables=tables, digests=digests, metrics=metrics)


def speaks_freely(target: TargetSpec, environ: Mapping[str, str]) -> bool:
    """Whether cards that require a language model are played: always, but on the shipped assistant with its embedded model."""
    return not target.ours or environ.get("ASSAY_MODEL", "embedded") != "embedded"


def card_result(plan: Plan, played: Played, *, deterministic: bool = False) -> SuiteResult:
    transcripts = [play.transcript for play in played.plays]
    faulted = frozenset(play.card.id for play in plan.plays if play.card.faults)
    turns = [turn for transcript in transcripts for turn in transcript.turns]
    return SuiteResult(
        slots=played.slots,
        metrics={**card_metrics(played.slots), **turn_metrics(transcripts, faulted=faulted)},
        tables={
            "cards": card_rows(played.slots),
            "stages": stage_seconds(turns),
            "deterministic": deterministic,
            "evidence": "live",
        },
        not_measurable=plan.not_measurable,
        broken=_never_answered(transcripts),
        transcripts=transcripts,
    )


def plan_digest(plan: Plan, run: CardRun) -> str:
    """Changes when the cards, the repeats, the checks, the target, the judge or the simulated user change."""
    body = [[play.card.model_dump(mode="json"), play.repeat, [_wording(check) for check in play.checks]] for play in plan.plays]
    aids = [run.judge.name] if run.judge else []
    aids += [] if run.user.deterministic else [run.user.name]
    return hashlib.sha256(json.dumps([run.pack, run.target.text, body, *aids], sort_keys=True).encode()).hexdigest()


def _wording(check: Check) -> str:
    """A check by name, and one that a model carries out also by the rubric: verdicts by two wordings do not belong in one run."""
    return " ".join([check.name, *filter(None, [check.labels.get("rubric")])])


def _never_answered(transcripts: Sequence[Transcript]) -> list[str]:
    if transcripts and not any(turn.text.strip() for transcript in transcripts for turn in transcript.turns):
        return ["the target never gave an answer to any card"]
    return []
