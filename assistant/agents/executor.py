"""Runs a specialist's tools: timed, bounded, with the sandbox's faults, and never able to end the turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_ai import ModelRetry, RunContext, ToolFailed
from pydantic_ai.exceptions import AgentRunError, ApprovalRequired, CallDeferred
from pydantic_ai.toolsets import ToolsetTool, WrapperToolset

from assistant.deps import TurnDeps
from assistant.errors import AssistantError
from assistant.faults import Faults
from assistant.spans import Spans

TOOL_TIMEOUT_S = 20.0
GARBAGE = "<html><body>502 Bad Gateway \ufffd</body></html>"

_log = logging.getLogger(__name__)


@dataclass
class ToolExecutor(WrapperToolset[TurnDeps]):
    """The tools of one turn. A tool that raises gives the model a failed result in plain words; the cause is logged.

    `gives_text` says of a tool's name whether plain text may come from it.
    """

    spans: Spans
    faults: Faults
    gives_text: Callable[[str], bool]

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[TurnDeps], tool: ToolsetTool[TurnDeps]
    ) -> Any:
        with self.spans.during("tool", ctx.tool_call_id or ""):
            await self._inject(name)
            try:
                async with asyncio.timeout(TOOL_TIMEOUT_S):
                    result = await self.wrapped.call_tool(name, tool_args, ctx, tool)
            except (ModelRetry, ToolFailed, CallDeferred, ApprovalRequired, AgentRunError):
                raise
            except AssistantError as error:
                raise ToolFailed(str(error)) from error
            except TimeoutError:
                raise _too_slow(name) from None
            except Exception as error:  # the tools of a pack are foreign code: whatever they raise is a failed tool
                _log.warning("tool %s failed", name, exc_info=True)
                raise _not_working(name) from error
            return self._checked(name, GARBAGE if self.faults.take("tool_garbage", name) else result)

    def _checked(self, name: str, result: Any) -> Any:
        """Text from a tool that promises data is the error page of whatever stands behind it, not a result."""
        if isinstance(result, str) and not self.gives_text(name):
            _log.warning("tool %s gave text where it promises data", name)
            raise _not_working(name)
        return result

    async def _inject(self, name: str) -> None:
        if fault := self.faults.take("tool_timeout", name):
            await asyncio.sleep(fault.delay_s)
            raise _too_slow(name)
        if fault := self.faults.take("tool_error", name):
            await asyncio.sleep(fault.delay_s)
            raise _not_working(name)


def _too_slow(name: str) -> ToolFailed:
    return ToolFailed(f"The tool {name} did not answer in time. Tell the user that it is not available just now.")


def _not_working(name: str) -> ToolFailed:
    return ToolFailed(f"The tool {name} is not working. Tell the user that it is not available just now.")
