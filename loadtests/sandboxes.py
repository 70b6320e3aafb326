"""Sandboxes: one for each conversation that names a starting state, made ahead of time so that making it costs no latency.

Locust's side of the wall: imports gevent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gevent
from gevent.event import AsyncResult

from assistant.wire import SandboxRequest
from loadtests.schedule import Session
from loadtests.stream import SandboxFailed, TurnClient

LEAD_S = 5.0
"""How long before a conversation starts its sandbox is made."""
MAKERS = 4


class Sandboxes:
    """Makes sandboxes in the order of arrivals. A server that has none is played without."""

    def __init__(self, client: TurnClient, sessions: Sequence[Session], clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._wanted = [session for session in sessions if session.conversation.sandbox is not None]
        self._results = {session.session: AsyncResult() for session in self._wanted}
        self.available = True

    def make_first(self) -> None:
        """Make those of the first seconds, so that the run starts with them there."""
        first = [session for session in self._wanted if session.t_plan < LEAD_S]
        self._wanted = self._wanted[len(first) :]
        self._share(first, self._make)

    def make_rest(self) -> None:
        """Make the others, each `LEAD_S` before its conversation starts. Blocks until the last one."""
        rest, self._wanted = self._wanted, []

        self._share(rest, self._make_in_time)

    def make_for(self, session: Session) -> gevent.Greenlet[..., None]:
        """Make the sandbox of a session that is in no schedule, `LEAD_S` before it starts, for `take` to wait for."""
        if session.conversation.sandbox is not None:
            self._results[session.session] = AsyncResult()
        return gevent.spawn(self._make_in_time, session)

    def take(self, session: Session) -> str | None:
        """The sandbox of a session, waiting for it; null when it needs none or the server has none. Raises `SandboxFailed`."""
        if session.session not in self._results or not self.available:
            return None
        return self._results[session.session].get()

    def _share(self, sessions: Sequence[Session], make: Callable[[Session], None]) -> None:
        def maker(slice_of: Sequence[Session]) -> None:
            for session in slice_of:
                make(session)

        makers = [gevent.spawn(maker, sessions[number::MAKERS]) for number in range(MAKERS)]
        try:
            gevent.joinall(makers)
        finally:
            gevent.killall(makers)

    def _make_in_time(self, session: Session) -> None:
        if session.conversation.sandbox is not None:
            gevent.sleep(max(0.0, session.t_plan - LEAD_S - self._clock()))
            self._make(session)

    def _make(self, session: Session) -> None:
        request = session.conversation.sandbox
        result = self._results[session.session]
        if request is None or not self.available:
            result.set(None)
            return
        try:
            try:
                result.set(self._request(request))
            except SandboxFailed:
                result.set(self._request(request))
        except SandboxFailed as error:
            result.set_exception(error)

    def _request(self, request: SandboxRequest) -> str | None:
        sandbox = self._client.make_sandbox(request)
        self.available = self.available and sandbox is not None
        return sandbox
