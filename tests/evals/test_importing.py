"""Cases of other tools become drafts; what a card cannot carry is said per item and never dropped."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Contains, LLMJudge, MaxDuration, ToolCorrectness, TrajectoryMatch

from evals.cards import Card
from evals.cli.cards import cards as cards_command
from evals.errors import AssayError, EvidenceError, UsageError
from evals.importing import bfcl, openai_evals, promptfoo, pydantic_evals, tau2
from evals.importing.drafts import Draft, Imported, draft, draft_faults, slug, title, write_drafts
from evals.selfcheck import solution_faults

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ASSAY_DATA_DIR", ROOT.parent / "shared/data"))
STUB = {"fails": "answered", "turns": {1: {"text": ""}}}
MakeCard = Callable[..., Card]


def card_of(one: Draft) -> Card:
    """The draft as a card, once somebody has given it a sabotage."""
    return Card.model_validate({"area": "imported", **one.card, "sabotage": STUB})


def write(path: Path, data: Any) -> Path:
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def lines(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


# OpenAI evals


def test_openai_rows_keep_the_user_and_the_ideal_and_name_the_rest(tmp_path: Path) -> None:
    chat = [
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": [{"type": "text", "text": "Capital of France?"}]},
    ]
    source = lines(
        tmp_path / "capitals.jsonl",
        {"input": chat, "ideal": ["Paris", "paris, France"], "difficulty": 2},
        {"input": "2 + 2?", "ideal": "4"},
        {"input": "Any ideas?"},
        {"input": [{"role": "system", "content": "only a system message"}], "ideal": "x"},
    )
    found = openai_evals.read(source, None)
    first, second, third = found.drafts
    assert first.card["turns"] == [
        {"user": "Hello"},
        {"user": "Capital of France?", "expect": {"say": [["Paris", "paris, France"]]}},
    ]
    assert [line.split(":")[0] for line in first.lost] == [
        "system message (the assistant under test brings its own)",
        "assistant message (a card holds what the user says)",
        "ideal",
        "difficulty",
    ]
    assert second.card["turns"] == [{"user": "2 + 2?", "expect": {"say": ["4"]}}]
    assert third.lost == ["no ideal answer: only that it is answered is checked"]
    assert [(one.item, one.reason) for one in found.refused] == [("capitals-4", "has no user message")]
    assert [solution_faults(card_of(one)) for one in found.drafts] == [[], [], []]


def test_odd_messages_are_listed_and_not_read_as_the_user() -> None:
    users, lost = openai_evals.messages(["text", {"role": "user", "content": {"a": 1}}, {"role": "tool", "content": "7"}])
    assert users == ['{"a": 1}']
    assert [line.split(" ")[0] for line in lost] == ["unknown", "tool"]
    assert openai_evals.messages(None) == ([], [])


# pydantic-evals


def test_a_dataset_written_by_pydantic_evals_is_read(tmp_path: Path) -> None:
    dataset = Dataset[Any, Any, Any](
        name="kitchen",
        cases=[
            Case(
                name="Hot holding",
                inputs="How hot must chicken be held?",
                expected_output="135 F",
                metadata={"owner": "ops"},
                evaluators=(MaxDuration(seconds=2.0), Contains(value="135"), ToolCorrectness(expected_tools=["search", "log"])),
            ),
            Case(
                name="two",
                inputs=["first", "second"],
                evaluators=(TrajectoryMatch(expected_trajectory=["a", "b"], order="exact"),),
            ),
            Case(name="mapping", inputs={"question": "why?", "k": 3}, expected_output="because"),
            Case(name="nothing", inputs=3),
        ],
        evaluators=[LLMJudge(rubric="is polite")],
    )
    dataset.to_file(tmp_path / "kitchen.yaml", schema_path=None)
    found = pydantic_evals.read(tmp_path / "kitchen.yaml", None)
    hot, two, mapping = (card_of(one) for one in found.drafts)
    assert (hot.id, hot.budgets.turn_s) == ("hot-holding", 2.0)
    assert hot.turns[0].expect.say == ["135"]
    assert [tool.name for tool in hot.turns[0].expect.tools or []] == ["search", "log"]
    assert found.drafts[0].lost == [
        "ToolCorrectness: further calls were a failure; a card cannot say that of calls in any order",
        'evaluator LLMJudge: {"rubric": "is polite"}',
        'metadata: {"owner": "ops"}',
    ]
    assert [turn.user for turn in two.turns] == ["first", "second"]
    assert two.turns[1].expect.order == "exact" and two.turns[0].expect.tools is None
    assert mapping.turns[0].user == "why?"
    assert {"inputs.k: 3", "expected_output: because"} <= set(found.drafts[2].lost)
    assert [one.item for one in found.refused] == ["nothing"]
    assert [solution_faults(card) for card in (hot, two, mapping)] == [[], [], []]


def test_a_card_exported_as_a_case_comes_back_whole(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card()
    case = card.as_case()
    source = write(
        tmp_path / "out.yaml", yaml.safe_dump({"cases": [{"name": card.id, "inputs": case.inputs, "metadata": case.metadata}]})
    )
    (one,) = pydantic_evals.read(source, None).drafts
    assert Card.model_validate(one.card) == card and not one.lost


def evaluated(tmp_path: Path, *evaluators: Any, **case: Any) -> Draft:
    data = {"cases": [{"name": "c", "inputs": "u", "evaluators": list(evaluators), **case}]}
    (one,) = pydantic_evals.read(write(tmp_path / "d.yaml", yaml.safe_dump(data)), None).drafts
    return one


@pytest.mark.parametrize(
    ("evaluator", "expect"),
    [
        ({"MaxToolCalls": 0}, {"tools": []}),
        (
            {"ArgumentCorrectness": {"tool_name": "t", "expected_arguments": {"a": 1}}},
            {"tools": [{"name": "t", "arguments": {"a": 1}}]},
        ),
        ({"ToolCorrectness": {"expected_tools": ["t"], "allow_extra": True}}, {"tools": [{"name": "t"}], "order": "any_order"}),
        ({"Contains": ["135"]}, {"say": ["135"]}),
        ({"Contains": {"value": 57}}, {"say": ["57"]}),
    ],
)
def test_evaluators_become_expectations(evaluator: Any, expect: dict[str, Any], tmp_path: Path) -> None:
    one = evaluated(tmp_path, evaluator)
    assert (one.card["turns"][0]["expect"], one.lost) == (expect, [])


@pytest.mark.parametrize(
    ("evaluators", "words"),
    [
        (["MadeUp"], "evaluator MadeUp"),
        ([{"Contains": {"value": ["a", "b"]}}], "evaluator Contains"),
        ([{"Contains": {"value": "a", "case_sensitive": True}}], "case_sensitive of evaluator Contains"),
        (["EqualsExpected"], "Equals: an answer that contains"),
        ([{"Equals": {"value": True}}], "evaluator Equals"),
        ([{"MaxDuration": "soon"}], "evaluator MaxDuration"),
        ([{"MaxModelRequests": "few"}], "evaluator MaxModelRequests"),
        ([{"MaxToolCalls": 3}], "evaluator MaxToolCalls"),
        ([{"ToolCorrectness": "t"}], "evaluator ToolCorrectness"),
        ([{"TrajectoryMatch": {"expected_trajectory": ["a"], "order": "odd"}}], "evaluator TrajectoryMatch"),
        ([{"TrajectoryMatch": {"expected_trajectory": ["a"]}}], "was a score of the in_order match"),
        ([{"ArgumentCorrectness": {"tool_name": "t"}}], "evaluator ArgumentCorrectness"),
        (
            [
                {"ToolCorrectness": ["t"]},
                {"ArgumentCorrectness": {"tool_name": "t", "expected_arguments": {"a": 1}, "match_mode": "exact"}},
            ],
            "further arguments were a failure",
        ),
    ],
)
def test_evaluators_without_a_counterpart_are_listed(evaluators: list[Any], words: str, tmp_path: Path) -> None:
    one = evaluated(tmp_path, *evaluators, expected_output="x")
    assert any(words in line for line in one.lost)
    card_of(one)


def test_model_requests_become_a_budget_and_report_evaluators_are_named(tmp_path: Path) -> None:
    data = {"cases": [{"inputs": "u", "evaluators": [{"MaxModelRequests": 3}]}, 5], "report_evaluators": ["ConfusionMatrix"]}
    found = pydantic_evals.read(write(tmp_path / "d.yaml", yaml.safe_dump(data)), None)
    assert card_of(found.drafts[0]).budgets.model_calls == 3
    assert [one.item for one in found.refused] == ["2", "report_evaluators"]


# BFCL


def test_bfcl_calls_need_their_one_right_value_and_list_alternatives(tmp_path: Path) -> None:
    functions = [{"name": "area.get", "parameters": {}}]
    source = lines(
        tmp_path / "simple.json",
        {"id": "s-0", "question": [[{"role": "user", "content": "Area of 10 by 5?"}]], "function": functions},
        {"id": "s-1", "question": [[{"role": "user", "content": "And twice?"}]], "function": functions},
        {"id": "s-2", "question": [[{"role": "user", "content": "Unanswered"}]], "function": functions},
        {"id": "irrelevance-3", "question": [[{"role": "user", "content": "Sing"}]], "function": functions},
        {"id": "s-4", "question": [[{"role": "system", "content": "x"}]], "function": functions},
        {"id": "s-5", "question": []},
    )
    size = {"shape": [{"w": [10], "h": ["", 5], "u": ["m", "cm"]}], "box": [{"a": [1]}]}
    lines(
        tmp_path / "possible_answer/simple.json",
        {
            "id": "s-0",
            "ground_truth": [{"area.get": {"base": [10], "unit": ["m", ""], "kind": ["a", "b"], "sort": ["", "x", "y"]}}],
        },
        {"id": "s-1", "ground_truth": [{"area.get": size}, {"area.get": {}}]},
    )
    found = bfcl.read(source, None)
    first, second, third, none = found.drafts
    assert first.card["turns"][0]["expect"] == {"tools": [{"name": "area.get", "arguments": {"base": 10}}], "order": "exact"}
    assert list(first.lost) == [
        'area.get.unit: may be left out or ["m", ""]; any value passes',
        'area.get.kind: one of ["a", "b"]; any value passes',
        'area.get.sort: one of ["", "x", "y"]; any value passes',
        "function: the assistant under test must offer area.get",
    ]
    assert second.card["turns"][0]["expect"]["tools"] == [
        {"name": "area.get", "arguments": {"box": {"a": 1}}},
        {"name": "area.get"},
    ]
    assert any(line.startswith("area.get.shape: one of") for line in second.lost)
    assert any("no further call was allowed" in line for line in second.lost)
    assert third.lost[0].startswith("no possible answer")
    assert none.card["turns"][0]["expect"] == {"tools": []}
    assert [one.item for one in found.refused] == ["s-4", "s-5"]
    assert [solution_faults(card_of(one)) for one in found.drafts] == [[], [], [], []]


def test_bfcl_calls_of_many_turns_are_read_as_python_and_named_by_the_tools_documents(tmp_path: Path) -> None:
    said = [[{"role": "user", "content": text}] for text in ("sort it", "move it", "nothing", "odd")]
    source = lines(
        tmp_path / "m.json",
        {"id": "m-0", "question": said, "involved_classes": ["Files"], "initial_config": {"a": 1}, "path": ["x"]},
    )
    answers = lines(
        tmp_path / "answers.json",
        {
            "id": "m-0",
            "ground_truth": [
                ["sort('a.txt')"],
                ["mv(source='a', destination='b')", "cd('x')"],
                [],
                ["2 +", "f(g())", "f(**k)", "h(1j)"],
            ],
        },
    )
    lines(
        tmp_path / "multi_turn_func_doc/files.json",
        {"name": "sort", "parameters": {"properties": {"file_name": {}}}},
        {"name": "cd"},
    )
    lines(tmp_path / "multi_turn_func_doc/other.json", {"name": "cd", "parameters": {"properties": {"folder": {}}}})
    (one,) = bfcl.read(source, answers).drafts
    assert [turn.get("expect") for turn in one.card["turns"]] == [
        {"tools": [{"name": "sort", "arguments": {"file_name": "a.txt"}}], "order": "exact"},
        {"tools": [{"name": "mv", "arguments": {"source": "a", "destination": "b"}}, {"name": "cd"}], "order": "any_order"},
        None,
        None,
    ]
    assert list(one.lost) == [
        "cd('x'): the names of its arguments are unknown; any value passes",
        "not a plain call: 2 +",
        "not a plain call: f(g())",
        "not a plain call: f(**k)",
        "not a plain call: h(1j)",
        "involved_classes: the assistant under test must offer the tools of Files",
        'initial_config (write `fixtures`): {"a": 1}',
        'path: ["x"]',
    ]
    other = lines(tmp_path / "short.json", {"id": "m-0", "ground_truth": [[]]})
    assert "has 1 turns, the question has 4" in bfcl.read(source, other).drafts[0].lost[0]


@pytest.mark.skipif(not (DATA / "bfcl_v4").is_dir(), reason="the public data set is not on this machine")
@pytest.mark.parametrize(
    ("name", "rows"), [("simple_python", 400), ("multiple", 200), ("irrelevance", 240), ("multi_turn_base", 200)]
)
def test_every_row_of_the_public_bfcl_becomes_a_card_whose_reference_passes(name: str, rows: int) -> None:
    found = bfcl.read(DATA / f"bfcl_v4/BFCL_v4_{name}.json", None)
    assert (len(found.drafts), len(found.refused)) == (rows, 0)
    assert [fault for one in found.drafts for fault in solution_faults(card_of(one))] == []
    assert not any("no possible answer" in line or "unknown" in line for one in found.drafts for line in one.lost)


# tau2

TASK: dict[str, Any] = {
    "id": "create[1]",
    "description": {"purpose": "A task is created", "notes": "basic"},
    "user_scenario": {
        "persona": "brisk",
        "instructions": {
            "reason_for_call": "You want a task.",
            "known_info": "You are user_1.",
            "task_instructions": "Be brief.",
        },
    },
    "ticket": "wants a task",
    "initial_state": {"initialization_actions": [{"func_name": "x"}], "message_history": None},
    "evaluation_criteria": {
        "actions": [
            {"name": "create", "arguments": {"title": "t", "note": "n"}, "compare_args": ["title"], "info": "why"},
            {"name": "list", "arguments": {}},
            {"name": "reboot", "arguments": {}, "requestor": "user"},
        ],
        "communicate_info": ["done"],
        "nl_assertions": ["is polite"],
        "env_assertions": [{"func_name": "assert_on", "arguments": {"on": True}}],
        "reward_basis": ["DB"],
    },
}


def test_tau2_tasks_keep_calls_and_facts_and_list_what_a_simulated_user_needs(tmp_path: Path) -> None:
    quiet = {"id": 2, "user_scenario": {"instructions": "Cancel it."}, "evaluation_criteria": {"actions": []}}
    mute = {"id": 3, "user_scenario": {"instructions": {"reason_for_call": None}}}
    odd = {"id": 4, "user_scenario": {"instructions": 7}}
    found = tau2.read(write(tmp_path / "tasks.json", [TASK, quiet, mute, odd, "x"]), None)
    first, second = found.drafts
    assert first.card["turns"] == [
        {
            "user": "You want a task.\nYou are user_1.",
            "expect": {
                "tools": [{"name": "create", "arguments": {"title": "t"}}, {"name": "list"}],
                "order": "any_order",
                "say": ["done"],
            },
        }
    ]
    assert (first.card["persona"], first.card["title"]) == ("brisk", "A task is created")
    assert [line.split(":")[0] for line in first.lost] == [
        "the first message is the simulated user's instruction",
        "all calls and facts are expected of one turn",
        "info of action create",
        "action of the user",
        "judged in words",
        "assertion on the environment",
        'reward_basis ["DB"]',
        "user_scenario.instructions.task_instructions",
        "initial_state (write `fixtures`)",
        "description.notes",
        "ticket",
    ]
    assert second.card["turns"] == [{"user": "Cancel it."}]
    assert any("the state must end as it began" in line for line in second.lost)
    assert [one.item for one in found.refused] == ["3", "4", "5"]


@pytest.mark.skipif(not (DATA / "tau2").is_dir(), reason="the public data set is not on this machine")
@pytest.mark.parametrize(("name", "tasks"), [("airline/tasks", 50), ("mock/tasks", 10), ("telecom/tasks_small", 20)])
def test_every_public_tau2_task_becomes_a_card_whose_reference_passes(name: str, tasks: int) -> None:
    found = tau2.read(DATA / f"tau2/{name}.json", None)
    assert (len(found.drafts), len(found.refused)) == (tasks, 0)
    assert [fault for one in found.drafts for fault in solution_faults(card_of(one))] == []


# promptfoo

CONFIG = """
description: kitchen
providers: [openai:gpt-4]
prompts:
  - "Question: {{question}}"
  - raw: '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{question}} {% raw %}"}]'
  - file://prompt.txt
