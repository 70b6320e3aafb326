"""`assay promote` and `history`: which runs are the baseline, who accepted them and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from evals.errors import UsageError

_RUNS = click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="The folder whose history is meant.",
)


@click.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option("--who", required=True, help="Who answers for it.")
@click.option("--why", required=True, help="Why, in one sentence.")
@click.option("--revoke", "take_back", is_flag=True, help="Take a promotion back; RECORD may be a run id.")
@_RUNS
def promote(record: Path, who: str, why: str, take_back: bool, runs: Path) -> None:
    """Accept a valid, passing run as baseline, or take that back. Both are kept for ever.

    \b
    Example:
      assay promote runs/20260615-100000-nightly --who kim --why "first night on the new router"
    """
    from reports import baseline
    from reports.history import HistoryError
    from reports.records import read_record

    act = baseline.Act(who=who, why=why, at=datetime.now(UTC).replace(microsecond=0))
    folder = record.parent if record.name == "record.json" else record
    try:
        if take_back:
            known = (folder / "record.json").is_file()
            revoked = baseline.revoke(read_record(folder / "record.json").run_id if known else str(record), runs, act)
            click.echo(f"revoked {revoked.run_id}; it is no longer compared with")
            return
        promotion = baseline.promote(folder, runs, act)
    except HistoryError as error:
        raise UsageError(str(error)) from error
    unknown = [aspect for aspect, value in promotion.fingerprint.items() if value is None]
    click.echo(f"promoted {promotion.run_id}: {len(promotion.cards)} cards, {len(promotion.metrics)} metrics")
    if unknown:
        click.echo(f"unknown in this run, so never equal to another: {', '.join(unknown)}", err=True)


@click.command()
@_RUNS
@click.option("--all", "everything", is_flag=True, help="Also what was revoked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def history(runs: Path, everything: bool, as_json: bool) -> None:
    """List the accepted runs, newest first.

    \b
    Example:
      assay history
    """
    from reports.history import HistoryError, read_history

    try:
        found = read_history(runs)
    except HistoryError as error:
        raise UsageError(str(error)) from error
    events = list(reversed(found.events if everything else found.accepted))
    if as_json:
        click.echo(json.dumps([event.model_dump(mode="json", exclude={"metrics", "cards"}) for event in events], indent=1))
        return
    for event in events:
        click.echo(f"{event.at:%Y-%m-%d %H:%M}  {event.action:<8} {event.run_id:<44} {event.who}: {event.why}")
    click.echo(f"{len(found.accepted)} accepted" if events else "no run is accepted; `assay promote RECORD` accepts one")
