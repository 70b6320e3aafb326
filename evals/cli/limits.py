"""Options that bound what a run of cards may spend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from evals.budget import Budget


def budget_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--max-tokens`, `--max-seconds` and `--max-cost`."""
    for option in (
        click.option(
            "--max-cost", type=click.FloatRange(0, min_open=True), help="US dollars of the cards; then the rest is not run."
        ),
        click.option(
            "--max-seconds", type=click.FloatRange(0, min_open=True), help="Seconds of the cards; then the rest is not run."
        ),
        click.option("--max-tokens", type=click.IntRange(1), help="Tokens of the cards, in and out; then the rest is not run."),
    ):
        command = option(command)
    return command


def budget_of(options: Mapping[str, Any]) -> Budget:
    return Budget(tokens=options["max_tokens"], seconds=options["max_seconds"], cost_usd=options["max_cost"])
