"""The verdict for a terminal: rich renderables, words beside every icon, readable at 60 columns and without colour."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.format import NOTHING, plural
from reports.gates.verdict import FailingCard, Verdict, VerdictWord, read_verdict
from reports.views import GateRow, gate_rows

ICONS = {"pass": "✓", "fail": "✕", "inc": "?", "inv": "!", "wai": "~", "non": "–"}
STYLES = {"pass": "green", "fail": "red", "inc": "yellow", "inv": "magenta", "wai": "cyan", "non": "dim"}
VERDICT_KEYS: dict[VerdictWord, str] = {"pass": "pass", "fail": "fail", "inconclusive": "inc", "invalid": "inv"}
WIDE = 92
"""Columns from which bound and counts get columns of their own."""
SHOWN = 8
"""Failing cards printed; the report holds all."""


def print_verdict(folder: Path, stream: TextIO, *, width: int | None = None) -> None:
    """Write the verdict of a run folder to `stream`. Raises `VerdictError` when it cannot be read."""
    Console(file=stream, width=width, highlight=False).print(VerdictScreen(read_verdict(folder / "verdict.json"), folder))


class VerdictScreen:
    """A renderable: headline, gates, failing cards, where the report is. Fits the console it is printed on."""

    def __init__(self, verdict: Verdict, folder: Path) -> None:
        self._verdict = verdict
        self._folder = folder

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        verdict, rows = self._verdict, gate_rows(self._verdict)
        key = VERDICT_KEYS[verdict.verdict]
        headline = Text.assemble(
            (f"{ICONS[key]} {verdict.verdict.upper()}", f"bold {STYLES[key]}"), ("  " + verdict.sentence, "bold")
        )
        parts: list[RenderableType] = [headline, Text()]
        judged = [row for row in rows if row.icon != "non"]
        if judged:
            parts.append(_gate_table(judged, wide=options.max_width >= WIDE))
        parts += _quiet(rows)
        for card in verdict.failures[:SHOWN]:
            parts += [Text(), _failure(card)]
        if len(verdict.failures) > SHOWN:
            parts += [Text(), Text(f"and {plural(len(verdict.failures) - SHOWN, 'cards')} more in the report", style="dim")]
        parts += [Text(), _where(verdict, self._folder)]
        yield Group(*parts)


def _gate_table(rows: list[GateRow], *, wide: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False, expand=False)
    table.add_column("state", no_wrap=True)
    table.add_column("gate", ratio=1, overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    if wide:
        table.add_column("95 % bound", justify="right", no_wrap=True)
    table.add_column("threshold", justify="right", no_wrap=True)
    if wide:
        table.add_column("k / n", justify="right", no_wrap=True)
    for row in rows:
        state = Text(f"{ICONS[row.icon]} {row.word.lower()}", style=STYLES[row.icon])
        cells = [row.value, row.bound, row.threshold, row.counted] if wide else [row.value, row.threshold]
        told = Text(row.title) if row.icon == "pass" else Text.assemble(row.title, ("\n" + row.sentence, "dim"))
        table.add_row(state, told, *(Text(cell) for cell in cells))
    return table


def _quiet(rows: list[GateRow]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for word in dict.fromkeys(row.word for row in rows if row.icon == "non"):
        titles = [row.title for row in rows if row.word == word]
        lines.append(Text(f"{ICONS['non']} {word.lower()}: {'; '.join(titles)}", style="dim"))
    return lines


def _failure(card: FailingCard) -> RenderableType:
    key = "fail" if card.failed else "inv"
    severity = card.labels.get("severity", "")
    word = "failed" if card.failed else "unjudged"
    head = Text.assemble((f"{ICONS[key]} {word} ", STYLES[key]), (card.card, "bold"), (f"  {severity}", "dim"))
    body = Table.grid(padding=(0, 2, 0, 0))
    body.add_column(style="dim", no_wrap=True)
    body.add_column(overflow="fold")
    check = next((check for check in card.checks if not check.advisory), card.checks[0] if card.checks else None)
    if check is not None:
        body.add_row(check.stage or check.evaluator, Text(check.reason or f"{check.evaluator}: {check.state.replace('_', ' ')}"))
        if check.expected is not None or check.got is not None:
            body.add_row("expected", Text(check.expected or NOTHING))
            body.add_row("got", Text(check.got or NOTHING))
    body.add_row("repeats", f"{card.passed} of {card.repeats} passed" + (f", {card.unjudged} unjudged" if card.unjudged else ""))
    body.add_row("reproduce", Text(card.reproduce))
    return Group(head, Padding(body, (0, 0, 0, 2)))


def _where(verdict: Verdict, folder: Path) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("report", Text(str(folder / "report.html")))
    grid.add_row("exit", f"{verdict.exit_code}  {verdict.verdict}")
    return grid