env: {A: b}
defaultTest:
  assert: [{type: not-contains, value: As an AI}]
  vars: {unit: F}
tests:
  - description: Hot holding
    vars: {question: "How hot?", limit: "135"}
    threshold: 0.5
    assert:
      - {type: icontains, value: "{{limit}} {{unit}}", weight: 2}
      - {type: contains-any, value: "hot, warm"}
      - {type: contains-all, value: [a, b]}
      - {type: latency, threshold: 1500}
      - {type: llm-rubric, value: is polite}
  - file://more.yaml
  - vars: {question: ["one?", "two?"]}
"""


def test_promptfoo_tests_become_a_card_for_every_prompt_and_choice_of_variables(tmp_path: Path) -> None:
    found = promptfoo.read(write(tmp_path / "kitchen.yaml", CONFIG), None)
    assert len(found.drafts) == 2 + 4
    first, second, third, *_ = found.drafts
    card = card_of(first)
    assert (card.id, card.title, card.turns[0].user, card.budgets.turn_s) == (
        "hot-holding",
        "Hot holding",
        "Question: How hot?",
        1.5,
    )
    assert card.turns[0].expect.say == ["135 F", ["hot", "warm"], "a", "b"]
    assert card.turns[0].expect.not_say == ["As an AI"]
    assert list(first.lost) == [
        "weight of assertion icontains: 2",
        'assertion llm-rubric: {"value": "is polite"}',
        "threshold: 0.5",
    ]
    assert second.card["turns"][0]["user"] == "How hot? {% raw %}"
    assert list(second.lost)[:2] == [
        "system message (the assistant under test brings its own): Be brief.",
        "template of the prompt: {% raw %}",
    ]
    assert third.card["turns"][0]["user"] == "Question: one?"
    assert "vars.unit: F" in third.lost
    assert [one.item for one in found.refused] == ["prompts", "tests", "env"]
    assert [solution_faults(card_of(one)) for one in found.drafts] == [[]] * 6


def asserted(tmp_path: Path, *assertions: Any) -> Draft:
    data = {"tests": [{"vars": {"prompt": "hello"}, "assert": list(assertions)}]}
    (one,) = promptfoo.read(write(tmp_path / "c.yaml", yaml.safe_dump(data)), None).drafts
    assert one.card["turns"][0]["user"] == "hello"
    card_of(one)
    return one


@pytest.mark.parametrize(
    ("assertion", "expect"),
    [
        ({"type": "contains", "value": 57}, {"say": ["57"]}),
        ({"type": "not-contains-any", "value": ["x", "y"]}, {"not_say": ["x", "y"]}),
        ({"type": "is-refusal"}, {"outcome": "refused"}),
        ({"type": "assert-set", "assert": [{"type": "contains", "value": "a"}]}, {"say": ["a"]}),
        ({"type": "trajectory:tool-used", "value": {"name": "t"}}, {"tools": [{"name": "t"}], "order": "any_order"}),
        ({"type": "not-trajectory:tool-used", "value": "t"}, {"forbid_tools": ["t"]}),
        (
            {"type": "trajectory:tool-sequence", "value": {"steps": ["a", "b"], "mode": "exact"}},
            {"tools": [{"name": "a"}, {"name": "b"}], "order": "exact"},
        ),
        ({"type": "trajectory:tool-sequence", "value": ["a"]}, {"tools": [{"name": "a"}], "order": "in_order"}),
        (
            {"type": "trajectory:tool-args-match", "value": {"name": "t", "args": {"a": 1}, "mode": "partial"}},
            {"tools": [{"name": "t", "arguments": {"a": 1}}], "order": "any_order"},
        ),
    ],
)
def test_assertions_become_expectations(assertion: Any, expect: dict[str, Any], tmp_path: Path) -> None:
    one = asserted(tmp_path, assertion)
    assert (one.card["turns"][0]["expect"], one.lost) == (expect, [])


@pytest.mark.parametrize(
    "assertion",
    [
        "text",
        {"type": "javascript", "value": "output.length > 3"},
        {"type": "contains", "value": {"a": 1}},
        {"type": "equals", "value": None},
        {"type": "contains-any", "value": 3},
        {"type": "contains-all", "value": []},
        {"type": "not-contains", "value": []},
        {"type": "not-contains-any"},
        {"type": "latency"},
        {"type": "assert-set", "threshold": 0.5, "assert": []},
        {"type": "trajectory:tool-used", "value": {"pattern": "t*", "min": 2}},
        {"type": "not-trajectory:tool-used", "value": [3]},
        {"type": "trajectory:tool-args-match", "value": "t"},
        {"type": "trajectory:tool-args-match", "value": {"name": "t"}},
        {"type": "trajectory:tool-sequence", "value": {"steps": ["a"], "mode": "odd"}},
        {"type": "contains", "value": "{{unknown}}"},
        {"type": "equals", "value": "x"},
        {"type": "trajectory:tool-args-match", "value": {"name": "t", "args": {}, "mode": "exact"}},
    ],
)
def test_assertions_without_a_counterpart_are_listed(assertion: Any, tmp_path: Path) -> None:
    assert len(asserted(tmp_path, assertion).lost) >= 1


def test_assertions_on_one_tool_are_joined(tmp_path: Path) -> None:
    used = {"type": "trajectory:tool-used", "value": ["a", "b"]}
    matched = {"type": "trajectory:tool-args-match", "value": {"name": "a", "args": {"n": 1}}}
    other = {"type": "trajectory:tool-args-match", "value": {"name": "c", "args": {"n": 2}}}
    sequence = {"type": "trajectory:tool-sequence", "value": {"steps": ["a", "b"]}}
    one = asserted(tmp_path, used, used, matched, other, sequence)
    assert one.card["turns"][0]["expect"] == {"tools": [{"name": "a", "arguments": {"n": 1}}, {"name": "b"}], "order": "in_order"}
    assert one.lost == ["arguments of c: not among the steps of the sequence"]


def test_a_prompt_without_words_or_a_broken_chat_is_no_card_or_plain_text(tmp_path: Path) -> None:
    data = {"prompts": ["{{p}}"], "tests": [{"vars": {"p": " "}}, {"vars": {"p": "[not: {closed"}}, {"vars": {"p": "[1, 2]"}}]}
    found = promptfoo.read(write(tmp_path / "c.yaml", yaml.safe_dump(data)), None)
    assert [one.card["turns"][0]["user"] for one in found.drafts] == ["[not: {closed", "[1, 2]"]
    assert [one.reason for one in found.refused] == ["the prompt has no user message"]


# drafts on disk


def one_draft(**fields: Any) -> Imported:
    return Imported(drafts=[draft("Item 1", "A title", [{"user": "u"}], ["a loss\nof two lines"], **fields)])


def test_a_draft_says_at_its_top_what_was_lost_and_lacks_only_its_sabotage(tmp_path: Path) -> None:
    (path,) = write_drafts(one_draft(), tmp_path, area="kitchen", source="c.yaml")
    text = path.read_text()
    assert path == tmp_path / "kitchen/item-1.yaml"
    assert text.startswith("# Draft from c.yaml, item Item 1.") and "#   - a loss of two lines\n" in text
    assert yaml.safe_load(text)["area"] == "kitchen"
    ((where, faults),) = draft_faults(tmp_path).items()
    assert where == path and len(faults) == 1 and faults[0].startswith("field `sabotage`")


def test_equal_ids_are_told_apart_and_nothing_is_overwritten(tmp_path: Path) -> None:
    twice = Imported(drafts=[*one_draft().drafts, *one_draft().drafts])
    paths = write_drafts(twice, tmp_path, area="a", source="c")
    assert [path.name for path in paths] == ["item-1.yaml", "item-1-2.yaml"]
    with pytest.raises(UsageError, match=r"exists already \(and 1 more\)"):
        write_drafts(twice, tmp_path, area="a", source="c")


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EvidenceError, match="choose another --out"):
        write_drafts(one_draft(), tmp_path / "file", area="a", source="c")


def test_ids_and_titles_are_made_of_any_text() -> None:
    assert (slug("../../Éa b_C!"), slug("!!!"), len(slug("x" * 99))) == ("a-b-c", "item", 60)
    assert (title("  a\n b "), title(""), len(title("y" * 99))) == ("a b", "Untitled", 80)


# the commands


def run(*arguments: str) -> tuple[Any, str]:
    result = CliRunner().invoke(cards_command, arguments, catch_exceptions=False, standalone_mode=False)
    return result.return_value, result.output


def test_the_command_writes_drafts_and_validate_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("new", "walk-in-warm", "--area", "safety")
    lines(tmp_path / "My evals.jsonl", {"input": "2 + 2?", "ideal": "4"}, {"input": []})
    code, said = run("import", "openai-evals", "My evals.jsonl")
    assert code == 0 and "not carried over: ideal" in said
    assert "1 drafts written, 0 of them without loss; 1 items gave no card" in said and "no card: My evals-2" in said
    _, said = run("validate")
    assert "draft datasets/qsr/drafts/my-evals/my-evals-1.yaml: field `sabotage`" in said and "1 cards are valid" in said
    path = tmp_path / "datasets/qsr/drafts/my-evals/my-evals-1.yaml"
    path.write_text(path.read_text() + "sabotage: {fails: say, turns: {1: {text: five}}}\n")
    assert "complete; move it among the scenarios" in run("validate")[1]


def test_the_command_lists_losses_as_json(tmp_path: Path) -> None:
    source = lines(tmp_path / "e.jsonl", {"input": "2 + 2?", "ideal": "4"}, {"input": []})
    code, said = run("import", "openai-evals", str(source), "--out", str(tmp_path / "out"), "--area", "Maths", "--json")
    found = json.loads(said)
    assert code == 0 and found["drafts"][0]["file"] == str(tmp_path / "out/maths/e-1.yaml")
    assert (len(found["drafts"][0]["lost"]), found["refused"]) == (1, [{"item": "e-2", "reason": "has no user message"}])


def test_a_source_that_gives_no_card_fails(tmp_path: Path) -> None:
    code, said = run("import", "openai-evals", str(lines(tmp_path / "e.jsonl", {"input": []})), "--out", str(tmp_path / "out"))
    assert code == 1 and "0 drafts written" in said


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("openai-evals", "{\n[]\n", "line 1: not JSON"),
        ("bfcl", "[1]\n", "line 1: a JSON object is expected"),
        ("tau2", "{", "line 1: not JSON"),
        ("tau2", "{}", "a JSON list of tasks is expected"),
        ("promptfoo", "- a", "a promptfoo configuration is a mapping"),
        ("promptfoo", "a: [", "not valid YAML"),
        ("pydantic-evals", "a: b", "field `cases`"),
        ("promptfoo", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_source_that_cannot_be_read_gets_one_sentence(kind: str, text: str | bytes, words: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
    with pytest.raises(AssayError, match=words):
        run("import", kind, str(source), "--out", str(tmp_path / "out"))


def test_a_source_that_is_not_there_is_said() -> None:
    with pytest.raises(AssayError, match="cannot be read"):
        run("import", "promptfoo", "missing.yaml")
