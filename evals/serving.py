"""A served assistant in its own process, started for one measurement and stopped with everything it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from evals.errors import TargetError

_POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Served:
    url: str
    pid: int


@contextmanager
def served_assistant(
    arguments: Sequence[str], *, environ: Mapping[str, str], log: Path, patience_s: float = 30.0, port: int | None = None
) -> Generator[Served]:
    """Run `assay serve ARGUMENTS` on a loopback port (default: a free one) until the block ends.

    Raises `TargetError` when it does not answer `/healthz` within `patience_s`; its output is in `log`.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    process = _Process(
        what="the assistant", arguments=["serve", "--port", str(port), *arguments], probe=f"{url}/healthz", log=log
    )
    with process.running(environ, patience_s) as pid:
        yield Served(url=url, pid=pid)


@contextmanager
def served_model(options: Mapping[str, float], *, log: Path, patience_s: float = 30.0) -> Generator[str]:
    """Run `assay mock-model` with these options on a free loopback port until the block ends; its OpenAI-compatible URL.

    Raises `TargetError` when it does not answer within `patience_s`; its output is in `log`.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    said = [word for name, value in options.items() for word in (f"--{name}", f"{value:g}")]
    process = _Process(
        what="the model server", arguments=["mock-model", "--port", str(port), *said], probe=f"{url}/models", log=log
    )
    with process.running(os.environ, patience_s):
        yield url


@dataclass(frozen=True, kw_only=True)
class _Process:
    """A command of `assay` that serves; `probe` is what it answers once it is there."""

    what: str
    arguments: Sequence[str]
    probe: str
    log: Path

    @contextmanager
    def running(self, environ: Mapping[str, str], patience_s: float) -> Generator[int]:
        command = [sys.executable, "-m", "evals.cli.main", *self.arguments]
        with self.log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                start_new_session=True,
            )
            try:
                self._wait(process, patience_s)
                yield process.pid
            finally:
                _stop(process)

    def _wait(self, process: subprocess.Popen[bytes], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise TargetError(
                    f"{self.what} did not start (exit {process.returncode}): {_last_line(self.log)}; its output is in {self.log}"
                )
            try:
                if httpx2.get(self.probe, timeout=2.0).is_success:
                    return
            except httpx2.HTTPError:
                pass
            time.sleep(_POLL_S)
        raise TargetError(f"{self.what} did not answer at {self.probe} within {patience_s:g} s; its output is in {self.log}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop(process: subprocess.Popen[bytes]) -> None:
    for signum, patience_s in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, signum)
            process.wait(patience_s)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"
