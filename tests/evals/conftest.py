from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
