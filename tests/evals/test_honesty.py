"""Bad assistants fail, broken evidence is invalid, and no fault of ours ever improves a rate."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic_evals.evaluators import EvaluationReason

from evals.catalog import load_cards
from evals.evaluators.answer import Context, Say
from evals.experiment import Pace, collect, run_plan
from evals.journal import Journal
from evals.mutation import TOOL_OPERATORS, Mutant, mutants
from evals.plan import plan_cards
from evals.recording import Recording, finish_run
from evals.release import DATASETS, Release, broken_suite, run_release
from evals.routing.data import read_utterances
from evals.routing.measure import route_all, routing_metrics, routing_slots
from evals.scoring import card_metrics
from evals.suites import SuiteResult, card_result
from evals.targets.inprocess import PackSource, load_pack
from evals.targets.opening import CARD_CLOCK, parse_target, private_environ
from reports.gates.policy import Policy, read_policy
from reports.gates.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "datasets/qsr/scenarios"
LABELS = ["equipment", "safety", "operations", "training", "none"]


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> PackSource:
    environ = private_environ(os.environ, tmp_path_factory.mktemp("store"))
    return load_pack("qsr", environ, now=CARD_CLOCK)


def nothing(name: str, done: int, total: int) -> None:
    return None


def policy_of(tmp_path: Path, *lines: str) -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text("name: test\nmax_unjudged: 0.01\nlines:\n" + "".join(f"  - {{{line}}}\n" for line in lines))
    return read_policy(path)


def conclude(tmp_path: Path, suites: Mapping[str, SuiteResult], policy: Policy) -> Verdict:
    recording = Recording(
        tier="pr",
        pack="qsr",
        target="test",
        folder=tmp_path,
        policy=tmp_path / "policy.yaml",
        environ={"ASSAY_MODEL": "embedded"},
    )
    return finish_run(recording, suites, policy, {})


@pytest.mark.parametrize("name", ["abstains", "echoes", "one_answer"])
def test_canned_assistants_fail(name: str, tmp_path: Path) -> None:
    release = Release(
        tier="pr",
        pack="qsr",
        target=parse_target(f"python:canned:{name}"),
        policy=DATASETS / "gates" / "pr.yaml",
        folder=tmp_path / "run",
        environ=os.environ,
    )
    released = run_release(release, nothing)
    assert (released.verdict.verdict, released.verdict.exit_code) == ("fail", 1)
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


def test_an_assistant_that_never_answers_is_invalid(tmp_path: Path) -> None:
    release = Release(
        tier="pr",
        pack="qsr",
        target=parse_target("python:canned:silent"),
        policy=DATASETS / "gates" / "pr.yaml",
        folder=tmp_path / "run",
        environ=os.environ,
    )
    assert run_release(release, nothing).verdict.exit_code == 3


@pytest.mark.parametrize("scheme", ["random", "shuffled"])
def test_a_router_that_guesses_fails_and_routing_is_blamed(scheme: str, source: PackSource, tmp_path: Path) -> None:
    from assistant.routing import RouteContext

    router, chance = source.parts.router, random.Random(7)
    moved = dict(zip(LABELS, LABELS[1:] + LABELS[:1], strict=True))

    def decide(text: str) -> Any:
        decision = router.decide(text, RouteContext())
        return replace(decision, agent=chance.choice(LABELS) if scheme == "random" else moved[decision.agent])

    utterances = read_utterances(DATASETS / "qsr/routing/test.jsonl", agents=LABELS)[::5]
    outcomes = route_all(utterances, decide)
    metrics = routing_metrics(outcomes, agents=LABELS, planned=len(utterances))
    suite = SuiteResult(slots=routing_slots(outcomes), metrics=metrics)
    verdict = conclude(tmp_path, {"routing": suite}, policy_of(tmp_path, "metric: routing.accuracy, at_least: 0.95, tiers: [pr]"))
    assert (verdict.verdict, verdict.blame) == ("fail", "routing")


async def test_a_tool_with_wrong_temperatures_fails_and_names_the_cards(source: PackSource, tmp_path: Path) -> None:
    cards = load_cards(SCENARIOS / "safety")
    plan = plan_cards(cards, repeats=1, visible=(await _target(source)).visible, llm=False)
    mutant = next(m for m in _tool_mutants(source, "log_temperature") if m.operator == "wrong figure")
    async with source.target(mutant.plant(source.pack, tmp_path)) as target:
        with Journal.open(tmp_path, digest="x") as journal:
            played = await run_plan(plan, target, journal, Pace(concurrency=1))
    verdict = conclude(
        tmp_path,
        {"cards": card_result(plan, played)},
        policy_of(tmp_path, "metric: cards.pass_rate, at_least: 1.0, bound: point, tiers: [pr]"),
    )
    failed = {card.card for card in verdict.failures}
    assert verdict.verdict == "fail"
    assert {"temperature-round-fahrenheit", "temperature-round-celsius"} <= failed


async def test_our_own_evaluator_raising_on_half_of_the_cards_is_invalid_and_never_a_better_rate(
    source: PackSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = load_cards(SCENARIOS / "safety")[:16]
    target = await _target(source)
    plan = plan_cards(cards, repeats=1, visible=target.visible, llm=False)
    half = {card.id for card in cards[::2]}
    sound = Say.evaluate

    def raising(self: Say, ctx: Context) -> EvaluationReason:
        if ctx.name in half:
            raise ZeroDivisionError("planted")
        return sound(self, ctx)

    async with target:
        with Journal.open(tmp_path / "sound", digest="x") as journal:
            before = card_metrics((await run_plan(plan, target, journal, Pace(concurrency=1))).slots)["cards.pass_rate"]
        monkeypatch.setattr(Say, "evaluate", raising)
        with Journal.open(tmp_path / "raising", digest="x") as journal:
            played = await run_plan(plan, target, journal, Pace(concurrency=1))
    result = card_result(plan, played)
    after = result.metrics["cards.pass_rate"]
    assert before is not None and after is not None
    assert before.planned == after.planned and (after.value or 0) < (before.value or 0)
    verdict = conclude(tmp_path, {"cards": result}, policy_of(tmp_path, "metric: cards.pass_rate, at_least: 0.1, tiers: [pr]"))
    assert verdict.exit_code == 3


def test_a_run_cut_short_is_invalid(source: PackSource, tmp_path: Path) -> None:
    cards = load_cards(SCENARIOS / "safety")
    plan = plan_cards(cards, repeats=1, visible=source.target(source.pack).visible, llm=False)
    with Journal.open(tmp_path, digest="x") as journal:
        played = collect(plan, journal)
    verdict = conclude(
        tmp_path, {"cards": card_result(plan, played)}, policy_of(tmp_path, "metric: cards.pass_rate, at_least: 0.1, tiers: [pr]")
    )
    assert verdict.exit_code == 3


def test_a_suite_whose_target_is_gone_is_invalid(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, "metric: load.error_rate, at_most: 0.01, tiers: [pr]")
    verdict = conclude(tmp_path, {"load": broken_suite("load", policy, "nobody there")}, policy)
    assert verdict.exit_code == 3
    assert "nobody there" in " ".join(verdict.reasons)


def _tool_mutants(source: PackSource, tool: str) -> list[Mutant]:
    from evals.transcript import ToolCall, Transcript, Turn, Visible

    call = ToolCall(tool=tool, arguments={}, ok=True)
    transcript = Transcript(card="x", repeat=0, turns=[Turn(user="", text="", tool_calls=[call])], visible=Visible())
    found = [mutant for mutant in mutants(source.pack, [transcript]) if mutant.kind == "tool"]
    assert len(found) == len(TOOL_OPERATORS)
    return found


async def _target(source: PackSource) -> Any:
    await asyncio.sleep(0)
    return source.target(source.pack)
