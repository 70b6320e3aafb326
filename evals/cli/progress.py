"""Progress of a run: bars on a terminal, one plain line per suite and quarter in CI."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from evals.suites import Progress as Report


@contextmanager
def progress_report() -> Generator[Report]:
    """Bars when standard error is a terminal, plain lines otherwise."""
    if sys.stderr.isatty():
        yield from _bars()
    else:
        yield _lines()


def _bars() -> Generator[Report]:
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def report(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield report


def _lines() -> Report:
    shown: dict[str, int] = {}

    def report(name: str, done: int, total: int) -> None:
        quarter = 4 * done // total if total else 4
        if quarter > shown.get(name, 0):
            shown[name] = quarter
            click.echo(f"{name}: {done} of {total}", err=True)

    return report
