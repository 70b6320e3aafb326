"""Berkeley function calling leaderboard: JSON lines of `{id, question, function}` with possible answers in a second file.

Single-turn answers are `[{function: {argument: [accepted values]}}]`, multi-turn ones a list of Python calls per turn.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.importing.drafts import Draft, Imported, Refused, brief, draft, read_rows, turn
from evals.importing.openai_evals import messages

_NOTHING = ""
"""Among accepted values: the argument may be left out."""


def read(path: Path, answers: Path | None) -> Imported:
    """One draft per row. Without `answers`, `possible_answer/` beside the file is looked for; `irrelevance` rows need none: nothing is called."""
    beside = path.parent / "possible_answer" / path.name
    found = answers or (beside if beside.is_file() else None)
    truths = {str(row.get("id")): row.get("ground_truth") for row in read_rows(found)} if found else {}
    positions = _parameters(path.parent / "multi_turn_func_doc")
    drafts: list[Draft] = []
    refused: list[Refused] = []
    for number, row in enumerate(read_rows(path), start=1):
        item = str(row.get("id") or f"{path.stem}-{number}")
        spoken = [messages(said) for said in row.get("question") or []]
        if not spoken or not all(users for users, _ in spoken):
            refused.append(Refused(item=item, reason="has a turn without a user message"))
            continue
        users = ["\n".join(said) for said, _ in spoken]
        expected, lost = _expected(item, truths.get(item), len(users), positions)
        lost = [line for _, lines in spoken for line in lines] + lost + _world(row)
        turns = [turn(text, **expect) for text, expect in zip(users, expected, strict=True)]
        drafts.append(draft(item, users[0], turns, lost))
    return Imported(drafts=drafts, refused=refused)


def _expected(item: str, truth: Any, turns: int, positions: Mapping[str, list[str]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Per turn the expectations on tools, and what of the answers they cannot hold."""
    if truth is None and "irrelevance" in item:
        return [{"tools": []}] + [{}] * (turns - 1), []
    if not isinstance(truth, list) or not truth:
        return [{}] * turns, ["no possible answer: only that it is answered is checked"]
    if isinstance(truth[0], dict):
        calls, lost = _accepted_calls(truth)
        return [_tools(calls)] + [{}] * (turns - 1), lost
    if len(truth) != turns:
        return [{}] * turns, [f"possible answer: has {len(truth)} turns, the question has {turns}"]
    read_turns = [_python_calls(lines, positions) for lines in truth]
    return [_tools(calls) for calls, _ in read_turns], [line for _, lines in read_turns for line in lines]


def _tools(calls: list[dict[str, Any]]) -> dict[str, Any]:
    """One call must be the only one; of several the order is free, and further calls pass."""
    if not calls:
        return {}
    return {"tools": calls, "order": "exact" if len(calls) == 1 else "any_order"}


def _accepted_calls(truth: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    calls: list[dict[str, Any]] = []
    lost: list[str] = []
    for answer in truth:
        for name, arguments in answer.items():
            kept: dict[str, Any] = {}
            for argument, accepted in arguments.items():
                values, several = _single(accepted)
                if values and not several:
                    kept[argument] = values[0]
                elif several:
                    lost.append(f"{name}.{argument}: one of {brief(accepted)}; any value passes")
                else:
                    lost.append(f"{name}.{argument}: may be left out or {brief(accepted)}; any value passes")
            calls.append({"name": name, "arguments": kept} if kept else {"name": name})
    if len(calls) > 1:
        lost.append("no further call was allowed; a card cannot say that of calls in any order")
    return calls, lost


def _single(accepted: Any) -> tuple[list[Any], bool]:
    """The one value an argument must have, if there is one, and whether there are several to choose from."""
    values = accepted if isinstance(accepted, list) else [accepted]
    if _NOTHING in values:
        return [], len(values) > 2
    flat = [_resolved(value) for value in values]
    if len(flat) != 1 or flat[0] is None:
        return [], True
    return [flat[0][0]], False


def _resolved(value: Any) -> tuple[Any] | None:
    """A value without alternatives inside, wrapped; null when a nested field accepts several."""
    if not isinstance(value, dict):
        return (value,)
    inner: dict[str, Any] = {}
    for key, accepted in value.items():
        values, several = _single(accepted)
        if several:
            return None
        if values:
            inner[key] = values[0]
    return (inner,)


def _python_calls(lines: Sequence[str], positions: Mapping[str, list[str]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Calls written as Python. Positional arguments get their names from the tools' documents."""
    calls: list[dict[str, Any]] = []
    lost: list[str] = []
    for line in lines:
        call = _parse(line)
        if call is None:
            lost.append(f"not a plain call: {line}")
            continue
        name, positional, named = call
        names = positions.get(name, [])
        if len(positional) > len(names):
            lost.append(f"{line}: the names of its arguments are unknown; any value passes")
        arguments = {**dict(zip(names, positional, strict=False)), **named}
        calls.append({"name": name, "arguments": arguments} if arguments else {"name": name})
    return calls, lost


def _parse(line: str) -> tuple[str, list[Any], dict[str, Any]] | None:
    try:
        tree = ast.parse(line.strip(), mode="eval").body
        if not isinstance(tree, ast.Call) or any(keyword.arg is None for keyword in tree.keywords):
            return None
        positional = [ast.literal_eval(argument) for argument in tree.args]
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in tree.keywords}
        json.dumps([positional, named])
    except (SyntaxError, ValueError, TypeError):
        return None
    return ast.unparse(tree.func), positional, named


def _parameters(folder: Path) -> dict[str, list[str]]:
    """Names of parameters in order, by function, from `multi_turn_func_doc/`; functions of one name with different ones are left out."""
    seen: dict[str, list[str]] = {}
    unclear: set[str] = set()
    for path in sorted(folder.glob("*.json")):
        for row in read_rows(path):
            name = str(row.get("name"))
            names = list((row.get("parameters") or {}).get("properties") or {})
            if seen.setdefault(name, names) != names:
                unclear.add(name)
    return {name: names for name, names in seen.items() if name not in unclear}


def _world(row: Mapping[str, Any]) -> list[str]:
    lost: list[str] = []
    if functions := [str(function.get("name")) for function in row.get("function") or []]:
        lost.append(f"function: the assistant under test must offer {', '.join(functions)}")
    if row.get("involved_classes"):
        lost.append(f"involved_classes: the assistant under test must offer the tools of {', '.join(row['involved_classes'])}")
    if row.get("initial_config"):
        lost.append(f"initial_config (write `fixtures`): {brief(row['initial_config'])}")
    known = {"id", "question", "function", "involved_classes", "initial_config"}
    return lost + [f"{key}: {brief(value)}" for key, value in row.items() if key not in known]
