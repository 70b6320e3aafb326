from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from evals.cards import Card

MakeCard = Callable[..., Card]

CARD: dict[str, Any] = {
    "id": "hold-chicken",
    "title": "Chicken is held hot enough",
    "area": "safety",
    "turns": [
        {
            "user": "How hot must chicken be held?",
            "expect": {"agent": "safety", "say": ["135 F"], "cite": ["hot-holding"], "tools": [{"name": "search_knowledge"}]},
        },
        {"user": "and who fixes the cabinet?", "expect": {"agent": "equipment", "handoff": True, "not_say": ["transfer"]}},
    ],
    "expect_state": {"incidents": [{"severity": "high"}]},
    "reference": {
        "turns": [
            {"agent": "safety", "text": "Hold it at 57 C.", "tools": [{"name": "search_knowledge"}], "cite": ["hot-holding#hot"]},
            {"agent": "equipment", "text": "Call the technician."},
        ],
        "state": {"incidents": {"INC-1": {"severity": "high"}}},
    },
    "sabotage": {"fails": "say", "turns": {1: {"agent": "safety", "text": "Hold it warm.", "cite": ["hot-holding#hot"]}}},
}


@pytest.fixture
def make_card() -> MakeCard:
    def make(**changes: Any) -> Card:
        return Card.model_validate({**CARD, **changes})

    return make


@contextmanager
def _served(app: FastAPI) -> Generator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def serve_app() -> Generator[Callable[[FastAPI], str]]:
    """Serves an app on a free loopback port until the test ends; gives its address."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(_served(app))
