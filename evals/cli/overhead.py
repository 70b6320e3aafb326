"""`assay overhead`: what the assistant adds to its model's time."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evals.catalog import load_cards
from evals.cli.progress import progress_report
from evals.errors import UsageError

if TYPE_CHECKING:
    from evals.overhead import Added, Overhead

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 2, "invalid": 3}
HEAD = "| compared | rounds kept x turns | added ms | 95 % interval | by spans ms | spans against rounds |\n|---|---|---|---|---|---|"


@click.command()
@click.option("--pack", default="qsr", show_default=True)
@click.option("--rounds", default=20, show_default=True, type=click.IntRange(2, 1000))
@click.option(
    "--turns", default=5, show_default=True, type=click.IntRange(1, 1000), help="Turns of a round, of which the median counts."
)
@click.option("--message", help="What every turn says; default: of the first card with one turn that cites a passage.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Keep overhead.json and the logs in this folder.")
@click.option("--json", "as_json", is_flag=True)
def overhead(pack: str, message: str | None, out: Path | None, as_json: bool, **options: Any) -> int:
    """Measure what the assistant adds to its model's time, without guessing.

    A model server of known delays is asked directly and through the assistant in interleaved rounds; the same server 20 ms slower is the
    known answer. Exit code 1 when the assistant's own spans differ from the rounds by more than 10 %, 2 when too few rounds
    were played to say so, 3 when the known answer was missed.

    \b
    Example:
      assay overhead --rounds 20 --out runs/overhead
    """
    from evals.overhead import OverheadRun, measure_overhead

    said = message or _message(pack)
    with _folder(out) as folder, progress_report() as progress:
        run = OverheadRun(pack=pack, message=said, folder=folder, environ=os.environ, **options)
        found = measure_overhead(run, lambda number: progress("overhead", number, run.rounds))
        row = {**found.as_row(), **_origin(run.rounds, run.turns, said)}
        (folder / "overhead.json").write_text(json.dumps(row, indent=1), encoding="utf-8")
    click.echo(json.dumps(row, indent=1) if as_json else table(found, options["turns"], known_ms=run.known_s * 1000))
    return EXIT_CODES[found.word]


def table(found: Overhead, turns: int, *, known_ms: float) -> str:
    """The comparisons, a row each, and what is wrong with them."""
    rows = [
        _row(f"the model {known_ms:g} ms slower", found.known, turns),
        _row("through the assistant", found.through, turns),
    ]
    told = [] if found.word == "pass" else [f"{found.word}: {found.reason}"]
    return "\n".join([f"load average {found.load_average:.1f}", HEAD, *rows, *told])


def _row(name: str, one: Added, turns: int) -> str:
    added = one.added_s
    spans, apart = one.by_spans_s, one.disagreement
    shown = [
        name,
        f"{added.n} of {added.planned} x {turns}",
        _ms(added.value),
        f"{_ms(added.low)} to {_ms(added.high)}",
        _ms(spans),
        "–" if apart is None else f"{apart:+.0%}",
    ]
    return f"| {' | '.join(shown)} |"


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.1f}"


def _message(pack: str) -> str:
    for card in load_cards(Path("datasets") / pack / "scenarios"):
        turns = card.reference.turns
        if len(turns) == 1 and turns[0].cite and not card.faults and card.goal is None:
            return card.turns[0].user
    raise UsageError(f"--message: no card of pack {pack} cites a passage in its only turn; say what every turn is to say")


def _origin(rounds: int, turns: int, message: str) -> dict[str, Any]:
    """Where the figures come from."""
    from reports.provenance import Origin, collect_provenance

    load = {"rounds": str(rounds), "turns": str(turns)}
    provenance = collect_provenance(Path.cwd(), Origin(model="mock-model", load=load))
    return {"message": message, "provenance": asdict(provenance)}


@contextmanager
def _folder(out: Path | None) -> Generator[Path]:
    folder = out or Path(tempfile.mkdtemp(prefix="assay-overhead-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
