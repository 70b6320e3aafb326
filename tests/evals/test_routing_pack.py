"""A pack's shipped router on test files of any kind: single texts, multi-turn items, both, CSV."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from evals.cli.routing import routing
from evals.errors import UsageError
from evals.routing.packs import PackRequest, measure_pack

SINGLE = {"text": "there is a fire in the fryer", "agent": "safety"}
TALK = {"turns": [{"text": "there is a fire in the fryer", "agent": "safety"}, {"text": "ok did that", "agent": "safety"}]}
WRONG = {"turns": [{"text": "there is a fire in the fryer", "agent": "training"}]}


@pytest.fixture
def measure(tmp_path):
    import os

    def at(name: str, content: str, **more: object) -> dict:
        (tmp_path / name).write_text(content)
        store = tmp_path / "store"
        store.mkdir(exist_ok=True)
        request = PackRequest(pack="qsr", test=str(tmp_path / name), conversations=None, store=store, environ=os.environ, **more)
        return measure_pack(request, lambda *_: None)

    return at


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.slow
def test_single_texts_with_and_without_agents(measure):
    found = measure("a.jsonl", lines(SINGLE, {**SINGLE, "agent": "training"}), robustness=True)
    assert (found["accuracy"]["k"], found["accuracy"]["n"]) == (1, 2)
    assert found["metrics"]["routing.accuracy"]["value"] == 0.5
    assert found["robustness"]["lower_case"]["changed"] == 0
    assert "conversations" not in found
    assert measure("b.jsonl", lines({"text": SINGLE["text"], "intent": "safety"}))["accuracy"]["k"] == 1
    assert measure("c.csv", "text,category\nthere is a fire in the fryer,safety\n")["accuracy"]["k"] == 1
    with pytest.raises(UsageError, match="unknown 'safty'; did you mean `safety`"):
        measure("d.csv", "text,category\nx,safty\n")
    with pytest.raises(UsageError, match="line 2: not JSON"):
        measure("e.jsonl", lines(SINGLE) + "nope\n")


@pytest.mark.slow
def test_multi_turn_items_count_by_turn_and_by_item(measure):
    found = measure("a.jsonl", lines(TALK, WRONG))
    assert (found["accuracy"]["k"], found["accuracy"]["n"]) == (2, 3)
    assert (found["conversations"]["turns"]["k"], found["conversations"]["items"]["k"]) == (2, 1)
    assert found["conversations"]["wrong"][0]["expected"] == "training"
    both = measure("b.jsonl", lines(TALK, SINGLE))
    assert both["accuracy"]["n"] == 1 and both["conversations"]["turns"]["n"] == 2


@pytest.mark.slow
def test_the_command_measures_a_pack_and_writes_its_page(tmp_path):
    test = tmp_path / "talk.jsonl"
    test.write_text(lines(TALK, WRONG))
    page = tmp_path / "page.html"
    done = CliRunner().invoke(routing, ["--pack", "qsr", "--test", str(test), "--report", str(page)])
    assert done.exit_code == 0, done.output
    assert "conversations, turns" in done.stdout and "2 / 3" in done.stdout
    assert "Conversations, items" in page.read_text()
