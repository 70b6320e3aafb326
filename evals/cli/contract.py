"""`assay contract`: an HTTP API against its own document."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from evals.contract import Contract, check_contract, read_expected
from evals.errors import EvidenceError, UsageError
from evals.probe import Manner

_FAULTS = frozenset({"partial", "missing", "shadowed", "undocumented_status", "undocumented_route"})


@click.command("contract")
@click.argument("url")
@click.option(
    "--expected", type=click.Path(path_type=Path, dir_okay=False), help="Routes that must exist: METHOD /path, one a line."
)
@click.option("--document", default="/openapi.json", show_default=True, help="Path of the OpenAPI document.")
@click.option("--examples", is_flag=True, help="Also send POST, PUT and PATCH whose body has a declared example.")
@click.option("--unsafe", is_flag=True, help="Also send what may change or delete something.")
@click.option("--token-env", metavar="NAME", help="Environment variable with a bearer token.")
@click.option("--timeout-s", default=10.0, show_default=True, type=click.FloatRange(0.1, 600))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the slots to this JSON file.")
@click.option("--json", "as_json", is_flag=True)
def contract(url: str, expected: Path | None, out: Path | None, as_json: bool, **options: Any) -> int:
    """Try every documented and expected route of an HTTP API; exits 1 when one is not as promised.

    \b
    Example:
      assay contract http://127.0.0.1:8080 --expected routes.txt
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise UsageError(f"{url if not parts.username else 'the address'}: give http(s)://host:port without a user or password")
    token = options["token_env"]
    if token is not None and not os.environ.get(token):
        raise UsageError(f"--token-env {token}: no such environment variable is set")
    manner = Manner(
        document_path=options["document"],
        examples=options["examples"],
        unsafe=options["unsafe"],
        token=os.environ[token] if token else None,
        timeout_s=options["timeout_s"],
    )
    found = asyncio.run(check_contract(url, read_expected(expected) if expected else [], manner))
    if out is not None:
        _write(out, found)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
    else:
        _show(found)
    if any(slot.state in _FAULTS for slot in found.slots):
        return 1
    return 0 if any(slot.state == "working" for slot in found.slots) else 3


def _show(found: Contract) -> None:
    for slot in found.slots:
        if slot.state != "working":
            click.echo(f"{slot.state:<20} {slot.method:<7} {slot.path:<40} {slot.reason}")
    counts = ", ".join(f"{number} {state}" for state, number in found.slot_counts.items())
    click.echo(f"{found.slot_counts.get('working', 0)} / {found.planned} planned routes work as documented ({counts})")


def _write(path: Path, found: Contract) -> None:
    try:
        path.write_text(json.dumps(asdict(found), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise EvidenceError(f"--out {path}: cannot be written: {error.strerror}; choose another") from error
