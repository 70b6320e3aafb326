"""promptfoo's assertions as expectations of a card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evals.importing.drafts import brief


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What assertions ask of a turn and of the card; filled while they are read."""

    turn: dict[str, Any] = field(default_factory=dict[str, Any])
    budgets: dict[str, Any] = field(default_factory=dict[str, Any])
    lost: list[str] = field(default_factory=list[str])

    def add(self, name: str, *items: Any) -> None:
        self.turn.setdefault(name, []).extend(items)


def read_assertion(assertion: Any, expected: Expected) -> None:
    """Add one assertion to `expected`, or to its list of what is lost."""
    if not isinstance(assertion, dict):
        expected.lost.append(f"assertion {brief(assertion)}")
        return
    kind = str(assertion.get("type"))
    if kind == "assert-set" and not assertion.get("threshold"):
        for inner in assertion.get("assert") or []:
            read_assertion(inner, expected)
        return
    reader = _READERS.get(kind)
    if reader is None or not reader(assertion, expected):
        detail = {key: value for key, value in assertion.items() if key != "type"}
        expected.lost.append(f"assertion {kind}: {brief(detail)}")
        return
    read = {"type", "value"} | ({"threshold"} if kind == "latency" else set())
    extra = {key: value for key, value in assertion.items() if key not in read}
    expected.lost.extend(f"{key} of assertion {kind}: {brief(value)}" for key, value in extra.items())


def _texts(value: Any) -> list[str]:
    """A list of texts, or the parts of a comma-separated text; empty when it is neither."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return [str(part).strip() for part in parts if isinstance(part, str | int | float) and str(part).strip()]


def _contains(assertion: Mapping[str, Any], expected: Expected) -> bool:
    value = assertion.get("value")
    if not isinstance(value, str | int | float) or not str(value).strip():
        return False
    expected.add("say", str(value))
    return True


def _equals(assertion: Mapping[str, Any], expected: Expected) -> bool:
    if not _contains(assertion, expected):
        return False
    expected.lost.append(f"{assertion['type']}: an answer that contains the text anywhere passes")
    return True


def _contains_any(assertion: Mapping[str, Any], expected: Expected) -> bool:
    if phrases := _texts(assertion.get("value")):
        expected.add("say", phrases)
    return bool(phrases)


def _contains_all(assertion: Mapping[str, Any], expected: Expected) -> bool:
    phrases = _texts(assertion.get("value"))
    expected.add("say", *phrases)
    return bool(phrases)


def _not_contains(assertion: Mapping[str, Any], expected: Expected) -> bool:
    value = assertion.get("value")
    if not isinstance(value, str | int | float) or not str(value).strip():
        return False
    expected.add("not_say", str(value))
    return True


def _not_contains_any(assertion: Mapping[str, Any], expected: Expected) -> bool:
    phrases = _texts(assertion.get("value"))
    expected.add("not_say", *phrases)
    return bool(phrases)


def _latency(assertion: Mapping[str, Any], expected: Expected) -> bool:
    limit = assertion.get("threshold")
    if not isinstance(limit, int | float):
        return False
    expected.budgets["turn_s"] = limit / 1000
    return True


def _refusal(assertion: Mapping[str, Any], expected: Expected) -> bool:
    del assertion
    expected.turn["outcome"] = "refused"
    return True


def _tool_used(assertion: Mapping[str, Any], expected: Expected) -> bool:
    value = assertion.get("value")
    if isinstance(value, dict) and set(value) == {"name"}:
        value = value["name"]
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return False
    known = [tool["name"] for tool in expected.turn.get("tools", [])]
    expected.add("tools", *({"name": name} for name in names if name not in known))
    expected.turn.setdefault("order", "any_order")
    return True


def _tool_not_used(assertion: Mapping[str, Any], expected: Expected) -> bool:
    value = assertion.get("value")
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return False
    expected.add("forbid_tools", *names)
    return True


def _tool_arguments(assertion: Mapping[str, Any], expected: Expected) -> bool:
    value = assertion.get("value")
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return False
    arguments = value.get("args", value.get("arguments"))
    if not isinstance(arguments, dict):
        return False
    same = [tool for tool in expected.turn.get("tools", []) if tool["name"] == value["name"] and "arguments" not in tool]
    if same:
        same[0]["arguments"] = arguments
    else:
        expected.add("tools", {"name": value["name"], "arguments": arguments})
        expected.turn.setdefault("order", "any_order")
    if value.get("mode", "partial") != "partial":
        expected.lost.append(f"arguments of {value['name']}: further arguments were a failure; now they pass")
    return True


def _tool_sequence(assertion: Mapping[str, Any], expected: Expected) -> bool:
    value = assertion.get("value")
    steps = value.get("steps") if isinstance(value, dict) else value
    mode = value.get("mode", "in_order") if isinstance(value, dict) else "in_order"
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps) or mode not in {"in_order", "exact"}:
        return False
    arguments = {tool["name"]: tool["arguments"] for tool in expected.turn.get("tools", []) if "arguments" in tool}
    expected.turn["tools"] = [
        {"name": step, "arguments": arguments.pop(step)} if step in arguments else {"name": step} for step in steps
    ]
    expected.turn["order"] = mode
    expected.lost.extend(f"arguments of {name}: not among the steps of the sequence" for name in arguments)
    return True


_READERS: dict[str, Callable[[Mapping[str, Any], Expected], bool]] = {
    "contains": _contains,
    "icontains": _contains,
    "equals": _equals,
    "starts-with": _equals,
    "contains-any": _contains_any,
    "icontains-any": _contains_any,
    "contains-all": _contains_all,
    "icontains-all": _contains_all,
    "not-contains": _not_contains,
    "not-icontains": _not_contains,
    "not-contains-any": _not_contains_any,
    "not-icontains-any": _not_contains_any,
    "latency": _latency,
    "is-refusal": _refusal,
    "trajectory:tool-used": _tool_used,
    "not-trajectory:tool-used": _tool_not_used,
    "trajectory:tool-args-match": _tool_arguments,
    "trajectory:tool-sequence": _tool_sequence,
}
