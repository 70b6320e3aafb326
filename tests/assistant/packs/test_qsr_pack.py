"""The pack as a whole: its agents, what its tools promise, its seed and its page in the manual."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import Environment, StrictUndefined
from pydantic_ai.tools import Tool

from assistant.pack import Pack, PackAgent
from assistant.packs.qsr.tools.diagnosis_trees import FIXED, MAKE_SAFE, SERVICE, Kind, kinds
from assistant.packs.qsr.tools.emergencies import procedures

PAGE = Path(__file__).parents[3] / "docs" / "packs" / "qsr.md"
WRITING = ("Log", "Record", "Create", "Update", "Start", "Mark", "Add", "Swap", "Place", "Finish", "Continue")
READING = ("Look", "List", "Show", "Tell")


def test_four_specialists_with_tools_of_their_own(qsr: Pack) -> None:
    assert {name: len(agent.tools) >= 5 for name, agent in qsr.agents.items()} == dict.fromkeys(
        ("equipment", "safety", "operations", "training"), True
    )
    assert qsr.safest_agent == "safety"
    assert len({agent.deps_type for agent in qsr.agents.values()}) == 4


def test_every_tool_says_what_it_does_and_what_it_is_for(qsr: Pack) -> None:
    for agent in qsr.agents.values():
        for tool in agent.tools:
            definition = Tool(tool).tool_def
            doc = definition.description or ""
            assert doc.split()[0] in WRITING + READING, tool.__name__
            examples = re.findall(r'"([^"]+)"', doc.partition("Use for:")[2])
            assert 3 <= len(examples) <= 8, tool.__name__
            described = definition.parameters_json_schema["properties"]
            assert all(shape.get("description") for shape in described.values()), tool.__name__


def test_no_example_request_is_used_by_two_tools(qsr: Pack) -> None:
    seen = [
        example
        for agent in qsr.agents.values()
        for tool in agent.tools
        for example in re.findall(r'"([^"]+)"', (tool.__doc__ or "").partition("Use for:")[2])
    ]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("name", ["equipment", "safety", "operations", "training"])
def test_every_prompt_fills_and_carries_the_shared_style(qsr: Pack, name: str) -> None:
    agent: PackAgent = qsr.agents[name]
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(agent.prompt.read_text())
    text = template.render(**qsr.variables, today="2026-06-15", time="10:00", user_id="maria-lopez")
    assert "Harbor Road store" in text
    assert "[document#passage]" in text
    assert "never announce a transfer" in text


def test_the_seed_refers_only_to_rows_that_exist(qsr: Pack) -> None:
    seed = qsr.seed
    for collection, field, target in [
        ("maintenance", "machine", "machines"),
        ("tickets", "machine", "machines"),
        ("temperatures", "limit", "temperature_limits"),
        ("certifications", "person", "people"),
        ("shifts", "person", "people"),
        ("orders", "item", "inventory"),
        ("onboarding_tasks", "person", "people"),
        ("learning_progress", "person", "people"),
        ("learning_progress", "path", "learning_paths"),
        ("quiz_results", "quiz", "quizzes"),
        ("evaluations", "person", "people"),
        ("coaching_notes", "person", "people"),
    ]:
        for key, row in seed[collection].items():
            assert isinstance(row, dict)
            assert row[field] in seed[target], (collection, key)


def test_the_page_lists_every_tool_argument_and_collection(qsr: Pack) -> None:
    page = PAGE.read_text()
    for agent in qsr.agents.values():
        for tool in agent.tools:
            row = next(line for line in page.splitlines() if line.startswith(f"| `{tool.__name__}` |"))
            for parameter in Tool(tool).tool_def.parameters_json_schema["properties"]:
                assert f"`{parameter}`" in row, row
    assert [name for name in qsr.seed if f"### `{name}`" not in page] == []


@pytest.mark.parametrize("kind", list(kinds().values()), ids=lambda kind: kind.kind)
def test_every_tree_is_safe_first_short_and_ends(kind: Kind) -> None:
    assert len(kind.trees) >= 4
    for tree in kind.trees.values():
        assert tree.first == "safety"
        assert 4 <= len(tree.steps) <= 7
        reached, ahead = {tree.first}, [tree.first]
        while ahead:
            step = tree.steps[ahead.pop()]
            for target in (step.yes, step.no):
                if target in tree.steps and target not in reached:
                    reached.add(target)
                    ahead.append(target)
                assert target in tree.steps or target in (FIXED, SERVICE, MAKE_SAFE) or target in tree.ends
        assert reached == set(tree.steps)


def test_every_emergency_has_steps_a_warning_and_a_call() -> None:
    for name, procedure in procedures().items():
        assert len(procedure.steps) >= 3, name
        assert procedure.never.endswith("."), name
        assert "911" in procedure.call, name
