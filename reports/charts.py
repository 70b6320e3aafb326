"""Charts as inline SVG: coloured by the page's classes, readable without colour, each with a text alternative.

Every function returns markup with all text escaped, or an empty string when there is nothing to draw. Shapes repeat states:
dot pass, diamond fail, ring inconclusive, square anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, inf, log10

from reports.format import plural, quantity, seconds, share
from reports.gates.verdict import GateState
from reports.records import Unit

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Series:
    """A line of a chart; `style` is a class of the page (`cand`, `ok`, `bad`, `base`). A null y breaks the line."""

    name: str
    style: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """What a strip draws. `allowed_above`: the allowed side is at and above the threshold."""

    value: float | None
    low: float | None
    high: float | None
    threshold: float
    allowed_above: bool
    state: GateState
    unit: Unit


def strip(row: Interval) -> str:
    """An interval against its threshold: rail, allowed side, threshold bar, whiskers, point."""
    finite = [x for x in (row.value, row.low, row.high, row.threshold) if x is not None]
    if row.value is None and row.low is None:
        return ""
    near, far = min(finite), max(finite)
    pad = (far - near or abs(far) or 1.0) * 0.22
    low_edge, high_edge = near - pad, far + pad
    if row.unit == "share":
        high_edge = min(high_edge, max(1.0, far)) if far <= 1 else high_edge
    width, height = 180.0, 24.0

    def x(value: float) -> float:
        return 6 + (value - low_edge) / (high_edge - low_edge) * (width - 12)

    limit = x(row.threshold)
    allowed = (limit, width - limit) if row.allowed_above else (0.0, limit)
    left = x(row.low) if row.low is not None else 0.0
    right = x(row.high) if row.high is not None else width
    parts = [
        f'<rect class="ok" x="{allowed[0]:.1f}" y="6" width="{allowed[1]:.1f}" height="12"/>',
        f'<path class="rail" d="M0 12H{width:.0f}"/>',
        f'<path class="wh" d="M{left:.1f} 12H{right:.1f}"/>',
    ]
    parts += [f'<path class="wh" d="M{x(b):.1f} 8v8"/>' for b in (row.low, row.high) if b is not None]
    parts.append(f'<path class="thr" d="M{limit:.1f} 2v20"/>')
    if row.value is not None:
        parts.append(_point(x(row.value), 12, row.state))
    label = f"Measured {quantity(row.value, row.unit)}, from {_bound(row.low, row.unit)} to {_bound(row.high, row.unit)}, "
    label += f"threshold {quantity(row.threshold, row.unit)}, {row.state.replace('_', ' ')}"
    return _svg(width, height, label, parts, "strip")


def sparkline(past: Sequence[float], value: float | None, *, state: GateState, unit: Unit) -> str:
    """Earlier values, oldest first, as a line that leads to this run's point; the axis spans what is drawn."""
    if not past or value is None:
        return ""
    width, height, count = 96.0, 24.0, len(past)
    low, high = min(*past, value), max(*past, value)

    def at(index: int, y: float) -> Point:
        return 4 + index * (width - 12) / count, height / 2 - (height - 12) * (
            (y - low) / (high - low) - 0.5 if high > low else 0
        )

    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in (at(*pair) for pair in enumerate([*past, value])))
    label = f"Last {plural(count, 'accepted runs')} {quantity(min(past), unit)} to {quantity(max(past), unit)}, "
    label += f"this run {quantity(value, unit)}"
    return _svg(width, height, label, [f'<path class="past" d="M{line}"/>', _point(*at(count, value), state)], "strip spark")


def _bound(value: float | None, unit: Unit) -> str:
    return "unbounded" if value is None else quantity(value, unit)


def _point(x: float, y: float, state: GateState) -> str:
    if state == "pass":
        return f'<circle class="pt" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    if state == "fail":
        return f'<path class="pt" d="M{x:.1f} {y - 5.5:.1f}l5.5 5.5-5.5 5.5-5.5-5.5z"/>'
    if state == "inconclusive":
        return f'<circle class="ptl" cx="{x:.1f}" cy="{y:.1f}" r="4.2"/>'
    return f'<rect class="ptl" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'


