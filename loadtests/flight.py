"""Flight: how many turns are in flight, and their turn-seconds inside the measured window."""

from __future__ import annotations

from collections.abc import Callable


class Flight:
    """Counts turns that are due and not ended. `now` is the count.

    The mean over the window is an integral from coming to going, not a mean of moments: ten looks at a count that changes by the
    millisecond miss its mean by a standard deviation of 0.8 turns where it is about nine.
    """

    def __init__(self, clock: Callable[[], float], window: tuple[float, float]) -> None:
        """`clock` gives seconds from the run's start; `window` is the measured one, from and to, on it."""
        self.now = 0
        self._clock = clock
        self._window = window
        self._settled_s = 0.0
        self._turn_seconds = 0.0

    def enter(self) -> None:
        """A turn fell due."""
        self._settle()
        self.now += 1

    def leave(self) -> None:
        """A turn ended."""
        self._settle()
        self.now -= 1

    @property
    def turn_seconds(self) -> float:
        """Seconds that turns have spent in flight inside the window so far."""
        self._settle()
        return self._turn_seconds

    def _settle(self) -> None:
        at_s = self._clock()
        start, end = self._window
        self._turn_seconds += self.now * max(0.0, min(at_s, end) - max(self._settled_s, start))
        self._settled_s = at_s
