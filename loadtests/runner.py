"""Runner: one load run from plan to result. The plain side of the wall: Locust runs in processes of its own.

Every process that the runner starts has its own process group and is ended in every case, by force if it must be.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loadtests.campaign import WorkerConfig, read_json, read_reports
from loadtests.evidence import Evidence
from loadtests.fleet import Fleet, Gathering
from loadtests.generators import Generates, Generators, Watched, calibrated
from loadtests.gpus import GpuUsage, GpuWatch
from loadtests.histogram import Histogram
from loadtests.replaying import Replayed, replay
from loadtests.resources import Sampler, Usage, alive
from loadtests.samples import Sample, read_samples
from loadtests.schedule import plan_sessions, planned_turns, turns_per_s, worker_slice
from loadtests.script import read_script, script_digest
from loadtests.stream import TURN_PATH, TurnClient
from loadtests.summary import metrics
from loadtests.tables import tables
from loadtests.traffic import Trace, TrafficProfile
from loadtests.validity import broken
from reports.records import Estimate


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: seconds into `total_s` (drain not counted), measured turns ended of those planned, and how many failed.

    `planned` is 0 in a closed loop, where no schedule says it. `in_flight` is the newest count; the quantiles are of the measured turns so far,
    failed ones as infinite, null before the first.
    """

    t_s: float
    total_s: float
    done: int
    planned: int
    errors: int
    in_flight: int = 0
    response_p50_s: float | None = None
    response_p95_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """One run. `server_pid`: root of the server's process tree, to watch its resources; null when it is not ours.

    `calibration_s` 0 skips the calibration (the run then says nothing about the client's floor). `workers` generator processes share the
    load (default: as many as the profile says). `model` and the name of the environment variable that holds the key are for
    OpenAI-compatible targets. `killed_by_us`: our own fault schedule kills the server, so its first process need not be there at the end. `gathering`:
    the generators run on hosts that join; null: on this one. `web_port`: Locust's page of the first generator, on loopback.
    `replay_lost`: what lost generators should have played is played again afterwards, on this host (see `replaying`).
    """

    profile: TrafficProfile
    script: Path
    base_url: str
    out_dir: Path
    server_pid: int | None
    seed: int
    progress: Callable[[Progress], None] | None = None
    workers: int | None = None
    calibration_s: float = 2.0
    turn_path: str = TURN_PATH
    model: str = ""
    api_key_variable: str = ""
    killed_by_us: bool = False
    gathering: Gathering | None = None
    web_port: int | None = None
    replay_lost: bool = False

    @property
    def processes(self) -> int:
        if self.gathering is not None:
            return self.gathering.expect * self.gathering.per_host
        return self.workers or self.profile.workers


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """`broken`: why the run proves nothing about the target (empty: it can be judged). `samples` is the folder of sample files.

    `load` and `digests` are for the record's provenance: runs compare only when these are equal.
    """

    metrics: dict[str, Estimate | None]
    tables: dict[str, Any]
    broken: list[str]
    samples: Path
    planned_turns: int
    window_s: float
    duration_s: float
    load: dict[str, str]
    digests: dict[str, str]

    def measured(self) -> Iterator[Sample]:
        """The measured turns, streamed from the sample files."""
        return (sample for sample in read_samples(self.samples) if sample.phase == "steady")


def run_load(plan: LoadPlan) -> LoadResult:
    """Play the plan against its target and conclude. Blocks for about `warmup_s + duration_s` plus drain and a few seconds.

    Leaves `samples/*.jsonl` and `load/` in `out_dir`. Raises `ScriptError` for a faulty script and `LoadError` when
    nothing can be started. Everything that the target or the
    generator does wrong is in the result; Ctrl-C passes through after the processes are gone.
    """
    started = time.monotonic()
    sessions = plan_sessions(plan.profile, read_script(plan.script), seed=plan.seed)
    planned = planned_turns(sessions)
    folder, samples = _folders(plan.out_dir)
    config = _config(plan, planned, folder, samples)
    with ExitStack() as stack:
        generators = _generates(plan, config, stack)
        watched, server, gpus = _campaign(plan, generators, planned)
    replayed = _replay(plan, config, watched)
    turns = list(read_samples(samples))
    evidence = Evidence(
        profile=plan.profile,
        sessions=sessions,
        samples=turns,
        reports=read_reports(folder, plan.processes),
        server=server,
        gpus=gpus,
        generator=generators.usages,
        hosts=generators.hosts,
        survived=_survived(plan, turns),
        ended_early=watched.told if replayed is None else replayed.reason,
        replayed=replayed,
        seed=plan.seed,
    )
    return LoadResult(
        metrics=metrics(evidence),
        tables=tables(evidence),
        broken=broken(evidence),
        samples=samples,
        planned_turns=evidence.planned,
        window_s=plan.profile.arrivals.duration_s,
        duration_s=time.monotonic() - started,
        load=_load(plan, planned) | ({"replayed": f"{len(replayed.lost)} of {plan.processes}"} if replayed else {}),
        digests={"traffic": _digest(plan.profile), "script": script_digest(plan.script)},
    )


