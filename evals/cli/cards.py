"""`assay cards`: list, check and start scenario cards."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from evals.cards import card_schema
from evals.catalog import load_cards
from evals.cli.importing import from_feedback, import_cards
from evals.cli.stats import stats
from evals.errors import UsageError
from evals.importing.drafts import draft_faults
from evals.judging.rubrics import read_rubrics, rubric_faults
from evals.selfcheck import card_faults
from evals.targets.inprocess import pack_facts

_DATASETS = Path("datasets")


@click.group()
def cards() -> None:
    """List, validate and create scenario cards.

    \b
    Example:
      assay cards validate --pack qsr
    """


@cards.command("list")
@click.option("--pack", default="qsr", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def list_cards(pack: str, as_json: bool) -> None:
    """List a pack's cards.

    \b
    Example:
      assay cards list --pack qsr
    """
    found = load_cards(_DATASETS / pack / "scenarios")
    rows = [
        {"id": c.id, "area": c.area, "severity": c.severity, "turns": len(c.turns), "requires": c.requires, "title": c.title}
        for c in found
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        click.echo(f"{row['area']:<12} {row['severity']:<9} {row['id']:<44} {row['title']}")
    click.echo(f"{len(rows)} cards")


@cards.command()
@click.option("--pack", default="qsr", show_default=True)
def validate(pack: str) -> None:
    """Check every card: fields, names of the pack, reference passes, sabotage is caught.

    \b
    Example:
      assay cards validate --pack qsr
    """
    found = load_cards(_DATASETS / pack / "scenarios")
    faults = card_faults(found, pack_facts(pack, os.environ), datetime.now(UTC).date())
    faults += rubric_faults(found, read_rubrics(_DATASETS / pack / "judge" / "rubrics"))
    if faults:
        raise UsageError("\n".join(faults))
    _show_drafts(_DATASETS / pack / "drafts")
    llm = sum(card.requires == "llm" for card in found)
    click.echo(f"{len(found)} cards are valid; each reference passes and each sabotage is caught ({llm} need a language model)")


@cards.command()
@click.argument("card_id")
@click.option("--area", required=True)
@click.option("--pack", default="qsr", show_default=True)
def new(card_id: str, area: str, pack: str) -> None:
    """Write a first version of a card that validates.

    \b
    Example:
      assay cards new fryer-wont-light --area equipment
    """
    path = _DATASETS / pack / "scenarios" / area / f"{card_id}.yaml"
    if path.exists():
        raise UsageError(f"{path}: exists already; choose another id")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_TEMPLATE.format(id=card_id, area=area), encoding="utf-8")
    click.echo(f"wrote {path}; edit it, then run `assay cards validate --pack {pack}`")


@cards.command()
def schema() -> None:
    """Print the JSON schema of a card.

    \b
    Example:
      assay cards schema > datasets/card.schema.json
    """
    click.echo(json.dumps(card_schema(), indent=1, sort_keys=True))


cards.add_command(import_cards)
cards.add_command(from_feedback)
cards.add_command(stats)


def _show_drafts(folder: Path) -> None:
    """Drafts are named with what they lack; they are no fault of the suite."""
    for path, faults in draft_faults(folder).items():
        click.echo(f"draft {path}: {'; '.join(faults) or 'complete; move it among the scenarios'}")


_TEMPLATE = """\
# yaml-language-server: $schema=../../../card.schema.json
id: {id}
title: One line that says what must go right
area: {area}
severity: major
turns:
  - user: What the user says
    expect:
      agent: safety
      say: ["a phrase the answer must contain"]
reference:
  turns:
    - agent: safety
      text: An answer with a phrase the answer must contain.
sabotage:
  fails: say
  turns:
    1: {{agent: safety, text: An answer without it.}}
"""
