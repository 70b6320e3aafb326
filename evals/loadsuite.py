"""The load suite: an assistant in its own process under a traffic profile, each loaded turn scored against its card."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.aftermath import Struck, aftermath
from evals.cards import Card
from evals.chaos import Disturbances, Restartable, faulty
from evals.errors import TargetError, UsageError
from evals.loading import load_metrics, loadable, paired_accuracy, score_samples, switching, write_script
from evals.serving import Served, served_assistant
from evals.stores import PostgresDatabase, fresh_database
from evals.suites import Progress, SuiteResult
from evals.targets.opening import TargetSpec, private_environ
from loadtests.campaign import read_json
from loadtests.fleet import Gathering
from loadtests.processes import LoadError
from loadtests.replaying import cannot_replay
from loadtests.runner import LoadPlan, LoadResult, run_load
from loadtests.runner import Progress as LoadProgress
from loadtests.samples import read_samples
from loadtests.script import read_script
from loadtests.summary import marked
from loadtests.traffic import TrafficProfile, load_profile
from loadtests.unloaded import play_unloaded
from reports.records import Slot

_PACED = re.compile(r"^paced:(?:.*?,)?\s*of=(?P<inner>.+)$|^paced:")


@dataclass(frozen=True, kw_only=True)
class LoadRun:
    """`paired`: play each card that was loaded once more without load and compare. `watch` hears how the run goes, about twenty times
    a second. `workers` overrides the profile's generator processes; with `gathering` they run on the hosts that join. `replay_lost`:
    what lost generators should have played is played again afterwards. `database`: a PostgreSQL server on which an own server's conversations are
    kept, in a database made for the run."""

    pack: str
    profile: Path
    target: TargetSpec
    folder: Path
    environ: Mapping[str, str]
    most_turns: int | None = None
    paired: bool = False
    workers: int | None = None
    gathering: Gathering | None = None
    web_port: int | None = None
    replay_lost: bool = False
    database: str | None = None
    watch: Callable[[LoadProgress], None] | None = None


def run_load_suite(cards: Sequence[Card], run: LoadRun, progress: Progress) -> SuiteResult:
    """Serve (unless the target is a URL), drive, score. Raises `TargetError` when the server never comes up, `UsageError` for a target
    that cannot be loaded or cards of which none can be played.
    """
    profile = _profile(run)
    script = run.folder / "script.jsonl"
    played = loadable(cards, most_turns=run.most_turns)
    if profile.content.kind == "switching":
        played = switching(played)
    if not played:
        raise UsageError(f"{run.profile}: content: no card of pack {run.pack} fits it; choose other content or another pack")
    write_script(played, script, pack=run.pack)
    with ExitStack() as stack:
        database = _database(run, stack)
        server = stack.enter_context(_restartable(run, profile, database)) if profile.chaos is not None else None
        served = server.served if server is not None else stack.enter_context(_server(run, profile, database))
        chaos = stack.enter_context(Disturbances(profile.chaos, server)) if profile.chaos and server else None
        plan = LoadPlan(
            profile=profile,
            script=script,
            base_url=served.url,
            out_dir=run.folder / "load",
            server_pid=served.pid or None,
            seed=profile.seed,
            progress=_watcher(run, progress, chaos),
            killed_by_us=profile.chaos is not None and profile.chaos.kill_at_s is not None,
            workers=run.workers,
            gathering=run.gathering,
            web_port=run.web_port,
            replay_lost=run.replay_lost,
            model=run.target.rest.partition("#")[2],
            api_key_variable="OPENAI_API_KEY" if run.target.kind == "openai" else "",
        )
        try:
            result = run_load(plan)
        except LoadError as error:
            raise TargetError(str(error)) from error
        extra = {} if chaos is None or server is None else {"chaos": _after(result, run, chaos, server)}
    return _result(result, played, profile, run, extra)


def _profile(run: LoadRun) -> TrafficProfile:
    profile = load_profile(run.profile)
    if run.replay_lost and (why := cannot_replay(profile)):
        raise UsageError(f"--replay-lost: {run.profile} cannot be made up for later, {why}; leave it away")
    if run.target.kind != "openai":
        return profile
    if profile.hold is not None:
        raise UsageError(
            f"{run.profile}: hold: an OpenAI-compatible endpoint has no WebSockets; choose another profile or target"
        )
    return profile.model_copy(update={"transport": "openai"})


def _database(run: LoadRun, stack: ExitStack) -> PostgresDatabase | None:
    if run.database is None:
        return None
    if run.target.kind != "inprocess":
        raise UsageError("--database: is the store of a server started here; leave --target away")
    return stack.enter_context(fresh_database(run.database))


def _environ(run: LoadRun, model: str, store: str, database: PostgresDatabase | None) -> dict[str, str]:
    kept = {} if database is None else {"ASSAY_DATABASE_URL": database.url}
    return {**private_environ(run.environ, run.folder / store), "ASSAY_MODEL": model, **kept}


def _restartable(run: LoadRun, profile: TrafficProfile, database: PostgresDatabase | None) -> Restartable:
    if run.target.kind != "inprocess":
        raise UsageError(f"{run.profile}: chaos: only a server of our own is struck; leave --target away")
    environ = _environ(run, profile.model, "store-load", database)
    server = Restartable(["--pack", run.pack, "--sandboxes"], environ=environ, folder=run.folder, database=database)
    if profile.chaos is not None and profile.chaos.model:
        environ["ASSAY_MODEL"] = faulty(profile.model, server.model_faults)
    return server


def _after(result: LoadResult, run: LoadRun, chaos: Disturbances, server: Restartable) -> dict[str, Any]:
    chaos.cease()
    zero = read_json(run.folder / "load" / "load" / "start.json")
    struck = [
        Struck(kind=fault.kind, at_s=fault.begun_at - zero["zero"], for_s=fault.for_s)
        for fault in chaos.faults
        if zero is not None and fault.begun_at is not None
    ]
    if not struck:
        return {}
    script = read_script(run.folder / "script.jsonl")
    return aftermath(list(read_samples(result.samples)), script, server.served.url, struck).as_row()


def _watcher(run: LoadRun, progress: Progress, chaos: Disturbances | None) -> Callable[[LoadProgress], None]:
    def watch(seen: LoadProgress) -> None:
        progress("load", round(seen.t_s), round(seen.total_s))
        if run.watch is not None:
            run.watch(seen)
        if chaos is not None:
            chaos.look(seen.t_s)

    return watch


def _server(run: LoadRun, profile: TrafficProfile, database: PostgresDatabase | None) -> AbstractContextManager[Served]:
    if run.target.kind in {"http", "https"}:
        return nullcontext(Served(url=run.target.text, pid=0))
    if run.target.kind == "openai":
        return nullcontext(Served(url=run.target.rest.partition("#")[0], pid=0))
    if run.target.kind != "inprocess":
        raise UsageError(f"--target {run.target.text}: load needs a server; give inprocess, http(s)://… or openai:URL#MODEL")
    return _own_server(run, profile.model, "load", database)


def _own_server(run: LoadRun, model: str, name: str, database: PostgresDatabase | None = None) -> AbstractContextManager[Served]:
    environ = _environ(run, model, f"store-{name}", database)
    log = run.folder / ("server.log" if name == "load" else f"server-{name}.log")
    return served_assistant(["--pack", run.pack, "--sandboxes"], environ=environ, log=log)


def _result(
    result: LoadResult, cards: Sequence[Card], profile: TrafficProfile, run: LoadRun, extra: Mapping[str, Any]
) -> SuiteResult:
    samples = list(result.measured())
    slots = score_samples(samples, cards, ours=run.target.ours)
    scored = load_metrics(slots, samples, objective_s=profile.objectives.response_s, window_s=result.window_s)
    if result.tables["load"]["replayed"]:
        scored = marked(scored)
    tables: dict[str, Any] = {**result.tables, "load": {**result.tables["load"], **extra}}
    if run.paired and slots and run.target.ours:
        tables["load"] = {**tables["load"], "paired": _paired(slots, cards, profile, run)}
    return SuiteResult(
        slots=slots,
        metrics={**result.metrics, **scored},
        tables=tables,
        broken=result.broken,
        load={**result.load, "model": profile.model} | ({"store": "postgresql"} if run.database else {}),
        digests=result.digests,
    )


def _paired(slots: Sequence[Slot], cards: Sequence[Card], profile: TrafficProfile, run: LoadRun) -> dict[str, Any]:
    """The cards that were loaded, played one by one; an own server answers them without the pauses that change no word."""
    loaded = {slot.labels["card"] for slot in slots}
    script = [talk for talk in read_script(run.folder / "script.jsonl") if talk.id in loaded]
    found = _PACED.match(profile.model)
    inner = (found["inner"] or "embedded") if found else profile.model
    if run.target.kind in {"http", "https"}:
        server: AbstractContextManager[Served] = nullcontext(Served(url=run.target.text, pid=0))
    else:
        server = _own_server(run, inner, "unloaded")
    with server as served:
        samples = play_unloaded(script, served.url, timeout_s=profile.turn_timeout_s)
    return paired_accuracy(slots, score_samples(samples, cards))
