"""The tools of a specialist as a toolset that lists them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.toolsets import FunctionToolset, ToolsetTool, WrapperToolset

from assistant.deps import TurnDeps


@dataclass
class FixedTools(WrapperToolset[TurnDeps]):
    """Tools that are the same in every run, so that listing them costs nothing.

    The framework would build each definition anew before every model request, and once more to leave out the return schemas,
    which no model is told.
    """

    _listed: dict[str, ToolsetTool[TurnDeps]] = field(default_factory=dict[str, ToolsetTool[TurnDeps]], init=False, repr=False)
    _texts: frozenset[str] = field(default=frozenset(), init=False, repr=False)

    async def get_tools(self, ctx: RunContext[TurnDeps]) -> dict[str, ToolsetTool[TurnDeps]]:
        if not self._listed:
            tools = await super().get_tools(ctx)
            self._texts = frozenset(name for name, tool in tools.items() if _promises_text(tool.tool_def.return_schema))
            self._listed = {
                name: replace(tool, tool_def=replace(tool.tool_def, return_schema=None)) for name, tool in tools.items()
            }
        return self._listed

    def gives_text(self, name: str) -> bool:
        """Whether the tool may return plain text: it says so, or says nothing."""
        return name in self._texts


def fixed_tools(functions: Sequence[Any], *, max_retries: int) -> FixedTools:
    """`functions` as pydantic-ai takes them: functions of a run context, or `Tool`s, none with a `prepare`."""
    return FixedTools(FunctionToolset[TurnDeps](functions, max_retries=max_retries))


def _promises_text(schema: Mapping[str, Any] | None) -> bool:
    """A JSON schema that names other types than strings promises data."""
    if not schema:
        return True
    parts = [schema, *schema.get("anyOf", ())]
    kinds = {part.get("type") for part in parts} - {None}
    return "string" in kinds or not (kinds or any("$ref" in part for part in parts))
