from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from evals.errors import UsageError
from evals.routing.data import LabelledConversation, Utterance, read_conversations, read_utterances
from evals.routing.measure import (
    confusion,
    conversation_metrics,
    conversation_slots,
    reliability,
    route_all,
    routing_metrics,
    routing_slots,
)
from evals.transcript import Turn


@dataclass(frozen=True)
class Decision:
    agent: str
    confidence: float = 0.75
    duration_s: float = 0.001


def utterance(number: int, agent: str, text: str) -> Utterance:
    return Utterance(id=f"u{number}", text=text, agent=agent, family=f"f{number // 2}")


DATA = [utterance(0, "a", "a"), utterance(1, "a", "a"), utterance(2, "b", "a"), utterance(3, "none", "none")]
OUTCOMES = route_all(DATA, lambda text: Decision(agent=text))


def test_rates_are_counted_per_agent_with_clusters() -> None:
    metrics = routing_metrics(OUTCOMES, agents=["a", "b", "none"], planned=5)
    accuracy, recall, precision = metrics["routing.accuracy"], metrics["routing.recall.b"], metrics["routing.precision.a"]
    assert accuracy and (accuracy.k, accuracy.n, accuracy.planned) == (3, 4, 5)
    assert accuracy.low is not None and accuracy.low < 0.75
    assert recall and recall.value == 0
    assert precision and (precision.k, precision.n) == (2, 3)
    assert metrics["routing.precision.b"] is None
    ece = metrics["routing.ece"]
    assert ece and ece.value == 0


def test_an_overconfident_router_has_a_calibration_error() -> None:
    sure = route_all(DATA, lambda text: Decision(agent=text, confidence=1.0))
    ece = routing_metrics(sure, agents=["a"], planned=4)["routing.ece"]
    assert ece and ece.value == pytest.approx(0.25)
    assert [row["n"] for row in reliability(sure)][-1] == 4


def test_the_confusion_names_rows_and_columns() -> None:
    assert confusion(OUTCOMES, ["a", "b", "none"])["counts"] == [[2, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_wrong_decisions_are_slots_that_blame_routing() -> None:
    slots = routing_slots(OUTCOMES)
    assert [slot.state for slot in slots] == ["pass", "pass", "fail", "pass"]
    assert slots[2].stage == "routing" and "expected b" in slots[2].reason


def test_conversations_are_counted_by_turn_and_whole() -> None:
    conversation = LabelledConversation.model_validate(
        {"id": "c", "turns": [{"text": "x", "agent": "a"}, {"text": "y", "agent": "b"}, {"text": "z", "agent": "b"}]}
    )
    slots = conversation_slots(conversation, [Turn(user="x", text="1", agent="a"), Turn(user="y", text="2", agent="a")])
    assert [slot.state for slot in slots] == ["pass", "fail", "agent_error"]
    metrics = conversation_metrics(slots)
    turns, whole = metrics["routing.conversations.accuracy"], metrics["routing.conversations.whole"]
    assert turns and (turns.k, turns.n) == (1, 3)
    assert whole and whole.value == 0


def test_every_fault_of_a_file_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text('{"id": "1", "text": "x", "agnt": "a"}\nnot json\n\n')
    with pytest.raises(UsageError) as error:
        read_utterances(path, agents=["a"])
    said = str(error.value)
    assert "did you mean `agent`?" in said and "line 2: not JSON" in said
    path.write_text('{"id": "1", "text": "x", "agent": "equipmnt"}\n')
    with pytest.raises(UsageError, match="did you mean `equipment`"):
        read_utterances(path, agents=["equipment", "none"])
    path.write_text("")
    with pytest.raises(UsageError, match="holds no row"):
        read_conversations(path, agents=["a"])
    with pytest.raises(UsageError, match="cannot be read"):
        read_conversations(tmp_path / "missing", agents=["a"])