def reliability(bins: Sequence[tuple[float, float, float | None, float | None, int]]) -> str:
    """Share right against stated confidence, `(confidence, accuracy, low, high, n)` a bin, over the diagonal."""
    if not bins:
        return ""
    frame = _Frame(width=420, height=300, x_range=(0, 1), y_range=(0, 1))
    parts = [
        *frame.axes([0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.75, 1], share, share),
        frame.line([(0, 0), (1, 1)], "base dash"),
    ]
    for confidence, accuracy, low, high, n in bins:
        x, y = frame.at(confidence, accuracy)
        if low is not None and high is not None:
            parts.append(f'<path class="ln cand" d="M{x:.1f} {frame.at(0, low)[1]:.1f}V{frame.at(0, high)[1]:.1f}"/>')
        about = f"<title>{share(accuracy)} right at confidence {share(confidence)}, {n} cases</title>"
        parts.append(f'<circle class="dot cand" cx="{x:.1f}" cy="{y:.1f}" r="{min(8.0, 3 + n**0.5 / 6):.1f}">{about}</circle>')
    told = ", ".join(f"{share(c)}: {share(a)} of {n}" for c, a, _, _, n in bins)
    return _svg(frame.width, frame.height, f"Share right by stated confidence. {told}", parts, "chart")


def ecdf(series: Sequence[Series], *, limit_s: float | None = None) -> str:
    """Share of turns answered within a time, on a logarithmic time axis; failed turns never arrive."""
    points = [(x, y) for line in series for x, y in line.points if y is not None and x > 0]
    if not points:
        return ""
    xs = [x for x, _ in points] + ([limit_s] if limit_s else [])
    low, high = floor(log10(min(xs)) * 2) / 2, ceil(log10(max(xs)) * 2) / 2
    frame = _Frame(width=560, height=260, x_range=(low, max(high, low + 0.5)), y_range=(0, 1))
    ticks = [t for e in range(floor(low), ceil(high) + 1) for t in (e, e + log10(3)) if low <= t <= high]
    parts = frame.axes(ticks, [0, 0.25, 0.5, 0.75, 0.95], lambda t: seconds(10**t), share)
    if limit_s:
        parts.append(frame.line([(log10(limit_s), 0), (log10(limit_s), 1)], "thr"))
    parts += [frame.steps([(log10(x), y) for x, y in line.points if y is not None and x > 0], line.style) for line in series]
    told = "; ".join(f"{line.name}: {_milestones(line)}" for line in series)
    return _svg(frame.width, frame.height, f"Share of turns answered within a time. {told}", parts, "chart")


def _milestones(line: Series) -> str:
    found: list[str] = []
    for mark in (0.5, 0.95, 0.99):
        reached = next((x for x, y in line.points if y is not None and y >= mark), None)
        found.append(f"{share(mark)} {'within ' + seconds(reached) if reached is not None else 'never'}")
    return ", ".join(found)


def timeline(series: Sequence[Series], *, y_name: str, form: Callable[[float], str]) -> str:
    """Lines over seconds since the run's start."""
    points = [(x, y) for line in series for x, y in line.points if y is not None]
    if not points:
        return ""
    top, last = max(y for _, y in points) or 1.0, max(x for x, _ in points) or 1.0
    frame = _Frame(width=560, height=220, x_range=(0, last), y_range=(0, top * 1.08))
    parts = frame.axes(_ticks(last), _ticks(top), lambda t: seconds(t) if t else "0", form)
    parts += [frame.line(list(run), line.style) for line in series for run in _runs(line.points)]
    told = "; ".join(_range(line, form) for line in series)
    return _svg(frame.width, frame.height, f"{y_name} over {seconds(last)}. {told}", parts, "chart")


def trend(values: Sequence[float], levels: Sequence[tuple[int, int, float]], *, name: str, unit: Unit) -> str:
    """Values run by run with the level `(first, last, value)` of each stretch; every stretch after the first starts at a marked change."""
    if not values:
        return ""
    low, high = min(values), max(values)
    pad = 0.1 * (high - low or abs(high) or 1.0)
    floor_at = 0.0 if low >= 0 and low < 0.5 * high else low - pad
    top = min(1.0, high + pad) if unit == "share" and high <= 1 else high + pad
    frame = _Frame(width=560, height=200, x_range=(0, max(1, len(values) - 1)), y_range=(floor_at, top))
    ticks = [floor_at + part * (top - floor_at) / 4 for part in range(5)]

    def form(value: float) -> str:
        return quantity(value, unit)

    parts = frame.axes([run for run in _ticks(len(values) - 1) if run == int(run)], ticks, lambda run: f"{run:.0f}", form)
    parts.append(frame.line(list(enumerate(values)), "cand"))
    for number, (first, last, level) in enumerate(levels):
        parts.append(frame.line([(first, level), (last, level)], "base dash"))
        if number:
            x = frame.at(first - 0.5, 0)[0]
            parts.append(f'<path class="thr" d="M{x:.1f} 10V{frame.height - 26:.1f}"/>')
            parts.append(f'<text class="mid val" x="{x:.1f}" y="9">{number}</text>')
    told = "; ".join(f"runs {first} to {last} at {form(level)}" for first, last, level in levels)
    return _svg(frame.width, frame.height, f"{name}: {told}", parts, "chart")


