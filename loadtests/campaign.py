"""Campaign files: what the runner tells its Locust workers and what they answer, as JSON in one folder.

`config.json` comes first. A worker answers `ready-N.json`, waits for `start.json` (the common zero of the clock, monotonic and
shared on one machine), keeps `progress-N.json` fresh and ends with `worker-N.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loadtests.traffic import TrafficProfile

CONFIG_VARIABLE = "ASSAY_LOAD_CONFIG"
WORKER_VARIABLE = "ASSAY_LOAD_WORKER"


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """Everything a worker needs; `calibration_url` null skips the calibration. `parent_pid` gone: the worker ends.

    `web_port`: the first generator shows Locust's own web page there, on loopback. `turns_per_s` is what the profile is expected to send. `model` and the environment variable of the key are for OpenAI-compatible
    targets. `replay`: what is played was lost before and is played again.
    """

    profile: TrafficProfile
    script: Path
    base_url: str
    turn_path: str
    seed: int
    workers: int
    folder: Path
    samples: Path
    calibration_url: str | None
    calibration_s: float
    parent_pid: int
    turns_per_s: float = 0.0
    model: str = ""
    api_key_variable: str = ""
    web_port: int | None = None
    replay: bool = False

    def write(self) -> Path:
        data = {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}
        return write_json(self.folder / "config.json", {**data, "profile": self.profile.model_dump(mode="json")})

    @classmethod
    def read(cls, path: Path) -> WorkerConfig:
        data = json.loads(path.read_text(encoding="utf-8"))
        paths = {name: Path(data.pop(name)) for name in ("script", "folder", "samples")}
        return cls(profile=TrafficProfile.model_validate(data.pop("profile")), **paths, **data)


@dataclass(frozen=True, kw_only=True)
class WorkerReport:
    """What a worker saw beside its samples.

    `sessions`: one row per conversation taken up (`session phase t_plan t_taken waited t_ready`); `t_ready` is when its slot and
    sandbox were there, null if never. `gauge`: rows of (seconds, turns in flight, open conversations). `calibration`: client floor, or null.
    `histograms`: metric name to `Histogram.as_json`, measured turns only. `due`: measured turns that fell due. `turn_seconds`: seconds that
    turns spent in flight inside the measured window, null when they were not counted. `held`: what became of held connections (see
    `holding.Held`), or null. `connections`: how requests were carried (see `connections.Connections`), sandboxes' among them.
    """

    worker: int
    sandboxes: bool
    sessions: list[dict[str, Any]]
    gauge: list[tuple[float, int, int]]
    calibration: dict[str, Any] | None
    histograms: dict[str, dict[str, Any]]
    due: int = 0
    turn_seconds: float | None = None
    held: dict[str, Any] | None = None
    connections: dict[str, int] = field(default_factory=dict[str, int])

    def write(self, folder: Path) -> Path:
        return write_json(folder / f"worker-{self.worker}.json", asdict(self))


def read_reports(folder: Path, workers: int) -> list[WorkerReport | None]:
    """One entry per worker; null where a worker ended without its report."""
    found: list[WorkerReport | None] = []
    for worker in range(workers):
        data = read_json(folder / f"worker-{worker}.json")
        found.append(None if data is None else WorkerReport(**data))
    return found


def write_json(path: Path, data: object) -> Path:
    """Replace the file whole, so that a reader sees the old content or the new one."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(data), encoding="utf-8")
    draft.replace(path)
    return path


def read_json(path: Path) -> dict[str, Any] | None:
    """The content, or null when the file is not there (yet)."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
