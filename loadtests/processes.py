"""Processes: the ones a load run starts, each in a group of its own, and their certain end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from loadtests.campaign import CONFIG_VARIABLE, WORKER_VARIABLE, WorkerConfig

ROOT = Path(__file__).resolve().parent.parent


class LoadError(Exception):
    """A load run cannot start: the message says why and where to look."""


@contextmanager
def locust_worker(config: WorkerConfig, number: int) -> Generator[subprocess.Popen[bytes]]:
    """A Locust, headless but for the page that was asked for. It runs in the campaign's folder, so that no Locust configuration of the caller's folder reaches it."""
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(ROOT / "loadtests" / "locustfile.py"),
        "--only-summary",
        *_page(config, number),
    ]
    command += ["--loglevel", "WARNING", "--exit-code-on-error", "0"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    # Gevent notes the stack of whoever spawns a greenlet, for debuggers; here that is a stack for each conversation.
    environ["GEVENT_TRACK_GREENLET_TREE"] = "0"
    environ |= {CONFIG_VARIABLE: str(config.folder / "config.json"), WORKER_VARIABLE: str(number)}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), environ.get("PYTHONPATH"))))
    with (config.folder / f"locust-{number}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=config.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _page(config: WorkerConfig, number: int) -> list[str]:
    """Locust's page starts and ends with the campaign: it shows one, it cannot start others."""
    if config.web_port is None or number != 0:
        return ["--headless"]
    return ["--autostart", "--autoquit", "0", "--web-host", "127.0.0.1", "--web-port", str(config.web_port)]


@contextmanager
def calibration_server(folder: Path) -> Generator[str]:
    with (folder / "calibration.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.calibration"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            port = process.stdout.readline() if process.stdout else b""
            if not port:
                raise LoadError(f"the calibration server did not start; its output is in {folder / 'calibration.log'}")
            yield f"http://127.0.0.1:{int(port)}"
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group; what does not go when asked is killed."""
    for signum, patience_s in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            break
        os.killpg(process.pid, signum)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
