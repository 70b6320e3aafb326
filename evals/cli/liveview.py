"""A load run while it goes on, as one line of a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from loadtests.runner import Progress

EVERY_S = 0.5


def line(seen: Progress, before: Progress | None) -> str:
    """Time, measured turns, their rate since `before`, turns in flight, latency so far, and errors."""
    turns = f"{seen.done} of {seen.planned}" if seen.planned else f"{seen.done}"
    rate = "–"
    if before is not None and seen.t_s > before.t_s:
        rate = f"{(seen.done - before.done) / (seen.t_s - before.t_s):.1f}/s"
    return (
        f"{seen.t_s:5.0f} of {seen.total_s:.0f} s   turns {turns}   {rate}   in flight {seen.in_flight}   "
        f"p50 {_s(seen.response_p50_s)}   p95 {_s(seen.response_p95_s)}   errors {seen.errors}"
    )


def _s(value: float | None) -> str:
    if value is None:
        return "–"
    return "failed" if math.isinf(value) else f"{value:.2f} s"


@contextmanager
def live_view(console: Console) -> Generator[Callable[[Progress], None] | None]:
    """What a run's progress is shown with; null where the console is no terminal."""
    if not console.is_terminal:
        yield None
        return
    window: list[Progress] = []
    with Live(console=console, refresh_per_second=4) as live:

        def watch(seen: Progress) -> None:
            if window and seen.t_s - window[-1].t_s < EVERY_S:
                return
            window.append(seen)
            # The rate of the newest five seconds, so that it follows the run and does not flicker.
            del window[: -round(5 / EVERY_S)]
            live.update(Text(line(seen, window[0] if len(window) > 1 else None)))

        yield watch
