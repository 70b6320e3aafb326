"""The first stage that went wrong is named, not the symptom that was noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evals.cards import Card
from evals.experiment import judge
from evals.plan import plan_cards
from evals.targets.scripted import ALL_VISIBLE
from evals.transcript import Citation, ToolCall, Transcript, Turn

PASSAGES = {"passages": [{"document": "hot-holding", "passage": "hot", "text": "Hold at 135 F."}]}
SEARCHED = ToolCall(tool="search_knowledge", arguments={}, ok=True, result=PASSAGES)


def turn(**changes: Any) -> Turn:
    right: dict[str, Any] = {
        "user": "u",
        "text": "Hold it at 135 F.",
        "agent": "safety",
        "outcome": "answered",
        "tool_calls": [SEARCHED],
        "citations": [Citation(document="hot-holding", passage="hot")],
    }
    return Turn(**{**right, **changes})


def second() -> Turn:
    return Turn(user="u", text="Call the technician.", agent="equipment", outcome="answered", handoff={"from_agent": "safety"})


def stages(card: Card, first: Turn, then: Turn | None = None) -> set[str | None]:
    transcript = Transcript(
        card=card.id,
        repeat=0,
        turns=[first, then or second()],
        visible=ALL_VISIBLE,
        state={"incidents": {"INC-1": {"severity": "high"}}},
    )
    (play,) = plan_cards([card], repeats=1, visible=ALL_VISIBLE, llm=True).plays
    return {slot.stage for slot in judge(play, transcript) if slot.state == "fail"}


WRONG = "Hold it warm."


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({"agent": "training", "text": WRONG, "tool_calls": [], "citations": []}, "routing"),
        ({"text": WRONG, "tool_calls": [ToolCall(tool="search_knowledge", arguments={}, ok=False)], "citations": []}, "tool"),
        (
            {
                "text": WRONG,
                "tool_calls": [ToolCall(tool="search_knowledge", arguments={}, ok=True, result={"passages": []})],
                "citations": [],
            },
            "retrieval",
        ),
        ({"text": WRONG}, "model"),
    ],
)
def test_all_failures_of_a_play_name_the_cause(changes: dict[str, Any], stage: str, make_card: Callable[..., Card]) -> None:
    assert stages(make_card(), turn(**changes)) == {stage}


def test_a_right_play_blames_nobody(make_card: Callable[..., Card]) -> None:
    assert stages(make_card(), turn()) == set()


def test_the_first_wrong_turn_decides(make_card: Callable[..., Card]) -> None:
    lost = Turn(user="u", text="I will transfer you.", agent="training", outcome="answered")
    assert stages(make_card(), turn(text=WRONG), lost) == {"model"}
    assert stages(make_card(), turn(), lost) == {"routing"}
