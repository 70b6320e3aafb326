"""The three suites of a release, each run to slots, metrics and tables: cards, agent selection, load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.cards import Card
from evals.experiment import Played, run_plan
from evals.journal import Journal
from evals.plan import Plan, plan_cards
from evals.scoring import card_metrics, card_rows, stage_seconds, turn_metrics
from evals.targets.opening import TargetSpec, open_target
from evals.transcript import Transcript
from reports.records import Estimate, Slot

Progress = Callable[[str, int, int], None]
"""Called with the suite's name, how much is done and how much there is."""


@dataclass(frozen=True, kw_only=True)
class SuiteResult:
    """What one suite contributes to a record."""

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
    """What a card suite needs beside its cards."""

    pack: str
    target: TargetSpec
    folder: Path
    environ: Mapping[str, str]
    repeats: int = 1


async def run_cards(cards: Sequence[Card], run: CardRun, progress: Progress) -> SuiteResult:
    """Play and judge cards on a target, continuing the folder's journal. Raises `AssayError`."""
    run.folder.mkdir(parents=True, exist_ok=True)
    async with open_target(run.target, pack=run.pack, environ=run.environ, store=run.folder / "store") as target:
        repeats = 1 if target.deterministic else run.repeats
        plan = plan_cards(cards, repeats=repeats, visible=target.visible, llm=speaks_freely(run.target, run.environ))
        concurrency = 1 if target.deterministic else 4
        with Journal.open(run.folder, digest=plan_digest(plan, run)) as journal:
            played = await run_plan(plan, target, journal, concurrency=concurrency, progress=lambda d, n: progress("cards", d, n))
    return card_result(plan, played, deterministic=target.deterministic)


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
        tables={"cards": card_rows(played.slots), "stages": stage_seconds(turns), "deterministic": deterministic},
        not_measurable=plan.not_measurable,
        broken=_never_answered(transcripts),
        transcripts=transcripts,
    )


def plan_digest(plan: Plan, run: CardRun) -> str:
    """Changes when the cards, the repeats, the checks or the target change."""
    body = [[play.card.model_dump(mode="json"), play.repeat, [check.name for check in play.checks]] for play in plan.plays]
    return hashlib.sha256(json.dumps([run.pack, run.target.text, body], sort_keys=True).encode()).hexdigest()


def _never_answered(transcripts: Sequence[Transcript]) -> list[str]:
    if transcripts and not any(turn.text.strip() for transcript in transcripts for turn in transcript.turns):
        return ["the target never gave an answer to any card"]
    return []
