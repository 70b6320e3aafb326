"""Joining: a worker host's side of a distributed load run, from the connection to the last sample."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from loadtests.campaign import WorkerConfig, read_reports
from loadtests.generators import READY_S, Generators, Watched, calibrated
from loadtests.jobs import config_of, schedule_digest
from loadtests.links import Link, LinkLost, Refused, ask_in, own_build
from loadtests.processes import LoadError

TELL_EVERY_S = 0.5
PIECE_BYTES = 4 * 1024 * 1024
WAIT_S = 600.0
"""How long a host that joined waits for the others."""


class Tail:
    """Reads a file that another process appends to, whole lines at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._rest = b""

    def read(self) -> str:
        """The lines that came since, `PIECE_BYTES` at most; empty when there are none."""
        if self._file is None:
            if not self._path.exists():
                return ""
            self._file = self._path.open("rb")
        whole, end, rest = (self._rest + self._file.read(PIECE_BYTES)).rpartition(b"\n")
        self._rest = rest
        return (whole + end).decode("utf-8")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def join(host: str, port: int, *, token: str, told: Callable[[str], None], patience_s: float = 30.0) -> str:
    """Join the master at `host:port` and play one campaign for it. Why it came to nothing, or an empty string.

    Tries to connect for `patience_s`. Everything started is ended when the master is gone. Raises `LoadError` when no master answers or
    the two refuse each other.
    """
    link = Link(_connect(host, port, patience_s))
    try:
        ask_in(link, token, own_build(), socket.gethostname())
        told(f"joined {host}:{port}; waiting for the others")
        link_job = link.receive("job", within_s=WAIT_S)
        with tempfile.TemporaryDirectory(prefix="assay-join-") as folder, ExitStack() as stack:
            return _play(link, link_job, Path(folder), stack, told)
    except Refused as error:
        raise LoadError(f"--join {host}:{port}: refused: {error}") from error
    except LinkLost as error:
        return f"The master at {host}:{port} was lost: {error}."
    finally:
        link.close()


def _connect(host: str, port: int, patience_s: float) -> socket.socket:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return socket.create_connection((host, port), timeout=5.0)
        except OSError as error:
            if time.monotonic() > deadline:
                reason = error.strerror or type(error).__name__
                raise LoadError(
                    f"--join {host}:{port}: no master answers ({reason}); start `assay load --master` there"
                ) from error
            time.sleep(0.2)


def _play(link: Link, job: dict[str, Any], folder: Path, stack: ExitStack, told: Callable[[str], None]) -> str:
    try:
        config = config_of(job, folder)
        schedule = schedule_digest(config)
        numbers = [int(number) for number in job["numbers"]]
    except (KeyError, ValueError, OSError) as error:
        with suppress(LinkLost):
            link.send("refused", reason=f"the job cannot be read ({type(error).__name__}: {error})")
        return f"The master's job cannot be read ({type(error).__name__}: {error})."
    config = replace(config, calibration_url=calibrated(stack, config))
    config.write()
    generators = stack.enter_context(Generators(config, numbers))
    reason = generators.wait_ready()
    if reason:
        link.send("refused", reason=reason)
        return reason
    link.send("ready", schedule=schedule)
    generators.start(_common_start(link))
    told(f"playing generators {', '.join(map(str, numbers))} of {config.workers} against {config.base_url}")
    watched = _under_way(link, generators, config, numbers)
    usages = [asdict(usage) for usage in generators.usages]
    link.send("end", reason=watched.reason, lost=watched.lost, usages=usages)
    return watched.told


def _common_start(link: Link) -> float:
    """Show the master this host's clock until it names the start, on that clock."""
    while True:
        message = link.receive("ping", "start", within_s=2 * READY_S)
        if message["kind"] == "start":
            return float(message["zero"])
        link.send("pong", t_s=time.monotonic())


def _under_way(link: Link, generators: Generators, config: WorkerConfig, numbers: list[int]) -> Watched:
    """Tell the master how it goes and send every sample as it is written, so that a host that is lost later leaves those."""
    tails = {number: Tail(config.samples / f"worker-{number}.jsonl") for number in numbers}
    told_at = 0.0

    def tell() -> None:
        nonlocal told_at
        if time.monotonic() - told_at < TELL_EVERY_S:
            return
        told_at = time.monotonic()
        link.send("progress", rows=generators.rows())
        for number, tail in tails.items():
            _send_lines(link, number, tail)

    try:
        watched = generators.watch(tell)
        for number, tail in tails.items():
            _send_lines(link, number, tail)
    finally:
        for tail in tails.values():
            tail.close()
    reports = read_reports(config.folder, config.workers)
    for number in numbers:
        report = reports[number]
        if report is not None:
            link.send("report", worker=number, report=asdict(report))
    return watched


def _send_lines(link: Link, number: int, tail: Tail) -> None:
    while lines := tail.read():
        link.send("samples", worker=number, lines=lines)
