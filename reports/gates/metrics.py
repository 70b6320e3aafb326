"""The metric names a policy may gate, with what a reader must know of each: title, unit, area and what is counted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from reports.records import Unit


@dataclass(frozen=True, kw_only=True)
class Metric:
    """`name` may hold `<placeholders>`; `counted` is the plural of one unit of evidence."""

    name: str
    title: str
    unit: Unit
    area: str
    counted: str


def _rows(unit: Unit, area: str, counted: str, titles: dict[str, str]) -> list[Metric]:
    return [Metric(name=name, title=title, unit=unit, area=area, counted=counted) for name, title in titles.items()]


METRICS: tuple[Metric, ...] = (
    *_rows(
        "share",
        "Answers",
        "cards",
        {
            "cards.pass_rate": "Cards that pass",
            "cards.agent.<agent>.pass_rate": "Cards that pass, agent <agent>",
            "cards.<area>.pass_rate": "Cards that pass, area <area>",
            "cards.score": "Checks that pass, mean of cards",
            "cards.agent.<agent>.score": "Checks that pass, agent <agent>",
            "cards.<area>.score": "Checks that pass, area <area>",
            "cards.unjudged_share": "Card repeats left unjudged",
        },
    ),
    *_rows(
        "share",
        "Judged answers",
        "answers",
        {
            "judge.<rubric>.pass_rate": "Judged good by <rubric>",
            "judge.<rubric>.corrected_pass_rate": "Good by <rubric>, corrected for the judge's errors",
        },
    ),
    *_rows("share", "Tools", "tool calls", {"cards.tool_success": "Tool calls that succeed"}),
    *_rows(
        "share",
        "Agent selection",
        "cases",
        {
            "routing.accuracy": "Right agent chosen",
            "routing.recall.<agent>": "Requests for <agent> that reach it",
            "routing.precision.<agent>": "Requests sent to <agent> that belong there",
            "routing.conversations.accuracy": "Right agent chosen within conversations",
            "routing.ece": "Calibration error of the router",
            "routing.abstention": "Requests the router was unsure of",
        },
    ),
    *_rows("seconds", "Agent selection", "decisions", {"routing.decide.p50_s": "Routing decision, median"}),
    *_rows(
        "seconds",
        "Load",
        "turns",
        {
            "load.response.p95_s": "Answer time, p95",
            "load.ttft.p95_s": "First token, p95",
            "load.sched_lag.p50_s": "Send lag of the generator, median",
        },
    ),
    *_rows(
        "share",
        "Load",
        "turns",
        {"load.error_rate": "Errors under load", "load.correct_rate": "Right answers under load"},
    ),
    *_rows(
        "per_second",
        "Load",
        "turns",
        {"load.correct_goodput_per_s": "Correct goodput", "load.throughput_per_s": "Throughput"},
    ),
    *_rows("count", "Load", "turns", {"load.lost_turns": "Lost messages"}),
    *_rows("yes_no", "Load", "checks", {"target.survived": "Assistant survived the run"}),
    *_rows("bytes", "Resources", "samples", {"load.server.peak_pss_bytes": "Memory of the assistant, peak"}),
    *_rows(
        "seconds",
        "Own time",
        "turns",
        {
            "turn.overhead.p95_s": "Our overhead per turn, p95",
            "turn.overhead.mean_s": "Our overhead per turn, mean",
            "turn.switch.p95_s": "Agent switch, p95",
            "turn.switch.p99_s": "Agent switch, p99 at 100 messages of history",
        },
    ),
    *_rows(
        "seconds",
        "Own time",
        "queries",
        {"store.query.p95_s": "Database query, p95", "store.load.p95_s": "Conversation load, p95"},
    ),
    *_rows(
        "share", "Cache", "turns", {"cache.hit_rate": "Cache hits", "cache.hit_share_of_possible": "Cache hits of those possible"}
    ),
    *_rows("count", "Connections", "connections", {"websockets.held": "WebSockets held at once"}),
    *_rows("seconds", "Voice", "turns", {"voice.ttft.p95_s": "Voice, first token, p95"}),
    *_rows("share", "Soak", "turns", {"soak.availability": "Availability over a long run"}),
    *_rows("seconds", "Machine", "laps", {"machine.lap.p50_s": "A fixed piece of work on this machine, median"}),
    *_rows("share", "Machine", "laps", {"machine.waiting_share": "Time spent waiting for a processor"}),
)
GUARDS: tuple[Metric, ...] = tuple(
    _rows(
        "share",
        "Accepted runs",
        "cards",
        {
            "guards.mean_drop": "Mean of card pass rates, against the accepted runs",
            "guards.cards": "No card worse than in the accepted runs",
            "guards.too_good": "Nothing suspiciously better than in the accepted runs",
        },
    )
)
"""Names of the comparisons with the accepted runs, which no policy line measures but a waiver may cover."""

_PATTERNS: tuple[tuple[re.Pattern[str], Metric], ...] = tuple(
    (
        re.compile(
            re.sub(r"<(\w+)>", r"(?P<\1>[A-Za-z0-9_*-]+)", re.escape(metric.name).replace(r"\<", "<").replace(r"\>", ">"))
        ),
        metric,
    )
    for metric in (*METRICS, *GUARDS)
)
_SUFFIX_UNITS: tuple[tuple[str, Unit], ...] = (("_per_s", "per_second"), ("_s", "seconds"), ("_bytes", "bytes"))


def find_metric(name: str) -> Metric | None:
    """The row that describes `name`, its placeholders filled in; null for an unknown name."""
    for pattern, metric in _PATTERNS:
        if found := pattern.fullmatch(name):
            title = metric.title
            for key, value in found.groupdict().items():
                title = title.replace(f"<{key}>", value)
            return Metric(name=name, title=title, unit=metric.unit, area=metric.area, counted=metric.counted)
    return None


def describe_metric(name: str) -> Metric:
    """Like `find_metric`; a name no table knows gets its unit from its ending and its name as title."""
    units: list[Unit] = [unit for suffix, unit in _SUFFIX_UNITS if name.endswith(suffix)]
    return find_metric(name) or Metric(
        name=name, title=name, unit=units[0] if units else "share", area="Other", counted="samples"
    )


def nearest_metric(name: str) -> str | None:
    """The known name closest to `name`."""
    return next(iter(get_close_matches(name, [metric.name for metric in (*METRICS, *GUARDS)], n=1, cutoff=0.5)), None)
