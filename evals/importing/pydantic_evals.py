"""pydantic-evals datasets: YAML of `cases` with `inputs`, `expected_output` and `evaluators`, which may also hold for all cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evals.cards import Card
from evals.errors import UsageError
from evals.importing.drafts import Draft, Imported, Refused, brief, draft, read_yaml, turn


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What evaluators ask of the last turn and of the card; filled while they are read."""

    expect: dict[str, Any] = field(default_factory=dict[str, Any])
    budgets: dict[str, Any] = field(default_factory=dict[str, Any])
    lost: list[str] = field(default_factory=list[str])


def read(path: Path, answers: Path | None) -> Imported:
    """One draft per case. A case whose metadata is a card gives that card back."""
    del answers
    data = read_yaml(path)
    if not isinstance(data, dict) or not isinstance(data.get("cases"), list):
        raise UsageError(f"{path}: field `cases`: a list of cases is expected")
    shared = list(data.get("evaluators") or [])
    drafts: list[Draft] = []
    refused: list[Refused] = []
    for number, case in enumerate(data["cases"], start=1):
        item = str(case.get("name") or f"{path.stem}-{number}") if isinstance(case, dict) else str(number)
        made = _draft(item, case, shared) if isinstance(case, dict) else "is no mapping"
        if isinstance(made, str):
            refused.append(Refused(item=item, reason=made))
        else:
            drafts.append(made)
    for name in data.get("report_evaluators") or []:
        refused.append(Refused(item="report_evaluators", reason=f"{brief(name)}: judges whole reports, not a case"))
    return Imported(drafts=drafts, refused=refused)


def _draft(item: str, case: Mapping[str, Any], shared: Sequence[Any]) -> Draft | str:
    """The draft, or why there is none."""
    metadata = case.get("metadata")
    if isinstance(metadata, dict) and (card := _card(metadata)):
        return Draft(item=item, card=card)
    users, lost = _messages(case.get("inputs"))
    if not users:
        return f"inputs hold no text a user could say: {brief(case.get('inputs'))}"
    found = _Found(lost=lost)
    for spec in [*(case.get("evaluators") or []), *shared]:
        _evaluator(spec, case.get("expected_output"), found)
    if case.get("expected_output") is not None and "say" not in found.expect:
        found.lost.append(f"expected_output: {brief(case['expected_output'])}")
    known = {"name", "inputs", "expected_output", "evaluators"}
    found.lost.extend(f"{key}: {brief(value)}" for key, value in case.items() if key not in known and value)
    turns = [turn(text) for text in users[:-1]] + [turn(users[-1], **found.expect)]
    return draft(item, item, turns, found.lost, budgets=found.budgets)


