"""`assay serve`, `chat`, `mock-model`, `doctor` and `setup`: the assistant itself."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evals.errors import UsageError

if TYPE_CHECKING:
    from assistant.settings import Settings


@click.command()
@click.option("--pack", default="qsr", show_default=True)
@click.option("--model", help="Model string; overrides ASSAY_MODEL.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
@click.option("--sandboxes", is_flag=True, help="Offer sandboxes to tests (loopback only).")
def serve(pack: str, model: str | None, host: str, port: int, sandboxes: bool) -> None:
    """Serve the assistant over HTTP and SSE.

    \b
    Example:
      assay serve --port 8080
    """
    from assistant.settings import Settings

    if sandboxes and host not in {"127.0.0.1", "::1", "localhost"}:
        raise UsageError(f"--sandboxes: only on loopback, not on {host}; leave --host away")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings.from_environ(os.environ)
    if model:
        settings = replace(settings, model=model)
    asyncio.run(_serve(settings, pack, sandboxes=sandboxes, listener=_bind(host, port)))


async def _serve(settings: Settings, pack: str, *, sandboxes: bool, listener: socket.socket) -> None:
    """Opens the assistant before the server starts, so that what is wrong is one sentence instead of a server's trace."""
    import uvicorn

    from assistant.build import open_assistant
    from assistant.server.app import application

    async with open_assistant(settings, pack=pack, sandboxes=sandboxes) as assistant:
        app = application()
        app.state.assistant = assistant
        host, port = listener.getsockname()[:2]
        click.echo(f"serving {pack} with {settings.model} on http://{host}:{port} (Ctrl-C stops)", err=True)
        await uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).serve(sockets=[listener])


@click.command()
@click.option("--pack", default="qsr", show_default=True)
@click.option("--model", help="Model string; overrides ASSAY_MODEL.")
@click.option("--thread", help="Continue a conversation by its id.")
def chat(pack: str, model: str | None, thread: str | None) -> None:
    """Talk to the assistant in this terminal.

    \b
    Example:
      assay chat
    """
    from rich.console import Console

    from assistant.build import open_assistant
    from assistant.chat import ask_at
    from assistant.chat import chat as run_chat
    from assistant.settings import Settings

    settings = Settings.from_environ(os.environ)
    if model:
        settings = replace(settings, model=model)

    console = Console()

    async def talk() -> None:
        async with open_assistant(settings, pack=pack) as assistant:
            await run_chat(assistant, console, ask=ask_at(console, sys.stdin.fileno()), thread_id=thread)

    asyncio.run(talk())


@click.command("mock-model")
@click.option("--port", default=8099, show_default=True, type=click.IntRange(1, 65535))
@click.option("--ttft-ms", default=300.0, show_default=True)
@click.option("--gap-ms", default=20.0, show_default=True)
@click.option("--tokens", default=60, show_default=True)
@click.option("--error-rate", default=0.0, show_default=True, type=click.FloatRange(0, 1))
@click.option("--seed", default=1, show_default=True)
@click.option("--faults", type=click.Path(path_type=Path), help="A file by which faults come and go; see docs/load.md.")
def mock_model(port: int, seed: int, faults: Path | None, **options: Any) -> None:
    """Serve a stand-in for an OpenAI-compatible model with known delays.

    A request for a model named NAME+20ms waits 20 ms longer for its first word.

    \b
    Example:
      assay mock-model --ttft-ms 300 --gap-ms 20 --tokens 60
    """
    import uvicorn

    from assistant.models.mock_server import MockProfile, create_mock_app
    from assistant.models.planted import PlantedFaults

    profile = MockProfile(
        ttft_s=options["ttft_ms"] / 1000,
        gap_s=options["gap_ms"] / 1000,
        content="lorem",
        lorem_tokens=options["tokens"],
        server_error_rate=options["error_rate"],
        seed=seed,
    )
    listener = _bind("127.0.0.1", port)
    click.echo(f"mock model on http://127.0.0.1:{port}/v1 (Ctrl-C stops)", err=True)
    app = create_mock_app(profile, faults=None if faults is None else PlantedFaults(faults))
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


@click.command()
@click.option("--json", "as_json", is_flag=True)
def doctor(as_json: bool) -> None:
    """Show effective settings, models, encoder, stores, and what is missing.

    \b
    Example:
      assay doctor
    """
    from assistant.doctor import diagnose
    from assistant.settings import Settings

    rows = diagnose(Settings.from_environ(os.environ), os.environ)
    if as_json:
        click.echo(json.dumps([vars(row) for row in rows], indent=1, default=str))
        return
    for row in rows:
        click.echo(f"{row.state:<8} {row.setting:<24} {row.value}" + (f"  -> {row.remedy}" if row.remedy else ""))


@click.command()
@click.option("--pack", default="qsr", show_default=True)
def setup(pack: str) -> None:
    """Build the encoder's graph and train the pack's router, so that nothing is left to do at run time.

    \b
    Example:
      assay setup
    """
    from assistant.encoder import SentenceEncoder
    from assistant.knowledge import Library
    from assistant.routing import Router
    from evals.targets.inprocess import pack_facts

    facts = pack_facts(pack, os.environ)
    encoder = SentenceEncoder.load(facts.encoder, cache_dir=facts.cache_dir)
    Router.load(facts.folder, encoder, facts.cache_dir)
    Library.load(facts.folder / "knowledge", encoder, facts.cache_dir)
    click.echo(f"ready: encoder, router and knowledge of {pack} are in {facts.cache_dir}")


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `UsageError` when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} is in use; stop what listens there or choose another --port") from error
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --host or --port") from error
    listener.listen(512)
    return listener
