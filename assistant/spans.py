"""When a turn's models and tools were at work, and what is left for everything else."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

SpanKind = Literal["model", "tool", "wire"]
"""`wire`: an exchange with a model's server, within the span of its model."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """Seconds on the recorder's clock. `key` is the tool call's id, empty for a model."""

    kind: SpanKind
    key: str
    start_s: float
    end_s: float


class Spans:
    """Records the spans of one turn; spans may overlap."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self.clock = clock
        self._spans: list[Span] = []

    @contextmanager
    def during(self, kind: SpanKind, key: str = "") -> Generator[None]:
        start_s = self.clock()
        try:
            yield
        finally:
            self.add(kind, start_s, self.clock(), key)

    def add(self, kind: SpanKind, start_s: float, end_s: float, key: str = "") -> None:
        self._spans.append(Span(kind=kind, key=key, start_s=start_s, end_s=end_s))

    def busy_s(self, kind: SpanKind | None = None) -> float:
        """Length of the union of all spans, or of those of one kind."""
        total = 0.0
        reached = float("-inf")
        for span in sorted(self._spans, key=lambda one: one.start_s):
            if kind is None or span.kind == kind:
                total += max(0.0, span.end_s - max(span.start_s, reached))
                reached = max(reached, span.end_s)
        return total

    def tool_s(self, call_id: str) -> float:
        """Length of one tool call; 0.0 for a call that never ran."""
        return sum(span.end_s - span.start_s for span in self._spans if span.kind == "tool" and span.key == call_id)


RECORDING: ContextVar[Spans | None] = ContextVar("recording", default=None)
"""The spans of the turn that is being played; set once in the task of its own that each turn has."""
