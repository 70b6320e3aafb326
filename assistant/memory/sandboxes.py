"""Sandboxes: pack state apart from everyone else's, with fixtures laid over the seed and faults to inject."""

from __future__ import annotations

from uuid import uuid4

from assistant.errors import SandboxesClosed, UnknownSandbox
from assistant.faults import Faults
from assistant.memory.database import Database
from assistant.memory.state import SHARED, StoredState
from assistant.wire import Collections, SandboxRequest


class Sandboxes:
    """The states of one pack: the shared one and, when `enabled`, one per sandbox. A sandbox lives as long as this object;
    what it wrote stays in the database under its id."""

    def __init__(self, database: Database, *, pack: str, seed: Collections, enabled: bool) -> None:
        self._database = database
        self._pack = pack
        self._seed = seed
        self._enabled = enabled
        self._faults: dict[str, Faults] = {}

    async def create(self, request: SandboxRequest) -> str:
        """The new sandbox's id. Raises `SandboxesClosed`."""
        if not self._enabled:
            raise SandboxesClosed
        sandbox = uuid4().hex
        await self.state(sandbox, Faults()).overlay(request.fixtures)
        self._faults[sandbox] = Faults(request.faults)
        return sandbox

    def faults(self, sandbox: str | None) -> Faults:
        """The faults left in a sandbox; none without one. Raises `UnknownSandbox`, `SandboxesClosed`."""
        if sandbox is None:
            return Faults()
        if not self._enabled:
            raise SandboxesClosed
        if sandbox not in self._faults:
            raise UnknownSandbox(sandbox)
        return self._faults[sandbox]

    def state(self, sandbox: str | None, faults: Faults) -> StoredState:
        """Pack state as the tools of one turn see it."""
        return StoredState(self._database, pack=self._pack, sandbox=sandbox or SHARED, seed=self._seed, faults=faults)

    async def merged(self, sandbox: str) -> Collections:
        """Seed, fixtures and writes together. Raises `UnknownSandbox`, `SandboxesClosed`."""
        return await self.state(sandbox, self.faults(sandbox)).merged()
