"""A model with fixed delays around another model's answer, so that latency promises can be gated without an LLM's noise.

A text answer waits `ttft_ms`, then goes out in `tokens` pieces with `gap_ms` between two pieces: its total time is
`ttft_ms + (tokens - 1) * gap_ms` whatever the text's length and however late its reader is. A tool call waits `tool_ms` and goes out at once. With `stall_s`, every
`stall_every`-th request of this model stops for that long before its first piece. The time the inner model needs counts towards the first delay.
`faults=FILE` names a file by which faults come and go while it serves (see `planted`).
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import RunContext

from assistant.models.planted import Name, PlantedFaults, Sleep


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Delays in milliseconds, `stall_s` in seconds. `stall_every` 0 means no stalls."""

    ttft_ms: float = 300.0
    gap_ms: float = 20.0
    tokens: int = 60
    tool_ms: float = 100.0
    stall_s: float = 0.0
    stall_every: int = 0


@dataclass(frozen=True, kw_only=True)
class PacedName:
    """A read `paced:` string: its delays, the name of the inner model and the file of planted faults, null for none."""

    pace: Pace
    inner: str
    faults: Path | None = None


class PaceError(ValueError):
    """`faults` holds one sentence for every unusable part of a `paced:` string."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(faults))


_WHOLE = {"tokens": 1, "stall_every": 0}
_STATUSES: Mapping[Name, int] = {"error": 503, "rate_limited": 429}
_PLANTED = "a planted fault of the paced model"
_INNER = re.compile(r"(?:^|,)\s*of=")
_NUMBERS = ("ttft_ms", "gap_ms", "tool_ms", "stall_s")


def parse_paced(text: str) -> PacedName:
    """Read what follows `paced:`: `key=value` parts joined by commas; `of=` comes last and takes the rest. Raises `PaceError`."""
    head, *rest = _INNER.split(text, maxsplit=1)
    inner = rest[0].strip() if rest else "embedded"
    faults: list[str] = []
    values: dict[str, float | int] = {}
    planted: Path | None = None
    for part in (piece.strip() for piece in head.split(",") if piece.strip()):
        name, equals, value = part.partition("=")
        if name == "faults" and value:
            planted = Path(value)
        elif not equals or (name not in _NUMBERS and name not in _WHOLE):
            faults.append(f"{part!r} is not one of {', '.join([*_NUMBERS, *_WHOLE])} with a value, as in ttft_ms=300")
        elif name in values:
            faults.append(f"{name} is given twice")
        else:
            number = _number(name, value)
            if number is None:
                faults.append(f"{name} must be {_expected(name)}, not {value!r}")
            else:
                values[name] = number
    faults += _together(values, inner)
    if faults:
        raise PaceError(faults)
    return PacedName(pace=_pace(values), inner=inner, faults=planted)


def _together(values: Mapping[str, float | int], inner: str) -> list[str]:
    faults: list[str] = []
    if bool(values.get("stall_s")) != bool(values.get("stall_every")):
        faults.append("stall_s and stall_every must be given together, as in stall_s=3,stall_every=50")
    if not inner:
        faults.append("of= names no model; leave it out for embedded")
    if inner.startswith("paced:"):
        faults.append("of= cannot name another paced model")
    return faults


def _pace(values: Mapping[str, float | int]) -> Pace:
    fresh = Pace()
    return Pace(
        ttft_ms=values.get("ttft_ms", fresh.ttft_ms),
        gap_ms=values.get("gap_ms", fresh.gap_ms),
        tokens=int(values.get("tokens", fresh.tokens)),
        tool_ms=values.get("tool_ms", fresh.tool_ms),
        stall_s=values.get("stall_s", fresh.stall_s),
        stall_every=int(values.get("stall_every", fresh.stall_every)),
    )


def _number(name: str, value: str) -> float | int | None:
    if name in _WHOLE:
        return int(value) if value.isascii() and value.isdigit() and _WHOLE[name] <= int(value) <= 100_000 else None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number <= 600_000 else None


def _expected(name: str) -> str:
    return f"a whole number from {_WHOLE[name]} to 100000" if name in _WHOLE else "a number from 0 to 600000"


class PacedModel(WrapperModel):
    """Wraps `wrapped` with the delays of `pace`. `sleep` takes seconds; `clock` gives monotonic seconds."""

    def __init__(
        self,
        wrapped: Model,
        pace: Pace,
        *,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] | None = None,
        faults: PlantedFaults | None = None,
    ) -> None:
        super().__init__(wrapped)
        self._pace = pace
        self._faults = faults
        self._sleep = sleep if faults is None else _held_up(sleep, faults)
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._requests = 0

    @property
    def model_name(self) -> str:
        return f"paced-{self.wrapped.model_name}"

    async def request(
        self, messages: list[ModelMessage], model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> ModelResponse:
        pace, planted = self._begin()
        response = await self._answer(messages, model_settings, model_request_parameters, pace)
        if planted == "cut":
            raise ModelAPIError(self.model_name, _PLANTED)
        if not _calls_tool(response):
            await self._sleep((pace.tokens - 1) * pace.gap_ms / 1000)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[StreamedResponse]:
        pace, planted = self._begin()
        response = await self._answer(messages, model_settings, model_request_parameters, pace)
        yield PacedStream(
            model_request_parameters=model_request_parameters,
            response=response,
            pace=pace,
            sleep=self._sleep,
            clock=self._clock,
            cut_after=pace.tokens // 2 if planted == "cut" else None,
        )

    def _begin(self) -> tuple[Pace, Name | None]:
        """The delays of a request that comes now, and its planted fault. Raises what a model that is failing would."""
        planted = self._faults.now() if self._faults is not None else None
        if planted is None:
            return self._pace, None
        if planted.name in _STATUSES:
            raise ModelHTTPError(status_code=_STATUSES[planted.name], model_name=self.model_name, body=_PLANTED)
        return _slowed(self._pace, planted.factor) if planted.name == "slow" else self._pace, planted.name

    async def _answer(
        self, messages: list[ModelMessage], model_settings: ModelSettings | None, parameters: ModelRequestParameters, pace: Pace
    ) -> ModelResponse:
        """The inner answer, given no earlier than the first delay (and a planted stall) after now."""
        self._requests += 1
        stalled = pace.stall_every > 0 and self._requests % pace.stall_every == 0
        started = self._clock()
        response = await self.wrapped.request(messages, model_settings, parameters)
        delay = (pace.tool_ms if _calls_tool(response) else pace.ttft_ms) / 1000 + (pace.stall_s if stalled else 0.0)
        await self._sleep(max(0.0, delay - (self._clock() - started)))
        return response


def _held_up(sleep: Sleep, faults: PlantedFaults) -> Sleep:
    """Sleeps that a stall makes longer."""

    async def slept(seconds: float) -> None:
        await sleep(seconds)
        await faults.stalled(sleep)

    return slept


def _slowed(pace: Pace, factor: float) -> Pace:
    return replace(pace, ttft_ms=pace.ttft_ms * factor, gap_ms=pace.gap_ms * factor, tool_ms=pace.tool_ms * factor)


def _calls_tool(response: ModelResponse) -> bool:
    return any(isinstance(part, ToolCallPart) for part in response.parts)


@dataclass
class PacedStream(StreamedResponse):
    """Gives out a finished response in equal pieces, each at its own time after the first: a reader that falls behind does not slow the writer.
    With `cut_after` it breaks off after so many pieces: raises `ModelAPIError`."""

    response: ModelResponse
    pace: Pace
    sleep: Sleep
    clock: Callable[[], float]
    cut_after: int | None = None

    def __post_init__(self) -> None:
        self.provider_details = self.response.provider_details
        self.finish_reason = self.response.finish_reason
        self._usage = self.response.usage

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        started: float | None = None
        written = 0
        for number, part in enumerate(self.response.parts):
            if not isinstance(part, TextPart):
                yield self._parts_manager.handle_part(vendor_part_id=number, part=part)
                continue
            for piece in split(part.content, self.pace.tokens):
                if written == self.cut_after:
                    raise ModelAPIError(self.model_name, _PLANTED)
                if started is None:
                    started = self.clock()
                await self.sleep(max(0.0, started + written * self.pace.gap_ms / 1000 - self.clock()))
                written += 1
                for event in self._parts_manager.handle_text_delta(vendor_part_id=number, content=piece):
                    yield event

    async def close_stream(self) -> None:
        """There is no connection to close."""

    @property
    def model_name(self) -> str:
        return self.response.model_name or ""

    @property
    def provider_name(self) -> str | None:
        return self.response.provider_name

    @property
    def provider_url(self) -> str | None:
        return self.response.provider_url

    @property
    def timestamp(self) -> datetime:
        return self.response.timestamp


def split(text: str, pieces: int) -> list[str]:
    """Exactly `pieces` pieces, sizes differing by at most one character; a text shorter than that ends in empty pieces."""
    size, longer = divmod(len(text), pieces)
    cuts = [number * size + min(number, longer) for number in range(pieces + 1)]
    return [text[start:end] for start, end in pairwise(cuts)]
