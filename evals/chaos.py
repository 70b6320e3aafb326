"""Chaos under load: our own fault schedule strikes the server or its store, and every turn that it had accepted must still be there."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import httpx2

from evals.errors import TargetError
from evals.serving import Served, free_port, served_assistant
from loadtests.samples import Sample
from loadtests.script import Conversation
from loadtests.traffic import Chaos

LOCK_WAIT_S = 10.0
"""How long the lock itself may have to wait for the server's own write to end."""


class Restartable:
    """An assistant on one port with one store, which can be killed and started again. A context manager."""

    def __init__(self, arguments: Sequence[str], *, environ: Mapping[str, str], folder: Path) -> None:
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
    if chaos.database_locked is not None:
        lock, spell = _Lock(server.store / "assay.db"), chaos.database_locked
        yield Fault(kind="database_locked", at_s=spell.at_s, for_s=spell.for_s, begin=lock.take, end=lock.release)
    if chaos.database_gone is not None:
        store, spell = server.store, chaos.database_gone
        away = store.with_name(store.name + "-away")
        move, back = (lambda: store.rename(away)), (lambda: away.rename(store))
        yield Fault(kind="database_gone", at_s=spell.at_s, for_s=spell.for_s, begin=move, end=back)


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


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What faults did. `accepted`: turns of which the client had seen the first event, `answered` those of which it had seen the end.
    `lost`: accepted ones whose message, or answered ones whose answer, is not in the thread. `faults`: `kind at_s for_s recovery_s`
    each, the last from when it struck to the end of the first turn that was sent after that and answered; null when there was none.
    """

    faults: list[dict[str, Any]]
    failed: int
    accepted: int
    answered: int
    lost: list[str]

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Struck:
    """A fault that happened, `at_s` seconds into the run."""

    kind: str
    at_s: float
    for_s: float


def aftermath(samples: Sequence[Sample], script: Iterable[Conversation], url: str, struck: Sequence[Struck]) -> Aftermath:
    """Ask the server for every thread that the samples saw. Raises `TargetError` when it does not answer."""
    users = {conversation.id: conversation.user_id for conversation in script}
    accepted = [sample for sample in samples if sample.events and sample.events[0]["type"] == "meta"]
    threads: dict[str, set[tuple[str, str]]] = {}
    lost: list[str] = []
    try:
        with httpx2.Client(base_url=url, timeout=10.0) as http:
            for sample in accepted:
                meta = sample.events[0]
                thread = meta["thread_id"]
                if thread not in threads:
                    threads[thread] = _said(http, thread, users[sample.conversation])
                wanted = {(meta["turn_id"], "user")} | ({(meta["turn_id"], "assistant")} if sample.ok else set())
                if not wanted <= threads[thread]:
                    lost.append(sample.sample)
    except httpx2.HTTPError as error:
        raise TargetError(f"{url}: did not answer after its faults were over ({type(error).__name__}); see its log") from error
    return Aftermath(
        faults=[{**asdict(fault), "recovery_s": _recovery_s(samples, fault.at_s)} for fault in struck],
        failed=sum(not sample.ok for sample in samples),
        accepted=len(accepted),
        answered=sum(sample.ok for sample in accepted),
        lost=lost,
    )


def _recovery_s(samples: Sequence[Sample], at_s: float) -> float | None:
    sent = [sample for sample in samples if sample.ok and sample.t_send is not None and sample.t_send > at_s]
    return min((sample.t_done - at_s for sample in sent if sample.t_done is not None), default=None)


def _said(http: httpx2.Client, thread: str, user: str) -> set[tuple[str, str]]:
    """(turn, role) of every message in a thread; none when the thread is gone."""
    answer = http.get(f"/v1/threads/{thread}", params={"user_id": user})
    if answer.status_code == 404:
        return set()
    answer.raise_for_status()
    return {(message["turn_id"], message["role"]) for message in answer.json()["messages"]}
