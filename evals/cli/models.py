"""Models a run uses beside the assistant: the judge and the simulated user, named by any model string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from evals.errors import UsageError
from evals.judging.asking import Judge
from evals.simulation.users import ModelUser, SimulatedUser
from reports.records import Estimate

if TYPE_CHECKING:
    from pydantic_ai.models import Model

judge_option = click.option(
    "--judge",
    envvar="ASSAY_JUDGE",
    metavar="MODEL",
    help="Judge answers with this model, such as ollama:llama3.2; advisory until calibrated.",
)
user_option = click.option(
    "--user-model",
    envvar="ASSAY_USER_MODEL",
    metavar="MODEL",
    help="Let this model play the user of goal cards; default: the script of each card.",
)
_NO_THINKERS = {"embedded", "paced"}
"""Models without language of their own: they can neither judge an answer nor pursue a goal."""


def judge_of(name: str | None, environ: Mapping[str, str]) -> Judge | None:
    """Raises `UsageError` for a model that cannot judge and what `resolve_model` raises."""
    return Judge(name=name, model=_resolve("--judge", name, environ)) if name else None


def user_of(name: str | None, environ: Mapping[str, str]) -> SimulatedUser:
    """The scripts of the cards when no model is named. Raises as `judge_of`."""
    return ModelUser(name, _resolve("--user-model", name, environ)) if name else SimulatedUser()


def judged_lines(table: Mapping[str, Any] | None, metrics: Mapping[str, Estimate | None]) -> list[str]:
    """What a judge said, a line per rubric: raw rate, corrected rate, and why it only advises."""
    from reports.format import share

    lines: list[str] = []
    for row in table["rubrics"] if table else []:
        stem = f"judge.{row['check'].removeprefix('judge:')}"
        raw, corrected = metrics.get(f"{stem}.pass_rate"), metrics.get(f"{stem}.corrected_pass_rate")
        if raw is None:
            continue
        seen = f"{row['check']}@{row['version']}: {raw.k} / {raw.n} judged pass ({raw.planned} planned)"
        if corrected is None or corrected.value is None:
            why = row["doubt"] or "its wordings or thresholds differ between cards"
            lines.append(f"{seen}; corrected: unknown, {'advisory: ' if row['advisory'] else ''}{why}")
        else:
            low, high = corrected.low or 0.0, 1.0 if corrected.high is None else corrected.high
            lines.append(f"{seen}; corrected: {share(corrected.value)} ({share(low)} to {share(high)})")
    return lines


def _resolve(option: str, name: str, environ: Mapping[str, str]) -> Model:
    from assistant.models.names import resolve_model
    from assistant.settings import Settings

    if name.partition(":")[0].strip() in _NO_THINKERS:
        raise UsageError(f"{option} {name}: has no language of its own; name a language model, such as ollama:llama3.2")
    return resolve_model(name, encoder=_NoEncoder(), settings=Settings.from_environ(environ))


class _NoEncoder:
    """Stands where only the embedded model would encode."""

    def encode(self, text: str) -> Any:
        raise UsageError(f"no sentence encoder is loaded for {text[:20]!r}")
