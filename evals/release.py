"""One release: cards, agent selection and load on one assistant, one record, one verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evals.budget import Budget
from evals.cards import Card
from evals.catalog import load_cards
from evals.errors import EvidenceError, TargetError, UsageError
from evals.judging.asking import Judge
from evals.loadsuite import LoadRun, run_load_suite
from evals.recording import Recording, finish_run
from evals.scoring import turn_metrics
from evals.simulation.users import SimulatedUser
from evals.suites import CardRun, Progress, SuiteResult, run_cards
from evals.targets.opening import TargetSpec
from reports.gates.policy import Policy, read_policy
from reports.gates.verdict import Verdict
from reports.records import Tier

DATASETS = Path("datasets")
_REPEATS: Mapping[Tier, int] = {"pr": 2, "nightly": 4, "release": 8}
_Suite = Callable[[], SuiteResult]
_MOST_TURNS: Mapping[Tier, int] = {"pr": 3}
"""Long conversations would keep a half-minute load run waiting for their ends."""
_SERVED = "agent selection and switching are measured in process, not over HTTP"
_NOT_OURS = "this target does not speak the wire contract"


@dataclass(frozen=True, kw_only=True)
class Release:
    """What to release-test and where to keep the evidence. `cards` is a folder, by default the pack's own."""

    tier: Tier
    pack: str
    target: TargetSpec
    policy: Path
    folder: Path
    environ: Mapping[str, str]
    traffic: Path = DATASETS / "traffic" / "smoke.yaml"
    cards: Path | None = None
    judge: Judge | None = None
    user: SimulatedUser = field(default_factory=SimulatedUser)
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, kw_only=True)
class Released:
    verdict: Verdict
    folder: Path
    durations_s: Mapping[str, float]


def run_release(release: Release, progress: Progress) -> Released:
    """Run all suites, write the run folder, decide. Raises `UsageError` before anything is played when a file is wrong."""
    policy = read_policy(release.policy)
    cards = load_cards(release.cards or DATASETS / release.pack / "scenarios")
    _make_folder(release.folder)
    suites: dict[str, SuiteResult] = {}
    durations: dict[str, float] = {}
    for name, run in _suites(release, cards, progress).items():
        started = time.monotonic()
        try:
            suites[name] = run()
        except TargetError as error:
            suites[name] = broken_suite(name, policy, str(error))
        durations[name] = time.monotonic() - started
    suites = _with_all_turns(suites, cards)
    recording = Recording(
        tier=release.tier,
        pack=release.pack,
        target=release.target.text,
        folder=release.folder,
        policy=release.policy,
        environ=release.environ,
    )
    verdict = finish_run(recording, suites, policy, durations)
    return Released(verdict=verdict, folder=release.folder, durations_s=durations)


def _suites(release: Release, cards: Sequence[Card], progress: Progress) -> dict[str, _Suite]:
    card_run = CardRun(
        pack=release.pack,
        target=release.target,
        folder=release.folder,
        environ=release.environ,
        repeats=_REPEATS[release.tier],
        judge=release.judge,
        user=release.user,
        budget=release.budget,
    )
    suites: dict[str, _Suite] = {"cards": lambda: asyncio.run(run_cards(cards, card_run, progress))}
    if not release.target.ours:
        hidden = SuiteResult(
            slots=[], metrics={}, not_measurable=dict.fromkeys(("routing", "load", "target", "turn", "store"), _NOT_OURS)
        )
        return {**suites, "rest": lambda: hidden}
    if release.target.kind == "inprocess":
        suites["routing"] = lambda: asyncio.run(_routing(release, progress))
    else:
        suites["routing"] = lambda: SuiteResult(slots=[], metrics={}, not_measurable={"routing": _SERVED, "turn.switch": _SERVED})
    load = LoadRun(
        pack=release.pack,
        profile=release.traffic,
        target=release.target,
        folder=release.folder,
        environ=release.environ,
        most_turns=_MOST_TURNS.get(release.tier),
    )
    suites["load"] = lambda: run_load_suite(cards, load, progress)
    return suites


async def _routing(release: Release, progress: Progress) -> SuiteResult:
    from evals.routing.suite import RoutingRun, run_routing

    folder = DATASETS / release.pack / "routing"
    run = RoutingRun(
        pack=release.pack,
        tests=folder / "test.jsonl",
        conversations=folder / "conversations.jsonl",
        store=release.folder / "store-routing",
        environ=release.environ,
        switching=True,
    )
    return await run_routing(run, progress)


def broken_suite(name: str, policy: Policy, reason: str) -> SuiteResult:
    """A suite whose target could not be reached: its planned metrics are null, so its gates are `invalid`."""
    prefixes = {"cards": ("cards.", "turn.", "store."), "routing": ("routing.",), "load": ("load.", "target.")}[name]
    planned = [
        line.metric
        for line in policy.lines
        if line.metric.startswith(prefixes) and "*" not in line.metric and line.planned != "later"
    ]
    return SuiteResult(slots=[], metrics=dict.fromkeys(planned), broken=[f"{name}: {reason}"])


def _with_all_turns(suites: Mapping[str, SuiteResult], cards: Sequence[Card]) -> dict[str, SuiteResult]:
    """The assistant's own time is measured over the turns of cards and of routing conversations together."""
    played = dict(suites)
    if "routing" in played and played["routing"].transcripts and played["cards"].transcripts:
        faulted = frozenset(card.id for card in cards if card.faults)
        both = [*played["cards"].transcripts, *played["routing"].transcripts]
        own_time = {name: value for name, value in turn_metrics(both, faulted=faulted).items() if not name.startswith("cards.")}
        played["cards"] = replace(played["cards"], metrics={**played["cards"].metrics, **own_time})
    return played


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"--out {folder}: is a file; give a folder") from error
    except OSError as error:
        raise EvidenceError(f"--out {folder}: cannot be made: {error.strerror}; choose another") from error
