"""What can go wrong in the assistant, as one tree.

AssistantError
├── SettingsError      the environment holds a value that cannot be used
├── StoreError         the database cannot be opened or brought to this build's schema
├── StoreUnavailable   the database does not answer now; carries a stable `code`
├── StateReadOnly      a tool tried to write pack state while it is read-only
├── AssistantClosed    the assistant was closed while a turn was running
├── ReaderTooSlow      a turn went on without the reader of its events
└── RequestError       the caller asked for something that is not there; carries a stable `code`
    ├── UnknownThread
    ├── UnknownSandbox
    ├── SandboxesClosed
    └── WrongPack
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class AssistantError(Exception):
    """A fault with one sentence for a person: place, fault, remedy."""


class SettingsError(AssistantError):
    """Every unusable setting at once, one sentence each in `faults`."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class StoreError(AssistantError):
    """The database cannot be opened or brought to this build's schema."""


class StoreUnavailable(AssistantError):
    """The database cannot be reached, is locked or takes no writes now. `cause` is for the log, not for a caller."""

    code: ClassVar[str] = "store_unavailable"

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__("Conversations cannot be kept at the moment, so nothing was answered. Try again later.")


class StateReadOnly(AssistantError):
    """Pack state cannot be written now."""

    def __init__(self) -> None:
        super().__init__("The store is read-only at the moment; nothing was changed. Try again later.")


class AssistantClosed(AssistantError):
    """The assistant was closed while a turn was running."""

    def __init__(self) -> None:
        super().__init__("The assistant is closing and the turn was ended; the message is kept, send it again later.")


class ReaderTooSlow(AssistantError):
    """The reader of a turn's events fell so far behind that the turn went on without it."""

    def __init__(self) -> None:
        super().__init__("The answer was read too slowly to be sent on; it is kept in the thread, read it there.")


class RequestError(AssistantError):
    """The caller named something that is not there. `code` is stable and meant for programs."""

    code: ClassVar[str] = "bad_request"


class UnknownThread(RequestError):
    code = "unknown_thread"

    def __init__(self, thread_id: str) -> None:
        super().__init__(f"There is no thread {thread_id!r} of this user; leave thread_id out to start one.")


class UnknownTurn(RequestError):
    code = "unknown_turn"

    def __init__(self, turn_id: str) -> None:
        super().__init__(
            f"There is no answered turn {turn_id!r} in a thread of this user; turn_id is in the first event of a turn."
        )


class UnknownSandbox(RequestError):
    code = "unknown_sandbox"

    def __init__(self, sandbox: str) -> None:
        super().__init__(f"There is no sandbox {sandbox!r}; create one with POST /v1/sandboxes.")


class SandboxesClosed(RequestError):
    code = "sandboxes_closed"

    def __init__(self) -> None:
        super().__init__("This assistant was started without sandboxes; start it with sandboxes on to use one.")


class WrongPack(RequestError):
    code = "wrong_pack"

    def __init__(self, asked: str, served: str) -> None:
        super().__init__(f"This assistant serves the pack {served!r}, not {asked!r}; name {served!r} or start the other one.")