def _range(line: Series, form: Callable[[float], str]) -> str:
    known = [y for _, y in line.points if y is not None]
    return f"{line.name}: {f'{form(min(known))} to {form(max(known))}' if known else 'nothing'}"


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[Point]]:
    runs: list[list[Point]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]


def bars(rows: Sequence[tuple[str, float, str]], *, name: str) -> str:
    """Horizontal bars, `(label, length, printed value)` each, drawn to the longest."""
    if not rows:
        return ""
    longest = max(length for _, length, _ in rows) or 1.0
    parts: list[str] = []
    for index, (label, length, printed) in enumerate(rows):
        y = 8 + 28 * index
        parts.append(f'<text x="0" y="{y + 14}">{escape(label)}</text>')
        parts.append(
            f'<rect class="bar cand" x="120" y="{y}" width="{max(1.0, 250 * length / longest):.1f}" height="18" rx="2"/>'
        )
        parts.append(f'<text class="val" x="{126 + 250 * length / longest:.1f}" y="{y + 14}">{escape(printed)}</text>')
    told = ", ".join(f"{label} {printed}" for label, _, printed in rows)
    return _svg(460, 14 + 28 * len(rows), f"{name}: {told}", parts, "chart")


def shade(number: int, total: int) -> int:
    """Strength of a heat-map cell, 0 to 100: the square root of its share, so that rare mistakes stay visible."""
    return round(100 * (number / total) ** 0.5) if total else 0


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """A plot area with its ranges; margins leave room for tick labels."""

    width: float
    height: float
    x_range: Point
    y_range: Point

    def at(self, x: float, y: float) -> Point:
        left, right, top, bottom = 52.0, 12.0, 10.0, 26.0
        across = (x - self.x_range[0]) / ((self.x_range[1] - self.x_range[0]) or 1)
        up = (y - self.y_range[0]) / ((self.y_range[1] - self.y_range[0]) or 1)
        return left + across * (self.width - left - right), self.height - bottom - up * (self.height - top - bottom)

    def axes(
        self, xs: Sequence[float], ys: Sequence[float], x_form: Callable[[float], str], y_form: Callable[[float], str]
    ) -> list[str]:
        left, right = self.at(self.x_range[0], 0)[0], self.at(self.x_range[1], 0)[0]
        parts: list[str] = []
        for tick in ys:
            y = self.at(0, tick)[1]
            parts.append(f'<path class="grid" d="M{left:.1f} {y:.1f}H{right:.1f}"/>')
            parts.append(f'<text class="end" x="{left - 6:.1f}" y="{y + 4:.1f}">{escape(y_form(tick))}</text>')
        for tick in xs:
            x = self.at(tick, 0)[0]
            parts.append(f'<text class="mid" x="{x:.1f}" y="{self.height - 6:.1f}">{escape(x_form(tick))}</text>')
        return parts

    def line(self, points: Sequence[Point], style: str) -> str:
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (self.at(*point) for point in points))
        return f'<path class="ln {style}" d="M{path}{"h.1" if len(points) == 1 else ""}"/>'

    def steps(self, points: Sequence[Point], style: str) -> str:
        if not points:
            return ""
        start = self.at(points[0][0], self.y_range[0])
        path = f"M{start[0]:.1f} {start[1]:.1f}" + "".join(
            f"V{y:.1f}H{x2:.1f}"
            for (_, y), (x2, _) in zip(
                (self.at(*p) for p in points), [*(self.at(*p) for p in points[1:]), self.at(points[-1][0], 0)], strict=True
            )
        )
        return f'<path class="ln {style}" d="{path}"/>'


def _ticks(top: float) -> list[float]:
    """Four to six round numbers from 0 to `top`."""
    if top <= 0 or top == inf:
        return [0]
    step = 10 ** floor(log10(top))
    for part in (0.2, 0.25, 0.5, 1.0):
        if top / (step * part) <= 6:
            step *= part
            break
    return [step * index for index in range(floor(top / step + 1e-9) + 1)]


def _svg(width: float, height: float, label: str, parts: Sequence[str], kind: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def counts_of(row: Mapping[str, int]) -> list[tuple[str, float, str]]:
    """Rows for `bars` from counts, largest first."""
    return [(name, float(number), f"{number:,}") for name, number in sorted(row.items(), key=lambda item: (-item[1], item[0]))]
