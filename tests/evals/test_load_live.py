"""The line that a terminal shows while a load run goes on."""

from __future__ import annotations

import io
import math

from rich.console import Console

from evals.cli.liveview import line, live_view
from loadtests.runner import Progress


def seen(t_s: float, done: int, **changes: object) -> Progress:
    fields = {"total_s": 36.0, "planned": 376, "errors": 0, "in_flight": 14, "response_p50_s": 1.5, "response_p95_s": 1.7}
    return Progress(t_s=t_s, done=done, **{**fields, **changes})


def test_a_line_says_time_turns_rate_flight_latency_and_errors():
    told = line(seen(10.0, 70, errors=2), seen(5.0, 10))
    for part in ("10 of 36 s", "turns 70 of 376", "12.0/s", "in flight 14", "p50 1.50 s", "p95 1.70 s", "errors 2"):
        assert part in told


def test_what_is_not_known_yet_is_a_dash_and_a_failed_percentile_says_so():
    told = line(seen(0.0, 0, planned=0, response_p50_s=None, response_p95_s=math.inf), None)
    assert "turns 0   –" in told
    assert "p50 –   p95 failed" in told


def test_a_terminal_is_updated_twice_a_second_and_a_pipe_not_at_all():
    with live_view(Console(file=io.StringIO())) as watch:
        assert watch is None
    screen = io.StringIO()
    with live_view(Console(file=screen, force_terminal=True, width=140)) as watch:
        assert watch is not None
        for tenth in range(100):
            watch(seen(tenth / 10, tenth))
    assert "10.0/s" in screen.getvalue()
    assert "9 of 36 s" in screen.getvalue() or "10 of 36 s" in screen.getvalue()
