"""Chaos under load: our own fault schedule strikes the server, its store or its model. What that did is in `aftermath`."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from evals.errors import TargetError, UsageError
from evals.serving import Served, free_port, served_assistant
from evals.stores import PostgresDatabase
from loadtests.campaign import write_json
from loadtests.traffic import Chaos, ModelSpell

LOCK_WAIT_S = 10.0
"""How long the lock itself may have to wait for the server's own write to end."""


class Restartable:
    """An assistant on one port with one store, which can be killed and started again. A context manager."""

    def __init__(
        self, arguments: Sequence[str], *, environ: Mapping[str, str], folder: Path, database: PostgresDatabase | None = None
    ) -> None:
        """`database`: where the conversations are kept; null for the SQLite file of `environ`."""
        self.database = database
        self._arguments = arguments
        self._environ = environ
        self._folder = folder
        self._port = free_port()
        self._stack = ExitStack()
        self._starts = 0

    def __enter__(self) -> Self:
        self.served = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def model_faults(self) -> Path:
        """The file by which faults of the server's paced model come and go."""
        return self._folder / "model-faults.json"

    @property
    def store(self) -> Path:
        return Path(self._environ["ASSAY_STATE_DIR"])

    def kill(self) -> None:
        """Kill the server without warning and start it again at once."""
        os.killpg(self.served.pid, signal.SIGKILL)
        self.served = self._start()

    def signal(self, signum: int) -> None:
        os.killpg(self.served.pid, signum)

    def _start(self) -> Served:
        self._starts += 1
        log = self._folder / f"server-{self._starts}.log"
        return self._stack.enter_context(served_assistant(self._arguments, environ=self._environ, log=log, port=self._port))


@dataclass(kw_only=True)
class Fault:
    """`begin` strikes at `at_s`, `end` undoes it `for_s` later. `begun_at`: when it struck, on the monotonic clock; null before."""

    kind: str
    at_s: float
    for_s: float
    begin: Callable[[], object]
    end: Callable[[], object]
    begun_at: float | None = None
    ended: bool = False


class Disturbances:
    """Lets each fault of a schedule come and go. A context manager: at its end none goes on."""

    def __init__(self, chaos: Chaos, server: Restartable) -> None:
        self.faults = list(_faults(chaos, server))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cease()

    def look(self, t_s: float) -> None:
        """Begin and end what is due `t_s` seconds into the run."""
        for fault in self.faults:
            if fault.begun_at is None and t_s >= fault.at_s:
                fault.begun_at = time.monotonic()
                fault.begin()
            elif fault.begun_at is not None and not fault.ended and t_s >= fault.at_s + fault.for_s:
                fault.ended = True
                fault.end()

    def cease(self) -> None:
        """End whatever goes on."""
        for fault in self.faults:
            if fault.begun_at is not None and not fault.ended:
                fault.ended = True
                fault.end()


def _faults(chaos: Chaos, server: Restartable) -> Iterable[Fault]:
    if chaos.kill_at_s is not None:
        yield Fault(kind="kill", at_s=chaos.kill_at_s, for_s=0.0, begin=server.kill, end=lambda: None)
    if chaos.frozen is not None:
        stop, go = (lambda: server.signal(signal.SIGSTOP)), (lambda: server.signal(signal.SIGCONT))
        yield Fault(kind="frozen", at_s=chaos.frozen.at_s, for_s=chaos.frozen.for_s, begin=stop, end=go)
    yield from _store_faults(chaos, server)
    if chaos.disk_full is not None:
        disk, spell = _FullDisk(server), chaos.disk_full
        yield Fault(kind="disk_full", at_s=spell.at_s, for_s=spell.for_s, begin=disk.fill, end=disk.clear)
    yield from (_model_fault(spell, server.model_faults) for spell in chaos.model)


def _store_faults(chaos: Chaos, server: Restartable) -> Iterable[Fault]:
    database, gone, locked = server.database, chaos.database_gone, chaos.database_locked
    if locked is not None:
        if database is not None:
            raise UsageError("chaos.database_locked: is of SQLite, where one writer locks the others out; leave --database away")
        lock = _Lock(server.store / "assay.db")
        yield Fault(kind="database_locked", at_s=locked.at_s, for_s=locked.for_s, begin=lock.take, end=lock.release)
    if gone is not None:
        away = server.store.with_name(server.store.name + "-away")
        move, back = (lambda: server.store.rename(away)), (lambda: away.rename(server.store))
        begin, end = (move, back) if database is None else (database.take_away, database.give_back)
        yield Fault(kind="database_gone", at_s=gone.at_s, for_s=gone.for_s, begin=begin, end=end)


def faulty(model: str, faults: Path) -> str:
    """A `paced:` model string whose faults come and go by a file."""
    prefix, _, rest = model.partition(":")
    return f"{prefix}:faults={faults.resolve()},{rest}"


def _model_fault(spell: ModelSpell, file: Path) -> Fault:
    def begin() -> None:
        row = {"fault": spell.fault, "until": time.monotonic() + spell.for_s, "factor": spell.factor}
        write_json(file, row)

    return Fault(
        kind=f"model {spell.fault}", at_s=spell.at_s, for_s=spell.for_s, begin=begin, end=lambda: file.unlink(missing_ok=True)
    )


class _FullDisk:
    """The server's process may make no file longer, as on a full disk: every write to its store fails, and what is open can be read."""

    def __init__(self, server: Restartable) -> None:
        self._server = server
        self._before: tuple[int, int] | None = None

    def fill(self) -> None:
        process = psutil.Process(self._server.served.pid)
        self._before = process.rlimit(resource.RLIMIT_FSIZE)
        process.rlimit(resource.RLIMIT_FSIZE, (0, self._before[1]))

    def clear(self) -> None:
        if self._before is not None:
            psutil.Process(self._server.served.pid).rlimit(resource.RLIMIT_FSIZE, self._before)


class _Lock:
    """The write lock of an SQLite file, held by this process. Raises `TargetError` when it cannot be had."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def take(self) -> None:
        try:
            self._connection = sqlite3.connect(self._path, timeout=LOCK_WAIT_S, isolation_level=None)
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            self.release()
            raise TargetError(
                f"{self._path}: the store could not be locked ({error}); is it an SQLite file of an own server?"
            ) from error

    def release(self) -> None:
        if self._connection is not None:
            # Closing gives a transaction up.
            self._connection.close()
            self._connection = None
