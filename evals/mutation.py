# ruff: noqa: ARG001
"""Does the suite notice when the assistant is wrong? Small faults planted one by one in tools, knowledge and prompts.

Each fault is planted in a copy of the pack; what the cards make of it is for `evals.selftest` to find out.
"""

from __future__ import annotations

import functools
import inspect
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assistant.deps import PackState, TurnDeps
from assistant.pack import Pack
from evals.transcript import Transcript

_NUMBER = re.compile(r"(?<![\w#-])\d+(?:\.\d+)?(?![\w-])")
_UNIT = re.compile(r"(?<=\d) ?(F|C|minutes?|hours?|ppm|%)(?!\w)")
_OTHER = {"F": "C", "C": "F", "minute": "hour", "minutes": "hours", "hour": "minute", "hours": "minutes", "ppm": "%", "%": "ppm"}
_EXAMPLES = re.compile(r"\n\nUse for:.*?(?=\n\n|\Z)", re.DOTALL)
_STEP = re.compile(r"^\d+\. .*\n?", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`place` is a tool's, a document's or a prompt's name. `plant(pack, folder)` gives the pack with the fault in it."""

    kind: str
    place: str
    operator: str
    plant: Callable[[Pack, Path], Pack]

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.place}:{self.operator}"


def mutants(pack: Pack, transcripts: Sequence[Transcript]) -> list[Mutant]:
    """Every fault that the played transcripts can meet: tools they called, documents they cited, all prompts."""
    called = sorted({call.tool for t in transcripts for turn in t.turns for call in turn.tool_calls} - {"search_knowledge"})
    cited = sorted({citation.document for t in transcripts for turn in t.turns for citation in turn.citations})
    found = [
        Mutant(kind="tool", place=tool, operator=name, plant=functools.partial(_plant_tool, tool, operator))
        for tool in called
        for name, operator in TOOL_OPERATORS.items()
    ]
    found += [
        Mutant(kind="knowledge", place=document, operator=name, plant=functools.partial(_plant_document, document, operator))
        for document in cited
        for name, operator in TEXT_OPERATORS.items()
    ]
    found += [
        Mutant(kind="prompt", place=tool, operator=name, plant=functools.partial(_plant_tool, tool, operator))
        for tool in called
        for name, operator in DESCRIPTION_OPERATORS.items()
    ]
    found += [
        Mutant(
            kind="prompt",
            place=agent.prompt.stem,
            operator=name,
            plant=functools.partial(_plant_prompt, agent.prompt.name, change),
        )
        for agent in pack.agents.values()
        for name, change in PROMPT_OPERATORS.items()
    ]
    return found


def cards_meeting(mutant: Mutant, transcripts: Sequence[Transcript]) -> set[str]:
    """Ids of cards whose unmutated play meets the mutant's place."""
    if mutant.place in {call.tool for t in transcripts for turn in t.turns for call in turn.tool_calls}:
        return {t.card for t in transcripts if any(call.tool == mutant.place for turn in t.turns for call in turn.tool_calls)}
    if mutant.kind == "knowledge":
        return {t.card for t in transcripts if any(c.document == mutant.place for turn in t.turns for c in turn.citations)}
    return {t.card for t in transcripts if any(turn.agent == mutant.place for turn in t.turns)}


ToolFunction = Callable[..., Awaitable[Any]]
ToolOperator = Callable[[ToolFunction], ToolFunction]


def _on_result(change: Callable[[Any], Any]) -> ToolOperator:
    """A tool whose result is changed before anyone sees it."""

    def operator(function: ToolFunction) -> ToolFunction:
        @functools.wraps(function)
        async def mutated(*args: Any, **kwargs: Any) -> Any:
            return change(await function(*args, **kwargs))

        return mutated

    return operator


def _on_state(wrap: Callable[[PackState], PackState]) -> ToolOperator:
    """A tool that sees another state than there is."""

    def operator(function: ToolFunction) -> ToolFunction:
        @functools.wraps(function)
        async def mutated(ctx: Any, *args: Any, **kwargs: Any) -> Any:
            deps: TurnDeps = ctx.deps
            return await function(replace(ctx, deps=replace(deps, state=wrap(deps.state))), *args, **kwargs)

        return mutated

    return operator


