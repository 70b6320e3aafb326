"""`assay rounds`: two builds that were loaded turn and turn about."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from evals.errors import EvidenceError, UsageError

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("candidate", type=FOLDER, nargs=-1, required=True)
@click.option("--against", type=FOLDER, multiple=True, required=True, help="Runs of the other build, as many. Repeatable.")
@click.option(
    "--metric", "metrics", multiple=True, help="A time to compare. Repeatable.  [default: p95 of answers and first words]"
)
@click.option(
    "--margin", type=click.FloatRange(min=0), default=0.1, show_default=True, help="How much slower it may be, as a share."
)
@click.option("--json", "as_json", is_flag=True)
def rounds(candidate: tuple[Path, ...], against: tuple[Path, ...], metrics: tuple[str, ...], margin: float, as_json: bool) -> int:
    """Judge a build's load runs against those of another that were played between them.

    CANDIDATE and --against are run folders, or folders of them. One run of each after the other, five pairs or so: what the machine does
    besides strikes both, and the ratio of the pairs decides where a single record against another cannot.

    \b
    Example:
      for n in 1 2 3 4 5; do (cd ../old && assay load smoke --out runs/old/$n); assay load smoke --out runs/new/$n; done
      assay rounds runs/new --against ../old/runs/old
    """
    from reports.gates.verdict import EXIT_CODES
    from reports.records import BrokenRecord, RecordError
    from reports.rounds import METRICS, RoundsError, compare_rounds, read_rounds, word_of

    try:
        results = compare_rounds(read_rounds(candidate), read_rounds(against), metrics=metrics or METRICS, margin=margin)
    except BrokenRecord as error:
        raise EvidenceError(str(error)) from error
    except (RecordError, RoundsError) as error:
        raise UsageError(str(error)) from error
    word = word_of(results)
    if as_json:
        click.echo(json.dumps({"word": word, "margin": margin, "metrics": [asdict(one) for one in results]}, indent=1))
        return EXIT_CODES[word]
    for result in results:
        click.echo(f"{result.word:<12} {result.metric}: {result.sentence}")
    click.echo(f"{word}; exit {EXIT_CODES[word]}")
    return EXIT_CODES[word]
