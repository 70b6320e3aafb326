"""The Python side of a pack: its tool functions and each agent's deps type, imported from the pack's folder and checked."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import typing
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import PydanticUserError
from pydantic_ai import RunContext, UserError
from pydantic_ai import Tool as AgentTool

from assistant import packs
from assistant.deps import TurnDeps

Tool = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class ToolFault:
    """`wrong` is a name that was looked for among `choices`, for a hint."""

    file: str
    field: str
    fault: str
    wrong: str = ""
    choices: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class PackTools:
    """`deps`: agent -> its deps type. `functions`: every async function the pack's tools module defines or re-exports."""

    deps: Mapping[str, type[TurnDeps]] = field(default_factory=dict[str, type[TurnDeps]])
    functions: Mapping[str, Tool] = field(default_factory=dict[str, Tool])


def load_tools(folder: Path, wanted: Mapping[str, Sequence[str]]) -> tuple[PackTools, list[ToolFault]]:
    """Import the pack's `tools` module and check it against `wanted`: agent -> names of its tools."""
    try:
        module = importlib.import_module(f"{_package(folder)}.tools")
    except Exception as error:  # noqa: BLE001 - a pack is foreign code: whatever its import raises is a fault of the pack
        return PackTools(), [ToolFault(file="tools", field="", fault=f"cannot be imported: {type(error).__name__}: {error}")]
    functions = {
        name: value for name, value in vars(module).items() if inspect.iscoroutinefunction(value) and not name.startswith("_")
    }
    deps, faults = _deps(module, list(wanted))
    for agent, names in wanted.items():
        faults += _listed_faults(agent, names, functions)
        for name in names:
            if name in functions and agent in deps:
                faults += [
                    ToolFault(file="tools", field=name, fault=fault) for fault in tool_faults(functions[name], deps[agent])
                ]
    return PackTools(deps=deps, functions=functions), faults


def tool_faults(tool: Tool, deps_type: type[TurnDeps]) -> list[str]:
    """What keeps `tool` from being a tool of an agent whose deps are `deps_type`; empty when nothing does."""
    faults: list[str] = []
    if not inspect.getdoc(tool):
        faults.append("has no docstring: the model reads it to decide when to call the tool")
    parameters = list(inspect.signature(tool).parameters)
    try:
        hints = typing.get_type_hints(tool)
    except (NameError, TypeError) as error:
        return [*faults, f"its annotations cannot be resolved: {error}"]
    context = hints.get(parameters[0]) if parameters else None
    if context is None or typing.get_origin(context) is not RunContext:
        faults.append("its first parameter must be annotated RunContext[<the agent's deps>]")
    elif not issubclass(deps_type, typing.get_args(context)[0]):
        takes = typing.get_args(context)[0].__name__
        faults.append(f"takes RunContext[{takes}], which is not the deps type of its agent ({deps_type.__name__})")
    bare = [name for name in parameters[1:] if name not in hints]
    faults += [f"parameter {name} has no type" for name in bare]
    return faults or _schema_faults(tool)


def _schema_faults(tool: Tool) -> list[str]:
    """What keeps the tool's arguments or its result from being described to a model."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            AgentTool[Any](tool)
        except (UserError, PydanticUserError) as error:
            return [f"no schema can be made of it: {str(error).splitlines()[0]}"]
    return [str(warning.message) for warning in warned if issubclass(warning.category, UserWarning)]


def _listed_faults(agent: str, names: Sequence[str], functions: Mapping[str, Tool]) -> list[ToolFault]:
    field_name = f"agents.{agent}.tools"
    faults = [
        ToolFault(
            file="pack.yaml", field=field_name, fault=f"no async function {name!r} in tools", wrong=name, choices=list(functions)
        )
        for name in names
        if name not in functions
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    return faults + [ToolFault(file="pack.yaml", field=field_name, fault=f"{name!r} is listed twice") for name in twice]


def _deps(module: ModuleType, agents: Sequence[str]) -> tuple[dict[str, type[TurnDeps]], list[ToolFault]]:
    found: object = getattr(module, "AGENT_DEPS", None)
    if not isinstance(found, dict):
        fault = "must be a dict from agent name to a subclass of TurnDeps"
        return {}, [ToolFault(file="tools", field="AGENT_DEPS", fault=fault)]
    given = typing.cast("dict[str, object]", found)
    deps = {name: value for name, value in given.items() if isinstance(value, type) and issubclass(value, TurnDeps)}
    faults = [
        ToolFault(file="tools", field=f"AGENT_DEPS.{name}", fault="no agent has this name", wrong=name, choices=agents)
        for name in given
        if name not in agents
    ]
    faults += [
        ToolFault(file="tools", field=f"AGENT_DEPS.{name}", fault="missing, or not a subclass of TurnDeps")
        for name in agents
        if name not in deps
    ]
    return deps, faults


def _package(folder: Path) -> str:
    """Importable name of the pack's folder. A folder outside this distribution becomes a package named by its path and code,
    so that an edited pack is imported anew and two packs never share a module."""
    if folder.parent == Path(packs.__file__).parent:
        return f"{packs.__name__}.{folder.name}"
    digest = hashlib.blake2b(str(folder).encode(), digest_size=8)
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    name = f"assay_pack_{digest.hexdigest()}"
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
        importlib.invalidate_caches()
    return name
