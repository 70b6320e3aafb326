"""Chaos under load: our own fault schedule kills the server and starts it again, and every turn that it had accepted must still be there."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2

from evals.errors import TargetError
from evals.serving import Served, free_port, served_assistant
from loadtests.runner import Progress
from loadtests.samples import Sample
from loadtests.script import Conversation


class Restartable:
    """An assistant on one port with one store, which can be killed and started again. A context manager."""

    def __init__(self, arguments: Sequence[str], *, environ: Mapping[str, str], folder: Path) -> None:
        self._arguments = arguments
        self._environ = environ
        self._folder = folder
        self._port = free_port()
        self._stack = ExitStack()
        self._starts = 0
        self.killed_at: float | None = None

    def __enter__(self) -> Restartable:
        self.served = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def kill_once(self, seen: Progress, kill_at_s: float) -> None:
        """Kill the server without warning once the run is `kill_at_s` old, and start it again at once."""
        if self.killed_at is None and seen.t_s >= kill_at_s:
            self.killed_at = time.monotonic()
            os.killpg(self.served.pid, signal.SIGKILL)
            self.served = self._start()

    def _start(self) -> Served:
        self._starts += 1
        log = self._folder / f"server-{self._starts}.log"
        return self._stack.enter_context(served_assistant(self._arguments, environ=self._environ, log=log, port=self._port))


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What a kill did. `accepted`: turns of which the client had seen the first event, `answered` those of which it had seen the end.
    `lost`: accepted ones whose message, or answered ones whose answer, is not in the thread. `recovery_s`: from the kill to the
    end of the first turn that was sent after it and answered; null when there was none.
    """

    killed_at_s: float
    recovery_s: float | None
    failed: int
    accepted: int
    answered: int
    lost: list[str]

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def aftermath(samples: Sequence[Sample], script: Iterable[Conversation], url: str, *, killed_at_s: float) -> Aftermath:
    """Ask the server for every thread that the samples saw. Raises `TargetError` when it does not answer."""
    users = {conversation.id: conversation.user_id for conversation in script}
    accepted = [sample for sample in samples if sample.events and sample.events[0]["type"] == "meta"]
    after = [sample.t_done for sample in samples if sample.ok and sample.t_send is not None and sample.t_send > killed_at_s]
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
        raise TargetError(f"{url}: did not answer after it was started again ({type(error).__name__}); see its log") from error
    return Aftermath(
        killed_at_s=killed_at_s,
        recovery_s=min((end - killed_at_s for end in after if end is not None), default=None),
        failed=sum(not sample.ok for sample in samples),
        accepted=len(accepted),
        answered=sum(sample.ok for sample in accepted),
        lost=lost,
    )


def _said(http: httpx2.Client, thread: str, user: str) -> set[tuple[str, str]]:
    """(turn, role) of every message in a thread; none when the thread is gone."""
    answer = http.get(f"/v1/threads/{thread}", params={"user_id": user})
    if answer.status_code == 404:
        return set()
    answer.raise_for_status()
    return {(message["turn_id"], message["role"]) for message in answer.json()["messages"]}
