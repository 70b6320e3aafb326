"""Entry of the `assay` command: lazy sub-commands, one sentence and one exit code per error."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
import tempfile
import traceback
from pathlib import Path

import click

INTERRUPTED = 130
USAGE = 4
BROKEN = 3
COMMANDS = {
    "release": "evals.cli.release:release",
    "nightly": "evals.cli.nightly:nightly",
    "eval": "evals.cli.eval:evaluate",
    "score": "evals.cli.score:score",
    "plan": "evals.cli.plan:plan",
    "routing": "evals.cli.routing:routing",
    "load": "evals.cli.load:load",
    "overhead": "evals.cli.overhead:overhead",
    "capacity": "evals.cli.capacity:capacity",
    "gate": "evals.cli.gate:gate",
    "rounds": "evals.cli.rounds:rounds",
    "report": "evals.cli.gate:report",
    "compare": "evals.cli.compare:compare",
    "drift": "evals.cli.drift:drift",
    "ops": "evals.cli.ops:ops",
    "promote": "evals.cli.history:promote",
    "history": "evals.cli.history:history",
    "track": "evals.cli.track:track",
    "export": "evals.cli.export:export",
    "contract": "evals.cli.contract:contract",
    "judge": "evals.cli.judge:judge",
    "cards": "evals.cli.cards:cards",
    "serve": "evals.cli.serve:serve",
    "chat": "evals.cli.serve:chat",
    "mock-model": "evals.cli.serve:mock_model",
    "doctor": "evals.cli.serve:doctor",
    "selftest": "evals.cli.selftest:selftest",
    "setup": "evals.cli.serve:setup",
    "ui": "evals.cli.gate:ui",
}


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for, so that `assay --help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean `assay {near[0]}`?" if near else f"commands: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="assay")
def assay() -> None:
    """Says, with statistics it can defend, whether this build of your assistant may ship.

    Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 invalid, 4 usage, 130 interrupted.

    \b
    Example:
      assay release --tier pr
    """


def main() -> None:
    """Run the command line and exit. No traceback reaches the user: an unexpected error is written to a file that is named."""
    # pydantic-ai leaves the stream of a cancelled request open; asyncio closes it at the end of the loop and logs a traceback of that.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    # What the assistant logs while it is measured is in its events; only `serve` shows its log.
    logging.getLogger("assistant").addHandler(logging.NullHandler())
    # One decision multiplies small matrices: waking other cores for that costs more than it gains, ten times more on a busy machine.
    if sys.argv[1:2] != ["setup"]:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        result = assay.main(standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except (click.Abort, KeyboardInterrupt, asyncio.CancelledError):
        click.echo("\ninterrupted; what was finished is kept", err=True)
        code = INTERRUPTED
    except click.ClickException as error:
        click.echo(f"assay: {error.format_message()}", err=True)
        code = USAGE
    except BrokenPipeError:
        code = 0
    except Exception as error:  # noqa: BLE001  the edge of the program
        code = _explain(error)
    sys.exit(code)


def _explain(error: Exception) -> int:
    """Print an error's sentence and give its exit code; write the trace of an unexpected one to a file."""
    from assistant.errors import AssistantError
    from evals.errors import AssayError
    from loadtests.samples import SampleError
    from loadtests.script import ScriptError
    from loadtests.traffic import TrafficError
    from reports.drift import DriftError
    from reports.gates.policy import PolicyError
    from reports.gates.verdict import VerdictError
    from reports.history import HistoryError
    from reports.records import BrokenRecord, RecordError

    if isinstance(error, AssayError):
        click.echo(f"assay: {error}", err=True)
        return error.exit_code
    if isinstance(error, BrokenRecord):
        click.echo(f"assay: {error}", err=True)
        return BROKEN
    faulty_file = (
        AssistantError
        | DriftError
        | PolicyError
        | RecordError
        | VerdictError
        | HistoryError
        | TrafficError
        | ScriptError
        | SampleError
    )
    if isinstance(error, faulty_file):
        click.echo(f"assay: {error}", err=True)
        return USAGE
    with tempfile.NamedTemporaryFile("w", prefix="assay-error-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    click.echo(f"assay: internal error ({type(error).__name__}: {error}); details are in {Path(file.name)}", err=True)
    return BROKEN


if __name__ == "__main__":
    main()
