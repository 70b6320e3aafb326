"""Failing cards as a report shows them: checks, transcript and the command that reproduces each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reports.format import plural, seconds
from reports.gates.verdict import FailedCheck, FailingCard, Verdict
from reports.records import UNJUDGED_STATES, RecordError
from reports.traces import trace_id

LOCAL_UI = "http://127.0.0.1:5000"
"""Where `assay ui` serves by default."""
LONGEST = 1_200
"""Characters of one message or tool result shown; the rest stays in transcripts.jsonl."""
SHOWN = 50
"""Failing cards shown whole; further ones are listed in the tables beside the report."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a transcript: who, what, how long."""

    who: str
    text: str
    code: bool
    took: str
    bad: bool = False


@dataclass(frozen=True, kw_only=True)
class Check:
    evaluator: str
    icon: str
    word: str
    expected: str
    got: str
    stage: str
    advisory: bool


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failing card. `shown_repeat` is the repeat whose checks and transcript follow."""

    anchor: str
    card: str
    title: str
    severity: str
    stage: str
    icon: str
    repeats: str
    why: str
    shown_repeat: int
    checks: list[Check]
    entries: list[Entry]
    reproduce: str
    known_issue: str
    trace: str
    trace_link: str


def failures(folder: Path, verdict: Verdict, cards: Mapping[str, Mapping[str, Any]]) -> list[Failure]:
    """Failing cards in the verdict's order, each with the transcript of its first repeat that did not pass.

    A trace is linked when `track.json` says where the run is stored.
    """
    shown = verdict.failures[:SHOWN]
    wanted = {(card.card, _repeat(card)) for card in shown}
    found = {(row["card"], row["repeat"]): row for row in read_transcripts(folder / "transcripts.jsonl", wanted)}
    pattern = _trace_link(folder / "track.json")
    rows = [_failure(card, found.get((card.card, _repeat(card))), cards.get(card.card, {})) for card in shown]
    traces = [trace_id(verdict.run_id, row.card, row.shown_repeat) if row.entries else "" for row in rows]
    return [
        replace(row, trace=trace, trace_link=pattern.replace("{trace}", trace) if trace else "")
        for row, trace in zip(rows, traces, strict=True)
    ]


def _trace_link(path: Path) -> str:
    """Address of a trace with `{trace}` for its id; empty while the run is not stored in a tracker."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        uri, experiment = str(stored["tracking_uri"]), str(stored["experiment_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    base = uri.rstrip("/") if uri.startswith(("http://", "https://")) else LOCAL_UI
    return f"{base}/#/experiments/{experiment}/traces?selectedEvaluationId={{trace}}&traceId={{trace}}"


def read_transcripts(path: Path, wanted: Iterable[tuple[str, int]] | None = None) -> Iterator[dict[str, Any]]:
    """Stream the transcripts of the wanted (card, repeat) pairs, or all; no file, no rows. Raises `RecordError`."""
    keys = None if wanted is None else set(wanted)
    if not path.exists() or keys == set():
        return
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                key = (row["card"], row["repeat"])
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise RecordError(f"{path}: line {number}: not a transcript ({error!r})") from error
            if keys is None or key in keys:
                yield row


def anchor(card: str) -> str:
    """An id for a link to a card."""
    return "card-" + re.sub(r"[^A-Za-z0-9]+", "-", card).strip("-")


def _repeat(card: FailingCard) -> int:
    blocking = [check for check in card.checks if not check.advisory] or card.checks
    failed = [check for check in blocking if check.state not in UNJUDGED_STATES] or blocking
    return failed[0].repeat if failed else 0


def _failure(card: FailingCard, transcript: Mapping[str, Any] | None, about: Mapping[str, Any]) -> Failure:
    repeat = _repeat(card)
    checks = [check for check in card.checks if check.repeat == repeat]
    first = next((check for check in checks if not check.advisory), checks[0] if checks else None)
    issue = about.get("known_issue")
    return Failure(
        anchor=anchor(card.card),
        card=card.card,
        title=str(about.get("title") or card.card),
        severity=card.labels.get("severity", ""),
        stage=card.stage or "",
        icon="fail" if card.failed else "inv",
        repeats=f"{card.passed} of {plural(card.repeats, 'repeats')} passed"
        + (f", {card.unjudged} unjudged" if card.unjudged else ""),
        why=(first.reason or f"{first.evaluator}: {first.state.replace('_', ' ')}") if first else "",
        shown_repeat=repeat,
        checks=[_check(check) for check in checks],
        entries=[entry for turn in (transcript or {}).get("turns", []) for entry in turn_entries(turn)],
        reproduce=card.reproduce,
        known_issue=_plain(issue) if issue else "",
        trace="",
        trace_link="",
    )


def _check(check: FailedCheck) -> Check:
    return Check(
        evaluator=check.evaluator,
        icon="inv" if check.state in UNJUDGED_STATES else "fail",
        word=check.state.replace("_", " "),
        expected=_cut(check.expected or ""),
        got=_cut(check.got or check.reason),
        stage=check.stage or "",
        advisory=check.advisory,
    )


def turn_entries(turn: Mapping[str, Any]) -> Iterator[Entry]:
    """The lines of one turn of a transcript in reading order; long texts are cut."""
    yield Entry(who="user", text=_cut(_plain(turn.get("user"))), code=False, took="")
    route: Mapping[str, Any] = turn.get("route") or {}
    if route:
        others = ", ".join(f"{a.get('agent')} {a.get('probability', 0):.2f}" for a in route.get("alternatives") or [])
        text = f"{route.get('agent')} {route.get('confidence', 0):.2f}" + (f", then {others}" if others else "")
        yield Entry(who="route", text=text, code=False, took=_took(route.get("duration_s")))
    for call in turn.get("tool_calls") or []:
        arguments = ", ".join(
            f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in (call.get("arguments") or {}).items()
        )
        yield Entry(who="tool", text=_cut(f"{call.get('tool')}({arguments})"), code=True, took=_took(call.get("duration_s")))
        yield Entry(who="result", text=_cut(_plain(call.get("result"))), code=True, took="", bad=not call.get("ok", True))
    for cited in turn.get("citations") or []:
        missing = not cited.get("exists", True)
        text = (
            f"{cited.get('document')}#{cited.get('passage')} {cited.get('title') or ''}{' (does not exist)' if missing else ''}"
        )
        yield Entry(who="cites", text=text, code=False, took="", bad=missing)
    if turn.get("error"):
        yield Entry(who="error", text=_cut(_plain(turn["error"])), code=False, took="", bad=True)
    yield Entry(who="answer", text=_cut(_plain(turn.get("text"))), code=False, took=_took(turn.get("duration_s")))


def _took(value: object) -> str:
    return seconds(float(value)) if isinstance(value, int | float) else ""


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST:,} more characters)"
