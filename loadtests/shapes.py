"""Shape: one driver until the campaign is over, then the end. Locust's side of the wall.

How many conversations run is decided by the schedule; Locust's user count only says that a worker is driving.
"""

from __future__ import annotations

from typing import ClassVar

from locust import LoadTestShape

from loadtests.users import Campaign


class UntilFinished(LoadTestShape):
    """Asks Locust for one user, about once a second, until `campaign.finished`."""

    abstract = True
    campaign: ClassVar[Campaign]

    def tick(self) -> tuple[int, float] | None:
        return None if self.campaign.finished else (1, 1.0)
