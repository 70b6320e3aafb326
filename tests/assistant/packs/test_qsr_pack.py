"""The pack as a whole: its agents, what its tools promise, its seed and its page in the manual."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

import pytest
from jinja2 import Environment, StrictUndefined
from pydantic_ai.tools import Tool

from assistant.models.embedded.questions import question_for
from assistant.models.embedded.toolbook import read_card
from assistant.pack import Pack, PackAgent
from assistant.packs.qsr.tools.diagnosis_trees import FIXED, MAKE_SAFE, SERVICE, Kind, kinds
from assistant.packs.qsr.tools.emergencies import procedures

PAGE = Path(__file__).parents[3] / "docs" / "packs" / "qsr.md"
WRITING = ("Log", "Record", "Create", "Update", "Start", "Mark", "Add", "Swap", "Place", "Finish")
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


def test_tools_that_write_are_known_as_such_and_the_others_are_not(qsr: Pack) -> None:
    cards = {tool.__name__: read_card(Tool(tool).tool_def) for agent in qsr.agents.values() for tool in agent.tools}
    reading = ("get_", "list_", "show_", "find_", "look_up_")
    assert {name: card.effect for name, card in cards.items()} == {
        name: "read" if name.startswith(reading) else "write" for name in cards
    }


def test_what_is_missing_is_asked_for_in_a_sentence_a_person_would_say(qsr: Pack) -> None:
    for agent in qsr.agents.values():
        for tool in agent.tools:
            for parameter in read_card(Tool(tool).tool_def).parameters:
                asked = question_for(parameter)
                first = parameter.description.split()[0]
                assert first[0].islower() and first not in ("the", "a", "an"), (tool.__name__, parameter.name)
                if parameter.required:
                    assert asked.startswith(("What is the ", "Which ", "What is happening", "What happened")), asked
                    assert len(asked.split()) <= 15 and ";" not in asked and "user" not in asked, asked


def test_the_greeting_leaves_no_question_open(qsr: Pack) -> None:
    assert "?" not in qsr.greeting_reply


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


@pytest.mark.parametrize("kind", list(kinds().values()), ids=lambda kind: kind.kind)
def test_no_two_questions_of_a_tree_sound_alike(kind: Kind) -> None:
    for name, tree in kind.trees.items():
        asked = [step.ask.lower() for step in tree.steps.values()]
        alike = [(one, two) for one, two in combinations(asked, 2) if SequenceMatcher(None, one, two).ratio() >= 0.75]
        assert alike == [], name


def test_every_emergency_has_steps_a_warning_and_a_call() -> None:
    for name, procedure in procedures().items():
        assert len(procedure.steps) >= 3, name
        assert procedure.never.endswith("."), name
        assert "911" in procedure.call, name