def _card(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return Card.model_validate(metadata).model_dump(mode="json", exclude_defaults=True)
    except ValidationError:
        return None


def _messages(inputs: Any) -> tuple[list[str], list[str]]:
    """Text, a list of texts, or the only text of a mapping."""
    if isinstance(inputs, str):
        return ([inputs] if inputs.strip() else []), []
    if isinstance(inputs, list):
        return ([str(text) for text in inputs] if all(isinstance(text, str) and text.strip() for text in inputs) else []), []
    fields: dict[str, Any] = inputs if isinstance(inputs, dict) else {}
    texts = [key for key, value in fields.items() if isinstance(value, str) and value.strip()]
    if len(texts) != 1:
        return [], []
    return [fields[texts[0]]], [f"inputs.{key}: {brief(value)}" for key, value in fields.items() if key != texts[0]]


def _evaluator(spec: Any, expected_output: Any, found: _Found) -> None:
    name, arguments = _spelled(spec)
    if name == "EqualsExpected":
        name, arguments = "Equals", {"value": expected_output}
    reader = _READERS.get(name)
    if reader is None or not reader(arguments, found):
        found.lost.append(f"evaluator {name}: {brief(arguments)}")
    else:
        extra = {key: value for key, value in arguments.items() if key not in _USED[name]}
        found.lost.extend(f"{key} of evaluator {name}: {brief(value)}" for key, value in extra.items())


def _spelled(spec: Any) -> tuple[str, dict[str, Any]]:
    """`Name`, `{Name: value}` or `{Name: {argument: value}}`; a single value is the first argument."""
    if isinstance(spec, dict) and len(spec) == 1:
        ((name, given),) = spec.items()
        first = _FIRST.get(str(name), "value")
        if isinstance(given, dict):
            return str(name), given
        positional = given if isinstance(given, list) and first not in {"expected_tools", "expected_trajectory"} else [given]
        return str(name), {first: positional[0]} if len(positional) == 1 else {first: given}
    return str(spec), {}


def _say(arguments: Mapping[str, Any], found: _Found) -> bool:
    value = arguments.get("value")
    if not isinstance(value, str | int | float) or isinstance(value, bool) or not str(value).strip():
        return False
    found.expect.setdefault("say", []).append(str(value))
    return True


def _equals(arguments: Mapping[str, Any], found: _Found) -> bool:
    if not _say(arguments, found):
        return False
    found.lost.append("Equals: an answer that contains the text passes")
    return True


def _duration(arguments: Mapping[str, Any], found: _Found) -> bool:
    seconds = arguments.get("seconds")
    if not isinstance(seconds, int | float):
        return False
    found.budgets["turn_s"] = float(seconds)
    return True


def _requests(arguments: Mapping[str, Any], found: _Found) -> bool:
    if not isinstance(limit := arguments.get("max_requests"), int):
        return False
    found.budgets["model_calls"] = limit
    return True


def _correctness(arguments: Mapping[str, Any], found: _Found) -> bool:
    names = arguments.get("expected_tools")
    if not isinstance(names, list):
        return False
    found.expect.update(tools=[{"name": str(name)} for name in names], order="any_order")
    if names and not arguments.get("allow_extra"):
        found.lost.append("ToolCorrectness: further calls were a failure; a card cannot say that of calls in any order")
    return True


def _trajectory(arguments: Mapping[str, Any], found: _Found) -> bool:
    names, order = arguments.get("expected_trajectory"), arguments.get("order", "in_order")
    if not isinstance(names, list) or order not in {"exact", "in_order", "any_order"}:
        return False
    found.expect.update(tools=[{"name": str(name)} for name in names], order=order)
    if order != "exact":
        found.lost.append(f"TrajectoryMatch: was a score of the {order} match; now all calls must occur")
    return True


def _argument(arguments: Mapping[str, Any], found: _Found) -> bool:
    name, expected = arguments.get("tool_name"), arguments.get("expected_arguments")
    if not isinstance(name, str) or not isinstance(expected, dict):
        return False
    tools = found.expect.setdefault("tools", [])
    same = next((tool for tool in tools if tool["name"] == name and "arguments" not in tool), None)
    if same is None:
        tools.append({"name": name, "arguments": expected})
    else:
        same["arguments"] = expected
    if arguments.get("match_mode", "subset") != "subset":
        found.lost.append(f"ArgumentCorrectness of {name}: further arguments were a failure; now they pass")
    return True


def _no_tools(arguments: Mapping[str, Any], found: _Found) -> bool:
    if arguments.get("max_calls") != 0:
        return False
    found.expect["tools"] = []
    return True


_READERS: dict[str, Callable[[Mapping[str, Any], _Found], bool]] = {
    "Contains": _say,
    "Equals": _equals,
    "MaxDuration": _duration,
    "MaxModelRequests": _requests,
    "MaxToolCalls": _no_tools,
    "ToolCorrectness": _correctness,
    "TrajectoryMatch": _trajectory,
    "ArgumentCorrectness": _argument,
}
_FIRST = {
    "MaxDuration": "seconds",
    "MaxModelRequests": "max_requests",
    "MaxToolCalls": "max_calls",
    "ToolCorrectness": "expected_tools",
    "TrajectoryMatch": "expected_trajectory",
    "LLMJudge": "rubric",
    "IsInstance": "type_name",
}
_USED = {
    "Contains": {"value", "as_strings"},
    "Equals": {"value"},
    "MaxDuration": {"seconds"},
    "MaxModelRequests": {"max_requests"},
    "MaxToolCalls": {"max_calls"},
    "ToolCorrectness": {"expected_tools", "allow_extra"},
    "TrajectoryMatch": {"expected_trajectory", "order"},
    "ArgumentCorrectness": {"tool_name", "expected_arguments", "match_mode"},
}
