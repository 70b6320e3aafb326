"""Numbers and times as people read them: the only place that rounds."""

from __future__ import annotations

from datetime import datetime
from math import floor, log10

from reports.records import Estimate, Unit

NOTHING = "–"
THIN = "\N{NARROW NO-BREAK SPACE}"


def count(value: int) -> str:
    return f"{value:,}"


def share(value: float) -> str:
    """Percent with three figures, never rounded up to 100 % or down to 0 %."""
    percent = 100 * value
    if percent in (0, 100):
        return f"{percent:.0f}{THIN}%"
    edge = round(min(abs(percent), abs(100 - percent)), 9)
    digits = 1 if edge >= 0.1 else min(4, 1 - floor(log10(edge)))
    text = f"{percent:.{digits}f}"
    if digits > 1 or percent == round(percent):
        text = text.rstrip("0").rstrip(".")
    return f"{text}{THIN}%"


def seconds(value: float) -> str:
    """`420 µs`, `13.1 ms`, `1.71 s`, `24 min 18 s`."""
    size = abs(value)
    if size == 0:
        return f"0{THIN}s"
    if size >= 119.5:
        whole = round(size)
        parts = [(whole // 3600, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
        text = " ".join(f"{amount}{THIN}{unit}" for amount, unit in parts if amount)
        return f"-{text}" if value < 0 else text
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if size >= 0.9995 * scale:
            return f"{_figures(value / scale)}{THIN}{unit}"
    return f"{value * 1e6:.2g}{THIN}µs"


def size(value: float) -> str:
    """Decimal bytes: `418 MB`, `2 GB`."""
    for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= scale:
            return f"{_figures(value / scale)}{THIN}{unit}"
    return f"{value:.0f}{THIN}B"


def _figures(value: float) -> str:
    """Three significant figures without trailing zeros after the point."""
    magnitude = floor(log10(abs(value))) if value else 0
    text = f"{value:,.{max(0, 2 - magnitude)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: float | None, unit: Unit) -> str:
    """A value in its unit; null prints as a dash."""
    if value is None:
        return NOTHING
    if unit == "yes_no":
        return "yes" if value >= 1 else "no"
    if unit == "count":
        return f"{value:,.0f}" if value == round(value) else _figures(value)
    if unit == "per_second":
        return f"{_figures(value)}{THIN}/s"
    return {"share": share, "seconds": seconds, "bytes": size}[unit](value)


def change(value: float | None, unit: Unit) -> str:
    """A signed difference; shares in points."""
    if value is None:
        return NOTHING
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    if unit == "share":
        return f"{sign}{abs(100 * value):.1f}{THIN}pt"
    return f"{sign}{quantity(abs(value), unit)}"


def of_planned(estimate: Estimate | None) -> str:
    """`k / n`, with `of N planned` where some are missing; a percentile prints its number of samples."""
    if estimate is None or (estimate.n == 0 and estimate.planned == 0):
        return NOTHING
    counted = count(estimate.n) if estimate.k is None else f"{count(estimate.k)}{THIN}/{THIN}{count(estimate.n)}"
    return counted if estimate.n >= estimate.planned else f"{counted} of {count(estimate.planned)} planned"


def moment(iso: str) -> str:
    """An ISO time as `12 Nov 2026, 02:41 UTC`; text that is no ISO time is returned as it is."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = "UTC" if when.utcoffset() is None or not when.utcoffset() else when.strftime("%z")
    return f"{when.day} {when:%b %Y, %H:%M} {zone}"


def plural(number: int, noun: str) -> str:
    """`1 card`, `2 cards`; `noun` is the plural."""
    singular = {"queries": "query", "calls": "call"}.get(noun, noun.removesuffix("s"))
    return f"{count(number)} {singular if number == 1 else noun}"


def listing(names: list[str], most: int = 3) -> str:
    """`a`, `a and b`, `a, b and 4 more`."""
    if len(names) <= 1:
        return "".join(names)
    if len(names) <= most:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
