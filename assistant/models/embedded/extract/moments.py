"""Days and clock times for the parameters that hold them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from assistant.models.embedded.extract.calendar import find_day, find_span, find_time
from assistant.models.embedded.toolbook import Parameter

_CLOCK_EXAMPLE = re.compile(
    r"\b\d{1,2}\s?(?:am|pm)\b|\b\d{1,2}:\d{2}\b|\bHH:MM\b|\btime of day\b|\bclock\b|\b(?:start|end|starting|ending|arrival|departure) time\b",
    re.IGNORECASE,
)
_DAY_LABELS = frozenset({"date", "day", "when", "deadline"})


def wants_time(parameter: Parameter) -> bool:
    """Whether a string parameter holds a clock time and no day."""
    if parameter.kind != "string" or parameter.choices or parameter.pattern is not None:
        return False
    return parameter.format == "time" or (
        parameter.format is None
        and not set(parameter.label.split()) & _DAY_LABELS
        and _CLOCK_EXAMPLE.search(parameter.description) is not None
    )


def assign_times(parameters: Sequence[Parameter], text: str) -> dict[str, str]:
    """Start and end of a span ("10am to 4pm", "6 to 14") for two parameters, else the times in order."""
    span = find_span(text)
    if span is not None and len(parameters) >= 2:
        return {parameters[0].name: span[0], parameters[1].name: span[1]}
    time = find_time(text)
    return {parameters[0].name: time} if parameters and time is not None else {}


def moment(parameter: Parameter, text: str, today: date | None) -> str | None:
    """The day, the time or both, as ISO text; null when the text names none or the parameter wants none."""
    label = set(parameter.label.split())
    wants_day = parameter.format in {"date", "date-time"} or bool(label & _DAY_LABELS)
    timed = parameter.format in {"time", "date-time"} or (bool(label & {"time", "when", "at"}) and parameter.format is None)
    day = find_day(text, today) if wants_day else None
    time = find_time(text) if timed else None
    if parameter.format == "date-time":
        return f"{day.isoformat()}T{time}:00" if day and time else None
    if day is not None:
        return f"{day.isoformat()} {time}" if time else day.isoformat()
    return time
