"""Waits for the moments of a schedule. Locust's side of the wall: imports gevent."""

from __future__ import annotations

from collections.abc import Callable

import gevent

AWAKE_S = 0.001
"""The last part of a wait. The event loop's timers are late by up to a millisecond, and a processor that slept is slow at first."""

MOST_AWAKE_PER_S = 80.0
"""Turns a second of one process. Beyond, its event loop hardly sleeps, and staying awake would cost more than it brings."""


def awake_s(turns_per_s: float) -> float:
    """How long before each moment a process of so many turns a second stays awake."""
    return AWAKE_S if turns_per_s <= MOST_AWAKE_PER_S else 0.0


def sleep_until(moment: float, clock: Callable[[], float], awake_s: float) -> None:
    """Let others go on until `moment` of `clock`, in seconds; for its last `awake_s` without letting the process sleep."""
    gevent.sleep(max(0.0, moment - awake_s - clock()))
    while clock() < moment:
        gevent.sleep(0)
