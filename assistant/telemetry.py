"""Counts, levels and durations of a running assistant, kept in memory and read by `/metrics` and by tests.

Nothing here exports or logs. Durations are seconds. A name is `kind.what`, as in `query.turn.accept` or `stage.model`; in the text
exposition that is `assay_<kind>_seconds{name="<what>"}`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Mapping

import psutil

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper edges of the duration buckets; one more bucket takes what is longer."""


class Telemetry:
    """Counters by (name, label), levels by name, and durations by name: all of them in buckets, the newest `window` one by one."""

    def __init__(self, *, window: int = 10_000) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._levels: Counter[str] = Counter()
        self._durations: deque[tuple[str, float]] = deque(maxlen=window)
        self._buckets: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def count(self, name: str, label: str = "") -> None:
        self._counts[name, label] += 1

    def change(self, name: str, by: int) -> None:
        """Move a level, such as the turns in flight, up or down."""
        self._levels[name] += by

    def record(self, name: str, duration_s: float) -> None:
        self._durations.append((name, duration_s))
        buckets = self._buckets.setdefault(name, [0] * (len(BOUNDS_S) + 1))
        buckets[bisect_left(BOUNDS_S, duration_s)] += 1
        self._sums[name] = self._sums.get(name, 0.0) + duration_s

    def durations(self) -> list[tuple[str, float]]:
        """`(name, seconds)` in the order they ended."""
        return list(self._durations)

    def counts(self) -> dict[tuple[str, str], int]:
        return dict(self._counts)

    def levels(self) -> dict[str, int]:
        return dict(self._levels)

    def histograms(self) -> dict[str, tuple[list[int], float]]:
        """Durations by name since the start: counts per bucket of `BOUNDS_S` and beyond, and their sum in seconds."""
        return {name: (list(buckets), self._sums[name]) for name, buckets in self._buckets.items()}


def process_levels() -> dict[str, float]:
    """This process under the names that Prometheus clients give them; memory is the resident set."""
    process = psutil.Process()
    with process.oneshot():
        times = process.cpu_times()
        return {
            "process_resident_memory_bytes": process.memory_info().rss,
            "process_cpu_seconds_total": times.user + times.system,
            "process_open_fds": process.num_fds(),
            "process_start_time_seconds": process.create_time(),
        }


def quantile(values: list[float], share: float) -> float | None:
    """Nearest-rank quantile of `values`, null when there are none. `share` is in 0..1."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def render_metrics(telemetry: Telemetry, levels: Mapping[str, float] | None = None) -> str:
    """Prometheus text exposition, format 0.0.4: counters, levels (those of `levels` under their own full names), and a histogram
    per kind of duration.
    """
    lines: list[str] = []
    counted: dict[str, list[str]] = {}
    for (name, label), value in sorted(telemetry.counts().items()):
        labels = f'{{kind="{_escaped(label)}"}}' if label else ""
        counted.setdefault(f"assay_{name}_total", []).append(f"assay_{name}_total{labels} {value}")
    for name, rows in counted.items():
        lines += [f"# TYPE {name} counter", *rows]
    shown = {f"assay_{name}": float(value) for name, value in telemetry.levels().items()} | dict(levels or {})
    for name, value in sorted(shown.items()):
        lines += [f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}", f"{name} {value:.17g}"]
    kinds: dict[str, list[str]] = {}
    for name, (buckets, total) in sorted(telemetry.histograms().items()):
        kind, _, what = name.partition(".")
        kinds.setdefault(f"assay_{kind}_seconds", []).extend(_histogram(f"assay_{kind}_seconds", what, buckets, total))
    for name, rows in kinds.items():
        lines += [f"# TYPE {name} histogram", *rows]
    return "\n".join(lines) + "\n"


def _histogram(metric: str, what: str, buckets: Iterable[int], total: float) -> list[str]:
    rows: list[str] = []
    seen = 0
    for bound, count in zip([*map(str, BOUNDS_S), "+Inf"], buckets, strict=True):
        seen += count
        rows.append(f'{metric}_bucket{{name="{_escaped(what)}",le="{bound}"}} {seen}')
    rows.append(f'{metric}_sum{{name="{_escaped(what)}"}} {total:.9f}')
    rows.append(f'{metric}_count{{name="{_escaped(what)}"}} {seen}')
    return rows


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
