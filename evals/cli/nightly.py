"""`assay nightly`: the nightly release, what crept, the front page, old runs, and a message to whoever watches."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from datetime import time as clock_time
from pathlib import Path

import click

from evals.cli.release import release
from evals.errors import AssayError, UsageError

RUNS = Path("runs")


@click.command()
@click.option("--pack", default="qsr", show_default=True)
@click.option("--traffic", default="smoke", show_default=True, help="A profile of datasets/traffic.")
@click.option("--target", "target_text", default="inprocess", show_default=True)
@click.option("--keep", type=click.IntRange(min=1), default=60, show_default=True, help="Nights whose run folders stay.")
@click.option("--webhook-env", metavar="NAME", help="The environment variable that holds the address to tell.")
@click.option("--at", "at", metavar="HH:MM", help="Stay, and begin every day at this time (UTC); default: once, now.")
@click.pass_context
def nightly(ctx: click.Context, pack: str, traffic: str, target_text: str, **options: object) -> int:
    """Measure a build in the night. The exit code is the verdict; accepted and unsent runs are never removed.

    \b
    Example:
      assay nightly --keep 60 --webhook-env ASSAY_WEBHOOK_URL
    """
    from evals.nightly import next_start

    webhook, at, keep = _webhook(options["webhook_env"]), _time(options["at"]), int(str(options["keep"]))
    if at is None:
        return _night(ctx, (pack, traffic, target_text), keep, webhook)
    while True:
        start = next_start(at, datetime.now(UTC))
        click.echo(f"next night: {start:%Y-%m-%d %H:%M} UTC", err=True)
        time.sleep(max(0.0, (start - datetime.now(UTC)).total_seconds()))
        try:
            _night(ctx, (pack, traffic, target_text), keep, webhook)
        except AssayError as error:
            click.echo(f"assay: {error}", err=True)


def _night(ctx: click.Context, what: tuple[str, str, str], keep: int, webhook: str | None) -> int:
    pack, traffic, target_text = what
    folder = RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-nightly"
    code: int = ctx.invoke(release, tier="nightly", pack=pack, traffic=traffic, target_text=target_text, out=folder)
    crept = _pages()
    _tidy(keep)
    if webhook:
        _tell(folder, crept, webhook)
    return code


def _pages() -> int:
    """Writes the pages of drift and of all runs; returns how many metrics crept."""
    from reports.drift import DriftError, drift_of, read_runs, read_triage
    from reports.render import render_drift, render_index

    render_index(RUNS)
    try:
        found = list(drift_of(read_runs(RUNS, "nightly"), (), read_triage(RUNS)))
    except DriftError:
        return 0  # no sound night yet
    render_drift(found, "nightly", RUNS / "drift.html")
    return sum(bool(one.changes) for one in found)


def _tidy(keep: int) -> None:
    from evals.nightly import expired, remove

    old = expired(RUNS, keep)
    remove(old)
    if old:
        click.echo(f"removed {len(old)} run folders older than {keep} nights", err=True)


def _tell(folder: Path, crept: int, webhook: str) -> None:
    from evals.webhook import post_json
    from reports.announce import chat_text
    from reports.gates.verdict import read_verdict
    from reports.records import read_record

    record, verdict = read_record(folder / "record.json"), read_verdict(folder / "verdict.json")
    text = chat_text(verdict, pack=record.pack, commit=record.provenance.commit, link=str(folder / "report.html"))
    if crept:
        text = f"{text}\n{crept} metrics crept over the nights: drift.html"
    try:
        post_json(webhook, {"text": text})  # as Slack, Mattermost and Teams take it
    except AssayError as error:
        # The night is measured and kept; that nobody could be told changes no verdict.
        click.echo(f"assay: {error}", err=True)


def _webhook(name: object) -> str | None:
    if not name:
        return None
    address = os.environ.get(str(name))
    if not address:
        raise UsageError(f"--webhook-env {name}: the variable is not set; export {name}=https://...")
    return address


def _time(text: object) -> clock_time | None:
    if not text:
        return None
    try:
        return clock_time.fromisoformat(str(text))
    except ValueError as error:
        raise UsageError(f"--at {text}: not a time; write HH:MM, for example 02:30") from error
