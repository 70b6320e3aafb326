"""`assay load`: one traffic profile against a served assistant."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from evals.catalog import load_cards, nearest
from evals.cli.figures import figure
from evals.cli.liveview import live_view
from evals.cli.progress import progress_report
from evals.errors import UsageError
from evals.targets.opening import parse_target
from reports.format import quantity

if TYPE_CHECKING:
    from evals.suites import SuiteResult


def traffic_profile(name: str) -> Path:
    """The file of a traffic profile. Raises `UsageError` with the nearest name."""
    path = Path("datasets/traffic") / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise UsageError(f"{name!r}: no such traffic profile{nearest(name, known)}")
    return path


@click.command()
@click.argument("profile", default="smoke")
@click.option("--pack", default="qsr", show_default=True)
@click.option("--target", "target_text", default="inprocess", show_default=True, help="inprocess starts a server of its own.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep samples and record.json in this folder.")
@click.option("--paired", is_flag=True, help="Play each loaded card once more without load and compare.")
@click.option("--workers", type=click.IntRange(1, 64), help="Generator processes; overrides the profile.")
@click.option("--master", metavar="HOST:PORT", help="Wait here for hosts that join; they generate the load.")
@click.option("--expect", type=click.IntRange(1, 256), help="How many hosts must join; with --master.")
@click.option("--join", metavar="HOST:PORT", help="Generate load for the master there, once; profile and target are its own.")
@click.option("--web-ui", "web_port", type=click.IntRange(1, 65535), help="Show Locust's page on this loopback port meanwhile.")
@click.option("--database", metavar="URL", help="Keep an own server's conversations on this PostgreSQL server instead of SQLite.")
@click.option("--replay-lost", is_flag=True, help="Play what lost generators left out again afterwards; the figures say so.")
@click.option("--json", "as_json", is_flag=True)
def load(profile: str, pack: str, target_text: str, out: Path | None, as_json: bool, **options: Any) -> int:
    """Drive load and score every loaded turn against its card.

    With --master and --join the load comes from several hosts; all need the same ASSAY_LOAD_TOKEN.

    \b
    Example:
      assay load smoke
      assay load users-1000 --target http://10.0.0.5:8080 --master 10.0.0.5:7070 --expect 3
      assay load --join 10.0.0.5:7070
    """
    from evals.cli.loadhosts import gathering_of, join_master

    if options["join"]:
        return join_master(options["join"], os.environ)
    from evals.loadsuite import LoadRun, run_load_suite

    path = traffic_profile(profile)
    gathering = gathering_of(target_text, options, os.environ)
    options = {name: options[name] for name in ("paired", "workers", "web_port", "replay_lost", "database")} | {
        "gathering": gathering
    }
    folder = out or Path(tempfile.mkdtemp(prefix="assay-load-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with live_view(Console(stderr=True)) as watch, nullcontext(_unseen) if watch else progress_report() as progress:
            run = LoadRun(
                pack=pack,
                profile=path,
                target=parse_target(target_text),
                folder=folder,
                environ=os.environ,
                watch=watch,
                **options,
            )
            result = run_load_suite(load_cards(Path("datasets") / pack / "scenarios"), run, progress)
        if out is not None:
            _keep(result, out, pack=pack, target=target_text)
    finally:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
    _show(result, as_json=as_json)
    return 3 if result.broken else 0


def _show(result: SuiteResult, *, as_json: bool) -> None:
    if as_json:
        metrics = {name: asdict(value) if value else None for name, value in result.metrics.items()}
        click.echo(json.dumps({"metrics": metrics, "broken": list(result.broken), "load": result.tables["load"]}, indent=1))
        return
    for name, value in result.metrics.items():
        click.echo(f"{name:<34} {figure(name, value)}")
    click.echo(beside(result.tables["load"]))
    for reason in result.broken:
        click.echo(f"invalid: {reason}")


def _keep(result: SuiteResult, folder: Path, *, pack: str, target: str) -> None:
    """The run's record, for `assay rounds`."""
    from evals.recording import Recording, make_record
    from reports.records import write_record

    policy = Path("datasets/gates/pr.yaml")
    recording = Recording(tier="pr", pack=pack, target=target, folder=folder, policy=policy, environ=os.environ)
    write_record(folder, make_record(recording, {"load": result}, result.slots, {}))


def _unseen(name: str, done: int, total: int) -> None:
    """The live view shows more."""


def beside(table: Mapping[str, Any]) -> str:
    """What the metrics leave out, a line each: error classes, response beside service time, floor-adjusted figures, gaps, turns in flight,
    and the comparison with the unloaded run where there is one.
    """
    response, service, gap = (table[name] for name in ("response_s", "service_s", "gap_s"))
    little, adjusted = table["little"], table["floor_adjusted"]
    lines = [
        f"errors by class                    {_by_class(table['errors'])}",
        f"response p50 / p95, from the plan  {_s(response['p50'])} / {_s(response['p95'])}",
        f"service p50 / p95, from sending    {_s(service['p50'])} / {_s(service['p95'])}",
        f"response p95 less client's floor   {_s(adjusted['response_p95_s'])}, first word {_s(adjusted['ttft_p95_s'])}",
        f"gap p50 / p95, per token           {_s(gap['p50'])} / {_s(gap['p95'])}, {_s(table['tpot_s']['p50'])}",
        f"turns in flight, counted / implied {_n(little['counted'])} / {_n(little['implied'])} (Little's law)",
    ]
    for row in table.get("hosts", ()):
        lines.append(
            f"host {row['name']:<29} generators {_numbers(row['generators'])}, start known to {row['clock_error_s'] * 1000:.2f} ms"
        )
    for row in table["held"]:
        lines.append(
            f"WebSockets opened / lost / failed  {row['opened']} / {row['lost']} / {row['failed']} of {row['planned']}, "
            f"ping p95 {_s(row['ping_rtt_p95_s'])}"
        )
    if table.get("chaos"):
        chaos = table["chaos"]
        lines += [
            f"{fault['kind'] + ' at ' + _s(fault['at_s']):<34} answered again after {_s(fault['recovery_s'])}; "
            f"failed meanwhile: {_by_class(fault['errors'])}"
            + (f"; answered without the model: {fault['without_model']}" if fault["without_model"] else "")
            for fault in chaos["faults"]
        ]
        lines.append(f"accepted turns / lost              {chaos['accepted']} / {len(chaos['lost'])}")
    if table.get("replayed"):
        replayed = table["replayed"]
        lines.append(
            f"played again afterwards            generators {_numbers(replayed['generators'])}, {_s(replayed['offset_s'])} later. "
            f"{replayed['not_claimed']}"
        )
    if "paired" in table:
        paired = table["paired"]
        lines.append(
            f"right without load / under load    {paired['right_unloaded']} / {paired['right_loaded']} of {paired['turns']} turns of cards, "
            f"{len(paired['broke'])} broke (McNemar p {paired['p_value']:.3g})"
        )
        lines += [f"  broke under load: {turn}" for turn in paired["broke"]]
    return "\n".join(lines)


def _by_class(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in errors.items()) or "none"


def _s(value: float | None) -> str:
    return "–" if value is None else quantity(value, "seconds")


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _numbers(numbers: list[int]) -> str:
    whole = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]} to {numbers[-1]}" if whole else ", ".join(map(str, numbers))
