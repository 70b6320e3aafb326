"""The faults a sandbox asked for, handed out as they are used up."""

from __future__ import annotations

from collections.abc import Iterable

from assistant.wire import Fault, FaultKind


class Faults:
    """Counts down `times` of each fault. Shared by all turns of a sandbox."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._left: list[tuple[Fault, int | None]] = [(fault, fault.times) for fault in faults]

    def take(self, kind: FaultKind, tool: str | None = None) -> Fault | None:
        """The next fault of this kind that applies to `tool`, using it up once; null when there is none."""
        for index, (fault, left) in enumerate(self._left):
            if fault.kind == kind and left != 0 and fault.tool in (None, tool):
                self._left[index] = (fault, None if left is None else left - 1)
                return fault
        return None
