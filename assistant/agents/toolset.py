"""The tools of a specialist as a toolset that lists them once."""

from __future__ import annotations

from collections.abc import Sequence
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

    async def get_tools(self, ctx: RunContext[TurnDeps]) -> dict[str, ToolsetTool[TurnDeps]]:
        if not self._listed:
            tools = await super().get_tools(ctx)
            self._listed = {
                name: replace(tool, tool_def=replace(tool.tool_def, return_schema=None)) for name, tool in tools.items()
            }
        return self._listed


def fixed_tools(functions: Sequence[Any], *, max_retries: int) -> FixedTools:
    """`functions` as pydantic-ai takes them: functions of a run context, or `Tool`s, none with a `prepare`."""
    return FixedTools(FunctionToolset[TurnDeps](functions, max_retries=max_retries))
