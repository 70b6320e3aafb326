"""Jobs: what a master tells a host to play, and the proof that both derived the same schedule from it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.campaign import WorkerConfig
from loadtests.schedule import plan_sessions, think_times
from loadtests.script import read_script
from loadtests.traffic import Trace, TrafficProfile

_PLAIN = ("base_url", "turn_path", "seed", "workers", "calibration_s", "turns_per_s", "model", "api_key_variable")


def job_of(config: WorkerConfig, numbers: Sequence[int]) -> dict[str, Any]:
    """The campaign as JSON, files included; `numbers` are the generators that the host is to run. Keys stay on each host."""
    arrivals = config.profile.arrivals
    return {
        **{name: getattr(config, name) for name in _PLAIN},
        "profile": config.profile.model_dump(mode="json"),
        "script": config.script.read_text(encoding="utf-8"),
        "trace": Path(arrivals.file).read_text(encoding="utf-8") if isinstance(arrivals, Trace) else None,
        "numbers": list(numbers),
    }


def config_of(job: dict[str, Any], folder: Path) -> WorkerConfig:
    """The campaign that a job describes, with its files in `folder`; without calibration server. Raises `KeyError` and `ValueError`."""
    samples = folder / "samples"
    samples.mkdir()
    script = folder / "script.jsonl"
    script.write_text(job["script"], encoding="utf-8")
    profile = TrafficProfile.model_validate(job["profile"])
    if isinstance(profile.arrivals, Trace):
        trace = folder / f"trace{Path(profile.arrivals.file).suffix}"
        trace.write_text(job["trace"], encoding="utf-8")
        profile = profile.model_copy(update={"arrivals": profile.arrivals.model_copy(update={"file": str(trace)})})
    return WorkerConfig(
        profile=profile,
        script=script,
        folder=folder,
        samples=samples,
        calibration_url=None,
        parent_pid=os.getpid(),
        **{name: job[name] for name in _PLAIN},
    )


def schedule_digest(config: WorkerConfig) -> str:
    """SHA-256 of who says what when: every session with its phase, its intended start to the last bit, its conversation and its thoughts.
    Users of a closed loop follow from profile, script and seed alone; their digest is of those."""
    digest = hashlib.sha256(f"{config.seed}/{config.workers}/".encode() + config.script.read_bytes())
    for session in plan_sessions(config.profile, read_script(config.script), seed=config.seed):
        thoughts = think_times(config.profile, session, seed=config.seed)
        digest.update(f"{session.session} {session.phase} {session.t_plan!r} {session.conversation.id} {thoughts!r}\n".encode())
    return digest.hexdigest()
