"""What Locust loads: wires one worker's campaign, its shape and its recorder. Locust's side of the wall."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import locust.stats
from locust import events

from loadtests.campaign import CONFIG_VARIABLE, WORKER_VARIABLE, WorkerConfig
from loadtests.listener import Recorder
from loadtests.shapes import UntilFinished
from loadtests.users import Campaign, OpenArrivals, raise_file_limit

raise_file_limit()
_campaign = Campaign(WorkerConfig.read(Path(os.environ[CONFIG_VARIABLE])), int(os.environ[WORKER_VARIABLE]))
_recorder = Recorder(_campaign)


class Conversations(OpenArrivals):
    campaign = _campaign


class WholeCampaign(UntilFinished):
    campaign = _campaign


def _whole_milliseconds(response_time: float) -> int:
    return round(response_time)


locust.stats.bucket_response_time = _whole_milliseconds


@events.request.add_listener
def _on_request(**turn: Any) -> None:
    _recorder.on_request(**turn)


@events.quitting.add_listener
def _on_quitting(**kwargs: Any) -> None:
    _recorder.on_quitting(**kwargs)
