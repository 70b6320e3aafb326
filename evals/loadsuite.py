"""The load suite: an assistant in its own process under a traffic profile, each loaded turn scored against its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from evals.cards import Card
from evals.loading import load_metrics, loadable, score_samples, switching, write_script
from evals.serving import Served, served_assistant
from evals.suites import Progress, SuiteResult
from evals.targets.opening import TargetSpec, private_environ
from loadtests.runner import LoadPlan, LoadResult, run_load
from loadtests.traffic import TrafficProfile, load_profile


@dataclass(frozen=True, kw_only=True)
class LoadRun:
    pack: str
    profile: Path
    target: TargetSpec
    folder: Path
    environ: Mapping[str, str]
    most_turns: int | None = None


def run_load_suite(cards: Sequence[Card], run: LoadRun, progress: Progress) -> SuiteResult:
    """Serve (unless the target is a URL), drive, score. Raises `TargetError` when the server never comes up."""
    profile = load_profile(run.profile)
    script = run.folder / "script.jsonl"
    played = loadable(cards, most_turns=run.most_turns)
    if profile.content.kind == "switching":
        played = switching(played)
    write_script(played, script, pack=run.pack)
    with _server(run, profile) as served:
        plan = LoadPlan(
            profile=profile,
            script=script,
            base_url=served.url,
            out_dir=run.folder / "load",
            server_pid=served.pid or None,
            seed=profile.seed,
            progress=lambda seen: progress("load", round(seen.t_s), round(seen.total_s)),
        )
        result = run_load(plan)
    return _result(result, played, profile)


def _server(run: LoadRun, profile: TrafficProfile) -> AbstractContextManager[Served]:
    if run.target.kind in {"http", "https"}:
        return nullcontext(Served(url=run.target.text, pid=0))
    environ = {**private_environ(run.environ, run.folder / "store-load"), "ASSAY_MODEL": profile.model}
    return served_assistant(["--pack", run.pack, "--sandboxes"], environ=environ, log=run.folder / "server.log")


def _result(result: LoadResult, cards: Sequence[Card], profile: TrafficProfile) -> SuiteResult:
    samples = list(result.measured())
    slots = score_samples(samples, cards)
    scored = load_metrics(slots, samples, objective_s=profile.objectives.response_s, window_s=result.window_s)
    return SuiteResult(
        slots=slots,
        metrics={**result.metrics, **scored},
        tables=result.tables,
        broken=result.broken,
        load={**result.load, "model": profile.model},
        digests=result.digests,
    )