def _on_description(change: Callable[[str], str]) -> ToolOperator:
    """A tool that tells the model something else about itself."""

    def operator(function: ToolFunction) -> ToolFunction:
        @functools.wraps(function)
        async def mutated(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        mutated.__doc__ = change(inspect.getdoc(function) or "")
        return mutated

    return operator


def _deep(value: Any, change: Callable[[str], str], *, shift: float = 0.0) -> Any:
    """Apply `change` to all told text and `shift` to all numbers; `next` (the workflow's pointer) stays."""
    if isinstance(value, Mapping):
        return {key: item if key == "next" else _deep(item, change, shift=shift) for key, item in value.items()}
    if isinstance(value, list):
        return [_deep(item, change, shift=shift) for item in value]
    if isinstance(value, str):
        return change(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value + shift
    return value


def wrong_figure(text: str) -> str:
    return _NUMBER.sub(lambda match: f"{float(match.group()) + 7:g}", text)


def wrong_unit(text: str) -> str:
    return _UNIT.sub(lambda match: " " + _OTHER[match.group(1)], text)


def missing_step(text: str) -> str:
    """Without its second numbered step, or without its last sentence where it has no steps. One sentence alone stays."""
    steps = list(_STEP.finditer(text))
    if len(steps) > 1:
        return text[: steps[1].start()] + text[steps[1].end() :]
    head, separator, _ = text.rstrip().rpartition(". ")
    return f"{head}.\n" if separator else text


class _Rotated:
    """Every row stands under the key of its neighbour."""

    def __init__(self, state: PackState) -> None:
        self._state = state

    async def items(self, collection: str) -> dict[str, dict[str, Any]]:
        rows = await self._state.items(collection)
        values = list(rows.values())
        return dict(zip(rows, values[1:] + values[:1], strict=True))

    async def get(self, collection: str, key: str) -> dict[str, Any] | None:
        return (await self.items(collection)).get(key)

    async def put(self, collection: str, key: str, value: Mapping[str, Any]) -> None:
        await self._state.put(collection, key, value)

    async def delete(self, collection: str, key: str) -> None:
        await self._state.delete(collection, key)


class _Swallowing(_Rotated):
    """Writes go nowhere."""

    async def items(self, collection: str) -> dict[str, dict[str, Any]]:
        return await self._state.items(collection)

    async def put(self, collection: str, key: str, value: Mapping[str, Any]) -> None:
        pass

    async def delete(self, collection: str, key: str) -> None:
        pass


TOOL_OPERATORS: Mapping[str, ToolOperator] = {
    "wrong figure": _on_result(lambda result: _deep(result, wrong_figure, shift=7)),
    "wrong unit": _on_result(lambda result: _deep(result, wrong_unit)),
    "missing step": _on_result(lambda result: {**result, "summary": missing_step(result["summary"])}),
    "wrong row": _on_state(_Rotated),
    "swallowed write": _on_state(_Swallowing),
}
DESCRIPTION_OPERATORS: Mapping[str, ToolOperator] = {
    "described as nothing": _on_description(lambda text: "Do something." + "".join(text.partition("\n\nArgs:")[1:])),
    "without examples": _on_description(lambda text: _EXAMPLES.sub("", text)),
}
PROMPT_OPERATORS: Mapping[str, Callable[[str], str]] = {
    "emptied": lambda _text: "You are an assistant.\n",
    "another day": lambda text: text.replace("{{ today }}", "2001-01-01"),
}
TEXT_OPERATORS: Mapping[str, Callable[[str], str]] = {
    "wrong figure": wrong_figure,
    "wrong unit": wrong_unit,
    "missing step": missing_step,
}


def _plant_tool(tool: str, operator: ToolOperator, pack: Pack, folder: Path) -> Pack:
    def mutated(function: Any) -> Any:
        if function.__name__ != tool:
            return function
        changed = operator(function)
        changed.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return changed

    agents = {name: replace(agent, tools=tuple(map(mutated, agent.tools))) for name, agent in pack.agents.items()}
    return replace(pack, agents=agents)


def _plant_document(document: str, operator: Callable[[str], str], pack: Pack, folder: Path) -> Pack:
    """Changes the body of every section; headings and front matter stay, so that citations still resolve."""
    copied = _copy(pack, folder)
    path = copied.knowledge / f"{document}.md"
    path.write_text("".join(_sections(path.read_text(encoding="utf-8"), operator)), encoding="utf-8")
    return copied


def _plant_prompt(name: str, change: Callable[[str], str], pack: Pack, folder: Path) -> Pack:
    copied = _copy(pack, folder)
    path = copied.prompts / name
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    return copied


def _copy(pack: Pack, folder: Path) -> Pack:
    copy = folder / "pack"
    shutil.copytree(pack.folder, copy)
    agents = {name: replace(agent, prompt=copy / agent.prompt.relative_to(pack.folder)) for name, agent in pack.agents.items()}
    return replace(pack, folder=copy, agents=agents)


def _sections(text: str, operator: Callable[[str], str]) -> Iterator[str]:
    front, separator, body = text.partition("\n## ")
    yield front + separator
    for index, section in enumerate(body.split("\n## ")):
        heading, newline, content = section.partition("\n")
        yield ("\n## " if index else "") + heading + newline + operator(content)
