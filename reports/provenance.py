"""Where a run comes from: commit, versions, machine class, digests. Unknown is null or left out, never guessed."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import psutil

from reports.records import Provenance

PACKAGES = ("assay", "pydantic-ai-slim", "pydantic-evals", "onnxruntime", "locust", "scikit-learn", "numpy")
GIT_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What only the producer of a run knows. `files` maps a digest's name to a file or folder."""

    model: str
    seeds: Mapping[str, int] = field(default_factory=dict[str, int])
    load: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])
    digests: Mapping[str, str] = field(default_factory=dict[str, str])


def collect_provenance(root: Path, origin: Origin, *, packages: Iterable[str] = PACKAGES) -> Provenance:
    """Provenance of a run of the working tree at `root`.

    Commit and dirtiness are null outside a git tree or without git. Packages that are not installed and files that do not exist
    are left out.
    """
    digests = {name: digest for name, path in sorted(origin.files.items()) if (digest := digest_path(path))}
    status = _git(root, "status", "--porcelain")
    return Provenance(
        commit=_git(root, "rev-parse", "HEAD") or None,
        dirty=None if status is None else bool(status),
        versions=_versions(packages),
        seeds=dict(origin.seeds),
        digests={**origin.digests, **digests},
        machine=machine_class(),
        model=origin.model,
        load=dict(origin.load),
    )


def machine_class() -> dict[str, str]:
    """What makes two machines' times comparable: system, processor, usable cores, memory rounded to GiB."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": str(cores or "unknown"),
        "memory_gib": str(round(psutil.virtual_memory().total / 2**30)),
    }


def digest_path(path: Path) -> str | None:
    """`sha256:…` of a file, or of a folder's files by relative name and content; null when it does not exist."""
    if path.is_file():
        return f"sha256:{_hash_file(path)}"
    if not path.is_dir():
        return None
    total = hashlib.sha256()
    kept = (p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    for file in sorted(kept, key=lambda p: p.relative_to(path).as_posix()):
        total.update(f"{file.relative_to(path).as_posix()}\0{_hash_file(file)}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown"
    )


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command, null when git is absent, fails, or takes too long."""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
