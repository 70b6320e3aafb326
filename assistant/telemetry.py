"""Counts and durations of a running assistant, kept in memory and read by `/metrics` and by tests.

Nothing here exports or logs. Durations are seconds; each series keeps its newest `window` values.
"""

from __future__ import annotations

from collections import Counter, deque


class Telemetry:
    """Counters by (name, label) and the newest durations by name."""

    def __init__(self, *, window: int = 10_000) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._durations: deque[tuple[str, float]] = deque(maxlen=window)

    def count(self, name: str, label: str = "") -> None:
        self._counts[name, label] += 1

    def record(self, name: str, duration_s: float) -> None:
        self._durations.append((name, duration_s))

    def durations(self) -> list[tuple[str, float]]:
        """`(name, seconds)` in the order they ended."""
        return list(self._durations)

    def counts(self) -> dict[tuple[str, str], int]:
        return dict(self._counts)


def quantile(values: list[float], share: float) -> float | None:
    """Nearest-rank quantile of `values`, null when there are none. `share` is in 0..1."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def render_metrics(telemetry: Telemetry) -> str:
    """Prometheus text exposition: counters, then p50 and p95 of every duration series."""
    lines: list[str] = []
    for (name, label), value in sorted(telemetry.counts().items()):
        labels = f'{{kind="{label}"}}' if label else ""
        lines.append(f"assay_{name}_total{labels} {value}")
    series: dict[str, list[float]] = {}
    for name, duration_s in telemetry.durations():
        series.setdefault(name, []).append(duration_s)
    for name, values in sorted(series.items()):
        lines.append(f'assay_duration_seconds_count{{of="{name}"}} {len(values)}')
        lines += [f'assay_duration_seconds{{of="{name}",quantile="{at}"}} {quantile(values, at):.6f}' for at in (0.5, 0.95)]
    return "\n".join(lines) + "\n"
