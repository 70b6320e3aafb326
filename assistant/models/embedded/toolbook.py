"""What a tool offers, read once from its definition: sentences, example requests, effect and parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic_ai.tools import ToolDefinition

from assistant.models.embedded.language import sentences, word_list, words

KNOWLEDGE_TOOL = "search_knowledge"

Effect = Literal["read", "write"]

_WRITE_VERBS = frozenset(
    word_list(
        "add adjust approve assign book buy cancel change clear close complete confirm create delete disable edit enable enroll enter "
        "file finish give grant issue log make mark modify move note open order pay place post publish record register remove rename report "
        "request reserve reset restart save schedule sell send set sign start stop store submit swap transfer turn update upload write"
    )
)
_USE_FOR = re.compile(r"^\s*use (?:for|this for|when)\s*:?\s*(?P<rest>.*)$", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”]")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One argument of a tool. `kind` is the JSON type without null; `choices` are the enum's values."""

    name: str
    description: str
    kind: str
    required: bool
    choices: tuple[Any, ...] = ()
    pattern: str | None = None
    format: str | None = None
    low: float | None = None
    high: float | None = None
    items: Parameter | None = None

    @property
    def label(self) -> str:
        """The name as words: `reading_f` reads "reading f"."""
        return " ".join(words(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name).replace("_", " ")))


@dataclass(frozen=True, kw_only=True)
class ToolCard:
    """A tool as the model sees it. `claims` are what it says it does, `examples` requests it says it is for."""

    name: str
    claims: tuple[str, ...]
    examples: tuple[str, ...]
    effect: Effect
    parameters: tuple[Parameter, ...]

    @property
    def is_knowledge(self) -> bool:
        return self.name == KNOWLEDGE_TOOL

    def parameter(self, name: str) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


class Toolbook:
    """Reads tool definitions, each distinct one once."""

    def __init__(self) -> None:
        self._cards: dict[str, ToolCard] = {}

    def card(self, tool: ToolDefinition) -> ToolCard:
        key = json.dumps(
            [tool.name, tool.description, tool.parameters_json_schema, _effect_metadata(tool)], sort_keys=True, default=str
        )
        if key not in self._cards:
            if len(self._cards) >= 4096:
                self._cards.clear()
            self._cards[key] = read_card(tool)
        return self._cards[key]


def _effect_metadata(tool: ToolDefinition) -> object:
    return (tool.metadata or {}).get("effect")


def read_card(tool: ToolDefinition) -> ToolCard:
    claims, examples = _description(tool.description or "")
    name_words = " ".join(words(re.sub(r"[_.]", " ", tool.name)))
    stated = _effect_metadata(tool)
    first = (words(claims[0]) if claims else words(name_words)) or [""]
    guessed: Effect = "write" if first[0] in _WRITE_VERBS else "read"
    effect: Effect = "read" if stated == "read" else "write" if stated == "write" else guessed
    return ToolCard(
        name=tool.name,
        claims=tuple([*claims, name_words]),
        examples=tuple(examples),
        effect=effect,
        parameters=read_parameters(tool.parameters_json_schema),
    )


def _description(text: str) -> tuple[list[str], list[str]]:
    claims: list[str] = []
    examples: list[str] = []
    in_examples = False
    for line in text.splitlines():
        heading = _USE_FOR.match(line)
        body = heading["rest"] if heading else line
        if heading:
            in_examples = True
        elif in_examples and not line.strip() and examples:
            in_examples = False
        if in_examples:
            examples.extend(_examples(body))
        else:
            claims.extend(sentences(line))
    return claims, examples


def _examples(line: str) -> list[str]:
    quoted = _QUOTED.findall(line)
    if quoted:
        return [example.strip() for example in quoted]
    body = _BULLET.sub("", line).strip()
    parts = re.split(r"\s*[;|]\s*", body)
    return [part.strip(" .") if not part.endswith("?") else part for part in parts if part.strip(" .")]


def read_parameters(schema: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Parameters in schema order. `$ref`, `anyOf` with null and single `allOf` are resolved; unknown types read as strings."""
    required = set(cast("list[str]", schema.get("required") or []))
    definitions = cast("Mapping[str, Any]", schema.get("$defs") or {})
    properties = cast("Mapping[str, Any]", schema.get("properties") or {})
    return tuple(_parameter(name, shape, name in required, definitions) for name, shape in properties.items())


def _parameter(name: str, shape: Mapping[str, Any], required: bool, definitions: Mapping[str, Any]) -> Parameter:
    resolved = _resolved(shape, definitions)
    listed = resolved.get("enum", [resolved["const"]] if "const" in resolved else [])
    choices = cast("list[Any]", listed) if isinstance(listed, list) else []
    items = resolved.get("items")
    return Parameter(
        name=name,
        description=str(shape.get("description") or resolved.get("description") or ""),
        kind=_kind(resolved, choices),
        required=required,
        choices=tuple(choice for choice in choices if choice is not None),
        pattern=resolved.get("pattern"),
        format=resolved.get("format"),
        low=_bound(resolved, "minimum", "exclusiveMinimum"),
        high=_bound(resolved, "maximum", "exclusiveMaximum"),
        items=_parameter(name, items, True, definitions) if isinstance(items, dict) else None,
    )


def _kind(shape: Mapping[str, Any], choices: list[Any]) -> str:
    kind = shape.get("type")
    if isinstance(kind, list):
        kind = next((one for one in cast("list[str]", kind) if one != "null"), None)
    if isinstance(kind, str):
        return {"float": "number", "dict": "object", "tuple": "array"}.get(kind, kind)
    if choices and all(isinstance(choice, int) for choice in choices):
        return "integer"
    return "string"


def _bound(shape: Mapping[str, Any], *keys: str) -> float | None:
    return next((float(shape[key]) for key in keys if isinstance(shape.get(key), (int, float))), None)


def _resolved(shape: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = shape.get("$ref")
    if isinstance(reference, str):
        return _resolved(cast("Mapping[str, Any]", definitions.get(reference.rsplit("/", 1)[-1]) or {}), definitions)
    for key in ("anyOf", "oneOf", "allOf"):
        options = shape.get(key)
        if isinstance(options, list):
            real = [one for one in cast("list[Mapping[str, Any]]", options) if one.get("type") != "null"]
            if real:
                return {**_resolved(real[0], definitions), **{k: v for k, v in shape.items() if k not in {key, "default"}}}
    return shape
