"""`assay ops`: how the assistant does in operation, and whether somebody must be told."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evals.errors import AssayError, UsageError

if TYPE_CHECKING:
    from reports.alerts import Alert
    from reports.ops import Operations

PAGE = Path("ops.html")


@click.command()
@click.option("--from", "source", help="A run folder, a folder of runs, an assay.db or a database URL; else ASSAY_DATABASE_URL.")
@click.option("--last", metavar="SPAN", help="Only turns of the last 30m, 24h or 7d. Default: all.")
@click.option("--at", metavar="TIME", help="Look at the turns up to this ISO time instead of now.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write the page. Default: ops.html.")
@click.option("--alerts", "rules", type=click.Path(path_type=Path), help="Evaluate the burn-rate rules of this file.")
@click.option("--webhook-env", metavar="NAME", help="The environment variable that holds the address to tell of firing alerts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; a page only with --out.")
def ops(source: str | None, out: Path | None, rules: Path | None, as_json: bool, **options: str | None) -> int:
    """Show models, agents, tools, intents and outcomes of the stored turns. With --alerts, say which fire: then exit 1.

    \b
    Example:
      assay ops --last 24h --out ops.html
      assay ops --alerts datasets/gates/alerts.yaml --webhook-env ASSAY_WEBHOOK_URL
    """
    from evals.cli.ops_store import shown

    webhook = _webhook(options["webhook_env"], rules)
    at, span = _moment(options["at"]), _span(options["last"])
    source = source or _own_store()
    figures = rules is None or as_json or out is not None
    found, alerts = _read(source, rules, at, (figures, span))
    if found is not None and (out is not None or not as_json):
        _write_page(found, shown(source), alerts, out or PAGE)
    if as_json:
        from reports.ops_view import as_json as plain

        click.echo(json.dumps(plain(found, alerts), indent=1, allow_nan=False))
    elif found is not None and alerts is None:
        _show(found)
    return 0 if alerts is None else _tell(alerts, at, webhook)


def _read(
    source: str, rules: Path | None, at: datetime, wanted: tuple[bool, timedelta | None]
) -> tuple[Operations | None, list[Alert] | None]:
    """Figures, if wanted, of the turns of the last `span`, and alerts, if there are rules."""
    from evals.cli.ops_store import read_turns
    from reports.alerts import evaluate, read_alerts
    from reports.ops import operations

    figures, span = wanted
    policy = None if rules is None else read_alerts(rules)
    reaches = [policy.longest] if policy is not None else []
    reaches += [span] if figures and span is not None else []
    since = None if figures and span is None else at - max(reaches)
    turns = [turn for turn in read_turns(source, now=at, since=since) if turn.at <= at]
    shown = [turn for turn in turns if span is None or turn.at > at - span]
    return operations(shown) if figures else None, None if policy is None else evaluate(policy, turns, at)


def _show(found: Operations) -> None:
    from reports.ops_view import text_lines

    for line in text_lines(found):
        click.echo(line)


def _write_page(found: Operations, source: str, alerts: Sequence[Alert] | None, page: Path) -> None:
    from reports.ops_view import page_values
    from reports.render import render_operations

    try:
        render_operations(page_values(found, source, alerts), page)
    except OSError as error:
        raise UsageError(f"--out {page}: cannot be written ({error.strerror}); choose another place") from error
    click.echo(f"page  {page}", err=True)


def _tell(alerts: Sequence[Alert], at: datetime, webhook: str | None) -> int:
    """One line of the log for each alert that fires, the webhook, and the exit code."""
    from reports.alert_words import firing_alerts, inert, payload, summary

    firing = firing_alerts(alerts)
    for alert in firing:
        click.echo(inert(f"ALERT {alert.severity} {alert.key}: {alert.sentence}"), err=True)
    click.echo(summary(alerts, at), err=True)
    if firing and webhook is not None:
        from evals.webhook import post_json

        try:
            post_json(webhook, payload(firing, at))
        except AssayError as error:
            # The alert fires whether or not somebody could be told.
            click.echo(f"assay: {error}", err=True)
    return 1 if firing else 0


def _own_store() -> str:
    from assistant.settings import Settings

    return Settings.from_environ(os.environ).database_url


def _moment(text: str | None) -> datetime:
    try:
        moment = datetime.now(UTC) if text is None else datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--at {text}: not an ISO time; write one such as 2026-11-21T08:00+00:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _span(text: str | None) -> timedelta | None:
    from reports.alerts import parse_span

    try:
        return None if text is None else parse_span(text)
    except ValueError as error:
        raise UsageError(f"--last: {error}") from error


def _webhook(name: str | None, rules: Path | None) -> str | None:
    if name is None:
        return None
    if rules is None:
        raise UsageError("--webhook-env tells of alerts and goes with --alerts; add --alerts datasets/gates/alerts.yaml")
    address = os.environ.get(name)
    if not address:
        raise UsageError(f"--webhook-env {name}: the variable is not set; export {name}=https://...")
    return address