def _config(plan: LoadPlan, planned: int, folder: Path, samples: Path) -> WorkerConfig:
    """What every generator process is told, before the calibration."""
    return WorkerConfig(
        profile=plan.profile,
        script=plan.script.resolve(),
        base_url=plan.base_url,
        turn_path=plan.turn_path,
        seed=plan.seed,
        workers=plan.processes,
        folder=folder,
        samples=samples,
        calibration_url=None,
        calibration_s=plan.calibration_s,
        parent_pid=os.getpid(),
        turns_per_s=turns_per_s(plan.profile, planned),
        model=plan.model,
        api_key_variable=plan.api_key_variable,
        web_port=plan.web_port,
    )


def _generates(plan: LoadPlan, config: WorkerConfig, stack: ExitStack) -> Generates:
    """The generator processes of the plan, on this host or on those that join."""
    if plan.gathering is not None:
        return stack.enter_context(Fleet(plan.gathering, config))
    config = replace(config, calibration_url=calibrated(stack, config))
    config.write()
    return stack.enter_context(Generators(config, range(config.workers)))


def _campaign(plan: LoadPlan, generators: Generates, planned: int) -> tuple[Watched, list[Usage], list[GpuUsage] | None]:
    """See the generators through: ready, start, end. How that went, and what was sampled of the server and, for an own one, of the
    GPUs it may use."""
    reason = generators.wait_ready()
    if reason:
        return Watched(reason=reason), [], None
    zero = time.monotonic() + generators.head_start_s
    generators.start(zero)

    def polled() -> None:
        _tell(plan, generators.rows(), zero, planned)

    pids = [] if plan.server_pid is None else [plan.server_pid]
    with Sampler(pids, zero=zero) as server, GpuWatch(zero=zero) if pids else nullcontext() as gpus:
        watched = generators.watch(polled)
    return watched, server.usages, None if gpus is None else gpus.usages


def _replay(plan: LoadPlan, config: WorkerConfig, watched: Watched) -> Replayed | None:
    """What was lost, played again where that was asked for and can be; null where nothing was."""
    start = read_json(config.folder / "start.json")
    if not plan.replay_lost or not watched.lost or watched.reason or start is None:
        return None
    sessions = plan_sessions(plan.profile, read_script(plan.script), seed=plan.seed)
    share = [one for number in watched.lost for one in worker_slice(sessions, worker=number, workers=config.workers)]
    began = time.monotonic()
    return replay(
        config,
        watched.lost,
        zero=start["zero"],
        polled=lambda rows: _tell(plan, rows, began, planned_turns(share)),
    )


def _tell(plan: LoadPlan, rows: Sequence[Mapping[str, Any]], zero: float, planned: int) -> None:
    if plan.progress is not None:
        total_s = plan.profile.warmup_s + plan.profile.arrivals.duration_s
        plan.progress(_progress(rows, time.monotonic() - zero, total_s, planned))


def _progress(rows: Sequence[Mapping[str, Any]], t_s: float, total_s: float, planned: int) -> Progress:
    done, errors = (sum(row[name] for row in rows) for name in ("done", "errors"))
    responses = Histogram()
    for row in rows:
        responses.merge(Histogram.from_json(row["response_s"]))
    return Progress(
        t_s=max(0.0, t_s),
        total_s=total_s,
        done=done,
        planned=planned,
        errors=errors,
        in_flight=sum(row["in_flight"] for row in rows),
        response_p50_s=responses.quantile(0.50),
        response_p95_s=responses.quantile(0.95),
    )


def _folders(out_dir: Path) -> tuple[Path, Path]:
    """The campaign's folder and the samples' folder, without what an earlier run left there."""
    for place in ("replay", "lost"):
        shutil.rmtree(out_dir / "load" / place, ignore_errors=True)
    folder, samples = (out_dir / name for name in ("load", "samples"))
    for place, pattern in ((folder, "*.json"), (samples, "*.jsonl")):
        place.mkdir(parents=True, exist_ok=True)
        for old in place.glob(pattern):
            old.unlink()
    return folder.resolve(), samples.resolve()


def _survived(plan: LoadPlan, samples: list[Sample]) -> bool | None:
    """Whether the target still answers; null when it never did."""
    if not any(sample.status is not None for sample in samples):
        return None
    if plan.server_pid is not None and not plan.killed_by_us and not alive(plan.server_pid):
        return False
    client = TurnClient(base_url=plan.base_url, timeout_s=5.0)
    try:
        return client.is_there()
    finally:
        client.close()


def _load(plan: LoadPlan, planned: int) -> dict[str, str]:
    arrivals = plan.profile.arrivals
    return {
        "profile": plan.profile.name,
        "arrivals": arrivals.pattern,
        "turns_per_s": f"{turns_per_s(plan.profile, planned):g}",
        "duration_s": f"{arrivals.duration_s:g}",
        "model": plan.profile.model,
        "seed": str(plan.seed),
        "workers": str(plan.processes),
    }


def _digest(profile: TrafficProfile) -> str:
    """Of what the profile says beyond the defaults, and of the bytes of its trace rather than of where that lies."""
    said = profile.model_dump(mode="json", exclude_defaults=True)
    if isinstance(profile.arrivals, Trace):
        said["arrivals"]["file"] = hashlib.sha256(Path(profile.arrivals.file).read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
