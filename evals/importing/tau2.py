"""tau2-bench tasks: a JSON list of `{id, user_scenario, evaluation_criteria, initial_state, ...}`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.errors import UsageError
from evals.importing.drafts import Draft, Imported, Refused, brief, draft, read_text, turn

_SPOKEN = "the first message is the simulated user's instruction: rewrite it as what the user says"
_ACTION = {"action_id", "requestor", "name", "arguments", "compare_args"}
_CRITERIA = {"actions", "communicate_info", "nl_assertions", "env_assertions", "reward_basis"}
_TASK = {"id", "description", "user_scenario", "evaluation_criteria", "initial_state"}
_ONE_TURN = "all calls and facts are expected of one turn: split them over the turns of a real conversation"


def read(path: Path, answers: Path | None) -> Imported:
    """One draft per task, with one turn."""
    del answers
    try:
        tasks = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}: line {error.lineno}: not JSON ({error.msg})") from error
    if not isinstance(tasks, list):
        raise UsageError(f"{path}: a JSON list of tasks is expected")
    drafts: list[Draft] = []
    refused: list[Refused] = []
    for number, task in enumerate(tasks, start=1):
        item = str(task.get("id", number)) if isinstance(task, dict) else str(number)
        message = _message(task) if isinstance(task, dict) else ""
        if message:
            drafts.append(_draft(f"{path.parent.name}-{item}", message, task))
        else:
            refused.append(Refused(item=item, reason="has no instructions for the user"))
    return Imported(drafts=drafts, refused=refused)


def _draft(item: str, message: str, task: Mapping[str, Any]) -> Draft:
    criteria = _part(task, "evaluation_criteria")
    tools, lost = _tools(criteria.get("actions") or [])
    say = [str(fact) for fact in criteria.get("communicate_info") or []]
    lost = [_SPOKEN, *([_ONE_TURN] if tools or say else []), *lost, *_unjudged(criteria), *_unplayed(task)]
    if criteria.get("actions") == []:
        lost.append("actions: none, so the state must end as it began; a card lists the rows it forbids (`absent_state`)")
    persona = _part(task, "user_scenario").get("persona")
    purpose = _part(task, "description").get("purpose") or message
    expected = turn(message, tools=tools or None, order="any_order" if len(tools) > 1 else None, say=say)
    return draft(item, str(purpose), [expected], lost, persona=str(persona) if persona else None)


def _message(task: Mapping[str, Any]) -> str:
    instructions = _part(task, "user_scenario").get("instructions")
    if isinstance(instructions, str):
        return instructions.strip()
    if not isinstance(instructions, dict):
        return ""
    parts = [instructions.get("reason_for_call"), instructions.get("known_info")]
    return "\n".join(str(part).strip() for part in parts if part)


def _tools(actions: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    tools: list[dict[str, Any]] = []
    lost: list[str] = []
    for action in actions:
        name, arguments = str(action.get("name")), dict(action.get("arguments") or {})
        if action.get("requestor", "assistant") != "assistant":
            lost.append(f"action of the user: {name}({brief(arguments)})")
            continue
        compared = action.get("compare_args")
        kept = arguments if compared is None else {key: value for key, value in arguments.items() if key in compared}
        tools.append({"name": name, "arguments": kept} if kept else {"name": name})
        lost += [f"{key} of action {name}: {brief(action[key])}" for key in action if key not in _ACTION and action[key]]
    return tools, lost


def _unjudged(criteria: Mapping[str, Any]) -> list[str]:
    lost = [f"judged in words: {assertion}" for assertion in criteria.get("nl_assertions") or []]
    for assertion in criteria.get("env_assertions") or []:
        lost.append(f"assertion on the environment: {assertion.get('func_name')}({brief(assertion.get('arguments'))})")
    if criteria.get("reward_basis"):
        lost.append(f"reward_basis {brief(criteria['reward_basis'])}: every check of a card counts")
    return lost + _others("evaluation_criteria.", criteria, _CRITERIA)


def _unplayed(task: Mapping[str, Any]) -> list[str]:
    scenario = _part(task, "user_scenario")
    lost = _others("user_scenario.instructions.", _part(scenario, "instructions"), {"reason_for_call", "known_info"})
    lost += _others("user_scenario.", scenario, {"instructions", "persona"})
    lost += _others("initial_state (write `fixtures`): ", _part(task, "initial_state"), set())
    lost += _others("description.", _part(task, "description"), {"purpose"})
    return lost + _others("", task, _TASK)


def _others(prefix: str, fields: Mapping[str, Any], known: set[str]) -> list[str]:
    """A line for every field with a value that nothing else reads."""
    return [f"{prefix}{key}: {brief(value)}" for key, value in fields.items() if key not in known and value]


def _part(task: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = task.get(name)
    return part if isinstance(part, dict) else {}
