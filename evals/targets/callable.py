"""A target around any Python callable: `python:module:function`.

The function takes the user's message and the list of earlier `(user, answer)` pairs; it returns the answer's text, or a mapping with
`text` and any of `agent`, `outcome`, `tool_calls`, `citations`. It may be async. What it never returns is not measurable.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evals.cards import Card
from evals.conversation import Speak, fixed, no_state
from evals.errors import UsageError
from evals.transcript import Transcript, Turn, Visible, turn_from_json

Answer = str | Mapping[str, Any]


class CallableTarget:
    """`deterministic` is claimed by the function itself with an attribute of that name; unknown counts as not."""

    def __init__(self, function: Callable[[str, list[tuple[str, str]]], Any], *, timeout_s: float = 60.0) -> None:
        self._function = function
        self._timeout_s = timeout_s
        self.visible = Visible(**getattr(function, "visible", {}))
        self.deterministic = bool(getattr(function, "deterministic", False))

    async def play(self, card: Card, repeat: int) -> Transcript:
        return await self.talk(card, repeat, fixed(card))

    async def talk(self, card: Card, repeat: int, speak: Speak) -> Transcript:
        turns: list[Turn] = []
        history: list[tuple[str, str]] = []
        while (message := await speak(turns, no_state)) is not None:
            started = time.perf_counter()
            try:
                answer = await asyncio.wait_for(self._call(message, list(history)), self._timeout_s)
            except TimeoutError:
                return self._stopped(card, repeat, turns, "timeout", f"no answer within {self._timeout_s:g} s")
            except Exception as error:  # noqa: BLE001  the callable is the thing measured: whatever it raises is its failure
                return self._stopped(card, repeat, turns, "agent_error", f"{type(error).__name__}: {error}")
            turn = _turn(message, answer, time.perf_counter() - started)
            turns.append(turn)
            history.append((message, turn.text))
        return Transcript(card=card.id, repeat=repeat, turns=turns, visible=self.visible)

    async def _call(self, message: str, history: list[tuple[str, str]]) -> Answer:
        if inspect.iscoroutinefunction(self._function):
            return await self._function(message, history)
        return await asyncio.to_thread(self._function, message, history)

    def _stopped(self, card: Card, repeat: int, turns: list[Turn], fault: str, reason: str) -> Transcript:
        return Transcript(card=card.id, repeat=repeat, turns=turns, visible=self.visible, fault=fault, fault_reason=reason)


def load_callable(spec: str) -> Callable[..., Any]:
    """The object named by `module:attribute`, looked up with the working directory on the path. Raises `UsageError`."""
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"{spec!r}: write module:function, for example python:my_assistant:answer")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UsageError(f"{spec!r}: module {module_name!r} cannot be imported ({error})") from error
    if not callable(function := getattr(module, attribute, None)):
        raise UsageError(f"{spec!r}: module {module_name!r} has no callable {attribute!r}")
    return function


def _turn(user: str, answer: Answer, duration_s: float) -> Turn:
    data: dict[str, Any] = {"text": answer} if isinstance(answer, str) else dict(answer)
    return turn_from_json({"text": "", **data, "user": user, "duration_s": duration_s})
