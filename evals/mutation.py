# ruff: noqa: ARG001, ARG002
"""Does the suite notice when the assistant is wrong? Small faults planted one by one in tools, knowledge and prompts.

A mutant that never fires while its cards are played (a write swallowed in a tool that writes nothing) is `idle` and proves nothing; the
rate is caught of fired, with the idle ones counted beside it. Killed mutants are those for which at least one card fails.
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

Fired = Callable[[], None]
_NUMBER = re.compile(r"(?<![\w#-])\d+(?:\.\d+)?(?![\w-])")
_UNIT = re.compile(r"(?<=\d) ?(F|C|minutes?|hours?|ppm|%)(?!\w)")
_OTHER = {"F": "C", "C": "F", "minute": "hour", "minutes": "hours", "hour": "minute", "hours": "minutes", "ppm": "%", "%": "ppm"}
_STEP = re.compile(r"^\d+\. .*\n?", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`place` is a tool's, a document's or a prompt's name. `plant(pack, folder, fired)` gives the pack with the fault in it."""

    kind: str
    place: str
    operator: str
    plant: Callable[[Pack, Path, Fired], Pack]

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
        Mutant(
            kind="prompt", place=agent.prompt.stem, operator="emptied", plant=functools.partial(_plant_prompt, agent.prompt.name)
        )
        for agent in pack.agents.values()
    ]
    return found


def cards_meeting(mutant: Mutant, transcripts: Sequence[Transcript]) -> set[str]:
    """Ids of cards whose unmutated play meets the mutant's place."""
    if mutant.kind == "tool":
        return {t.card for t in transcripts if any(call.tool == mutant.place for turn in t.turns for call in turn.tool_calls)}
    if mutant.kind == "knowledge":
        return {t.card for t in transcripts if any(c.document == mutant.place for turn in t.turns for c in turn.citations)}
    return {t.card for t in transcripts}


ToolFunction = Callable[..., Awaitable[Any]]
ToolOperator = Callable[[ToolFunction, Fired], ToolFunction]


def _on_result(change: Callable[[Any], Any]) -> ToolOperator:
    """A tool whose result is changed before anyone sees it."""

    def operator(function: ToolFunction, fired: Fired) -> ToolFunction:
        @functools.wraps(function)
        async def mutated(*args: Any, **kwargs: Any) -> Any:
            result = await function(*args, **kwargs)
            changed = change(result)
            if changed != result:
                fired()
            return changed

        return mutated

    return operator


def _on_state(wrap: Callable[[PackState, Fired], PackState]) -> ToolOperator:
    """A tool that sees another state than there is."""

    def operator(function: ToolFunction, fired: Fired) -> ToolFunction:
        @functools.wraps(function)
        async def mutated(ctx: Any, *args: Any, **kwargs: Any) -> Any:
            deps: TurnDeps = ctx.deps
            return await function(replace(ctx, deps=replace(deps, state=wrap(deps.state, fired))), *args, **kwargs)

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

    def __init__(self, state: PackState, fired: Fired) -> None:
        self._state, self._fired = state, fired

    async def items(self, collection: str) -> dict[str, dict[str, Any]]:
        rows = await self._state.items(collection)
        if len(rows) < 2:
            return rows
        self._fired()
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
        self._fired()

    async def delete(self, collection: str, key: str) -> None:
        self._fired()


TOOL_OPERATORS: Mapping[str, ToolOperator] = {
    "wrong figure": _on_result(lambda result: _deep(result, wrong_figure, shift=7)),
    "wrong unit": _on_result(lambda result: _deep(result, wrong_unit)),
    "missing step": _on_result(lambda result: {**result, "summary": missing_step(result["summary"])}),
    "wrong row": _on_state(_Rotated),
    "swallowed write": _on_state(_Swallowing),
}
TEXT_OPERATORS: Mapping[str, Callable[[str], str]] = {
    "wrong figure": wrong_figure,
    "wrong unit": wrong_unit,
    "missing step": missing_step,
}


def _plant_tool(tool: str, operator: ToolOperator, pack: Pack, folder: Path, fired: Fired) -> Pack:
    def mutated(function: Any) -> Any:
        if function.__name__ != tool:
            return function
        changed = operator(function, fired)
        changed.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return changed

    agents = {name: replace(agent, tools=tuple(map(mutated, agent.tools))) for name, agent in pack.agents.items()}
    return replace(pack, agents=agents)


def _plant_document(document: str, operator: Callable[[str], str], pack: Pack, folder: Path, fired: Fired) -> Pack:
    """Changes the body of every section; headings and front matter stay, so that citations still resolve."""
    copied = _copy(pack, folder)
    path = copied.knowledge / f"{document}.md"
    before = path.read_text(encoding="utf-8")
    after = "".join(_sections(before, operator))
    if after != before:
        fired()
    path.write_text(after, encoding="utf-8")
    return copied


def _plant_prompt(name: str, pack: Pack, folder: Path, fired: Fired) -> Pack:
    copied = _copy(pack, folder)
    (copied.prompts / name).write_text("You are an assistant.\n", encoding="utf-8")
    fired()
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
