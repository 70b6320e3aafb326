"""`assay routing`: agent selection, of a pack's router or of any router on any labelled data."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from evals.cli.progress import progress_report
from evals.errors import UsageError

_FILES = ("train", "rows", "domains", "oos", "model", "router")


@click.command()
@click.argument("action", type=click.Choice(["train"]), required=False)
@click.option(
    "--pack", help="Measure a pack's shipped router; the default, with pack qsr, unless --train, --model or --router is given."
)
@click.option(
    "--train", help="Train on this file: JSON lines (text, intent, agent), CSV (text,category) or CLINC150 JSON (FILE#LIST)."
)
@click.option("--test", "tests", help="Labelled texts, or multi-turn items with --pack; default of a pack: its test set.")
@click.option("--oos", help="Texts that nobody should answer; default: the oos list beside the tested list of a JSON file.")
@click.option("--domains", help="JSON object of lists of intents: each name is an agent.")
@click.option("--rows", help="Train on these rows only: JSON list of numbers from 0, or FILE#LIST.")
@click.option(
    "--model", type=click.Path(path_type=Path), help="With --train: write the model into this folder. Alone: measure it."
)
@click.option("--router", help="Measure python:module:function, or a language model: openai:URL#MODEL.")
@click.option("--finetune", is_flag=True, help="With --train: tune the encoder too (needs torch; minutes).")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    help="With --train: read texts in batches with torch, or tune, on this device.",
)
@click.option("--compare", nargs=2, type=click.Path(path_type=Path), help="Compare two results of --json on the same texts.")
@click.option("--robustness", is_flag=True, help="Also measure under typos, lower case, no punctuation, chatter, paraphrase.")
@click.option("--seed", default=7, show_default=True, help="Seed of --robustness.")
@click.option("--conversations", type=click.Path(path_type=Path), help="Multi-turn items; default: the pack's.")
@click.option("--report", type=click.Path(path_type=Path), help="Also write this page: confusion, reliability, worst items.")
@click.option("--track", is_flag=True, help="Also store it in MLflow: MLFLOW_TRACKING_URI, else mlflow.db among the runs.")
@click.option("--json", "as_json", is_flag=True)
def routing(action: str | None, compare: tuple[Path, Path] | None, report: Path | None, as_json: bool, **options: Any) -> None:
    """Measure agent selection: accuracy, precision and recall, confusion, calibration, out-of-scope, latency.

    With `train` it only trains: --train FILE --model FOLDER, and --finetune to tune the encoder too.

    \b
    Example:
      assay routing --pack qsr
      assay routing --train train.jsonl --test test.csv --json
      assay routing train --train train.jsonl --model models/mine --finetune
    """
    if action == "train":
        _only_training(options, compare)
    if compare is not None:
        from evals.routing.pairing import compare_results

        found = compare_results(*compare)
    elif _pack_mode(options):
        found = _pack(options)
    else:
        found = _file(options)
    if report is not None and "confusion" in found:
        from evals.routing.page import write_page

        write_page(found, report)
        click.echo(f"wrote {report}", err=True)
    if options["track"]:
        _track(found)
    _show(found, as_json)


def _track(found: Mapping[str, Any]) -> None:
    """A tracker that is down is told and changes nothing else, the exit code neither."""
    from evals.routing.tracked import track_result

    if "confusion" not in found:
        raise UsageError("--track stores a measurement, and nothing was measured; give a test, and no --compare")
    click.echo(track_result(found, root=Path("runs"), tracking_uri=os.environ.get("MLFLOW_TRACKING_URI")).sentence, err=True)


def _only_training(options: Mapping[str, Any], compare: object) -> None:
    if options["train"] is None or options["model"] is None:
        raise UsageError("`train` needs --train FILE with labelled texts and --model FOLDER to write; give both")
    if options["tests"] is not None or compare is not None:
        raise UsageError("`train` measures nothing; leave out `train`, --test or --compare")


def _pack_mode(options: Mapping[str, Any]) -> bool:
    named = [f"--{name}" for name in _FILES if options[name] is not None]
    if options["pack"] is not None and named:
        raise UsageError(f"--pack measures the pack's own router and cannot be used with {', '.join(named)}; leave one out")
    if options["finetune"] and (options["train"] is None or options["router"] is not None):
        raise UsageError("--finetune tunes the encoder on the file of --train and goes without --router; give --train FILE")
    if options["device"] is not None and options["train"] is None:
        raise UsageError("--device says where --train reads its texts or --finetune tunes; give --train FILE")
    return not {"--train", "--model", "--router"} & {*named}


def _file(options: Mapping[str, Any]) -> dict[str, Any]:
    from assistant.settings import Settings
    from evals.routing.measuring import Sources, measure
    from evals.routing.trained import Workplace

    if options["tests"] is None and (options["model"] is None or options["train"] is None):
        raise UsageError("--test is missing: give labelled texts to measure on, or --train with --model to train only")
    if options["train"] is not None and options["model"] is not None and options["router"] is not None:
        raise UsageError("--model and --router name two routers; leave one out")
    settings = Settings.from_environ(os.environ)
    names = ("train", "oos", "domains", "rows", "model", "router", "robustness", "seed", "finetune")
    with progress_report() as progress:
        place = Workplace(encoder=settings.encoder, cache_dir=settings.cache_dir, progress=progress, device=options["device"])
        return measure(Sources(test=options["tests"], **{name: options[name] for name in names}), place)


def _pack(options: Mapping[str, Any]) -> dict[str, Any]:
    from evals.routing.packs import PackRequest, measure_pack

    if options["oos"] or options["rows"] or options["domains"]:
        raise UsageError("--oos, --rows and --domains go with --train, --model or --router; add one")
    with tempfile.TemporaryDirectory(prefix="assay-routing-") as store, progress_report() as progress:
        request = PackRequest(
            pack=options["pack"] or "qsr",
            test=options["tests"],
            conversations=options["conversations"],
            store=Path(store),
            environ=os.environ,
            robustness=options["robustness"],
            seed=options["seed"],
        )
        return measure_pack(request, progress)


def _show(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=1, allow_nan=False))
        return
    from evals.routing.words import result_lines

    for line in result_lines(found):
        click.echo(line)
