"""Messages with several requests: their test file, the play, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.pack import Pack
from assistant.routing import NO_AGENT, Prediction, read_utterances
from assistant.routing.overlap import count_overlap
from assistant.routing.utterances import Utterance
from assistant.wire import DoneEvent, RouteEvent
from evals.errors import UsageError
from evals.routing.data import SeveralRequests, read_several
from evals.routing.page import write_page
from evals.routing.result import describe
from evals.routing.several import Shared, agents_of, describe_several
from evals.routing.words import SEVERAL, result_lines
from evals.transcript import Turn, turn_from_events, turn_from_json

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "datasets/qsr/routing"
LABELS = ["equipment", "safety", "operations", "training", NO_AGENT]


class Cuts:
    """Predicts `a` of texts with an a-word and `b` of others, so that "aa bb cc and ..." is cut."""

    def predict_both(self, text: str, other: str) -> tuple[Prediction, Prediction]:
        return self.predict(text), self.predict(other)

    def predict(self, text: str) -> Prediction:
        a, b = "apple" in text, "berry" in text
        share = 0.5 if a == b else 0.99 if a else 0.01
        ranked = sorted([("a", share), ("b", 1 - share)], key=lambda item: -item[1])
        return Prediction(agent=ranked[0][0], intent="", confidence=ranked[0][1], agents=ranked, intents=[("", 1.0)], scope=1.0)


def shared(expected: str, got: str, family: str = "") -> Shared:
    item = SeveralRequests(id=f"{expected}-{got}", family=family, text="t", agents=expected.split())
    return Shared(item=item, agents=got.split())


FOUND = [
    shared("a b", "a b", "f1"),
    shared("a b", "b a", "f1"),
    shared("a b", "a", "f2"),
    shared("a b c", "a b", "f2"),
    shared("a", "a"),
    shared("b", "b a"),
]


def test_the_order_counts_and_so_does_a_message_shared_out_wrongly() -> None:
    texts = ["an apple pie please", "the apple pie is cold, and the berry cake is warm", "one berry for me"]
    told = describe_several(FOUND, Cuts(), texts)  # pyright: ignore[reportArgumentType] - a router that predicts is enough
    counts = {name: (told[name]["k"], told[name]["n"]) for name in SEVERAL}
    assert counts == {
        "right": (1, 4),
        "all_agents": (2, 4),
        "first_agent": (3, 4),
        "single_kept_whole": (1, 2),
        "split_wrongly": (1, 3),
    }
    assert "clustered" in told["right"]["method"] and told["n"] == 6
    assert [wrong["got"] for wrong in told["wrong"]] == [["b", "a"], ["a"], ["a", "b"], ["b", "a"]]


def test_nothing_to_count_is_told_as_nothing() -> None:
    told = describe_several([shared("a", "a")], Cuts(), [])  # pyright: ignore[reportArgumentType]
    assert (told["right"], told["split_wrongly"], told["wrong"]) == (None, None, [])


def test_the_terminal_and_the_page_tell_the_figures(tmp_path: Path) -> None:
    several = describe_several(FOUND, Cuts(), ["an apple"])  # pyright: ignore[reportArgumentType]
    router = {"router": {"name": "x"}, "level": "agent", "test": {"source": "f"}, "warnings": []}
    found = {**router, **describe([], [], []), "several": several}
    lines = "\n".join(result_lines(found))
    assert "several requests, all agents in order" in lines and "1 / 4" in lines
    write_page(found, tmp_path / "page.html")
    assert "Single requests shared out" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_faults_of_the_file_are_told_with_their_place(tmp_path: Path) -> None:
    file = tmp_path / "several.jsonl"
    file.write_text(json.dumps({"id": "x", "text": "t", "agents": ["safty"]}), encoding="utf-8")
    with pytest.raises(UsageError, match="row x: field `agents`: unknown 'safty'; did you mean `safety`"):
        read_several(file, agents=LABELS)
    file.write_text(json.dumps({"id": "x", "text": "t", "agents": []}), encoding="utf-8")
    with pytest.raises(UsageError, match="line 1"):
        read_several(file, agents=LABELS)


def route(number: int, agent: str) -> RouteEvent:
    return RouteEvent(
        id=number,
        t_s=0.0,
        agent=agent,
        previous_agent=None,
        stage="head",
        confidence=0.9,
        intent=None,
        alternatives=[],
        duration_s=0.0,
    )


def test_a_transcript_shows_a_route_for_each_agent() -> None:
    done = DoneEvent(id=3, t_s=0.1, outcome="answered", agent="a", text="t", timings={})
    two, one = (turn_from_events("u", [*routes, done], None) for routes in ([route(1, "a"), route(2, "b")], [route(1, "a")]))
    assert agents_of(two) == ["a", "b"] and agents_of(one) == ["a"] and agents_of(Turn(user="u", text="")) == []
    assert two.route is not None and two.route["agent"] == "a" and "also" not in (one.route or {})
    assert turn_from_json({"user": "u", "text": "t", "route": dict(two.route)}).route == two.route


def test_the_shipped_file_is_new_to_the_training_and_the_other_tests() -> None:
    items = read_several(DATA / "several.jsonl", agents=LABELS)
    many = [item for item in items if len(item.agents) > 1]
    assert len(many) >= 40 and len(items) - len(many) >= 15
    families = [item.family for item in items]
    assert max(families.count(family) for family in families) <= 5
    texts = [item.text for item in items]
    pack = Pack.load("qsr")
    assert count_overlap(read_utterances(pack.folder), texts).lines == ()
    own = [Utterance(text=text, intent="i", agent="a", family="f", line=line) for line, text in enumerate(texts, start=1)]
    test = [json.loads(line)["text"] for line in (DATA / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    talks = [json.loads(line)["turns"] for line in (DATA / "conversations.jsonl").read_text(encoding="utf-8").splitlines()]
    assert count_overlap(own, [*test, *(turn["text"] for turns in talks for turn in turns)]).lines == ()
    for item in many:
        ranks = [pack.agents[agent].priority for agent in item.agents]
        assert ranks == sorted(ranks, reverse=True), item.id
