"""Load from several hosts: what `assay load --master` and `assay load --join` take from the command line."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from evals.errors import TargetError, UsageError
from loadtests.links import LEAST_TOKEN, TOKEN_VARIABLE

if TYPE_CHECKING:
    from loadtests.fleet import Gathering


def gathering_of(target: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Gathering | None:
    """Where hosts join; null without `--master`. Raises `UsageError`."""
    from loadtests.fleet import Gathering

    if not options["master"]:
        if options["expect"]:
            raise UsageError("--expect: says how many hosts join a master; give --master HOST:PORT as well")
        return None
    if not options["expect"]:
        raise UsageError("--master: how many hosts are to join is not said; give --expect N")
    if options["web_port"]:
        raise UsageError(
            "--web-ui: shows the generator of this host, and with --master there is none here; leave one of the two away"
        )
    host, port = _address(options["master"], "--master")
    if target == "inprocess" and not _loopback(host):
        raise UsageError(
            "--master: a server started here listens on loopback alone, where other hosts do not reach it; "
            "serve the assistant yourself and give --target http://…"
        )
    return Gathering(
        host=host,
        port=port,
        expect=options["expect"],
        per_host=options["workers"] or 1,
        token=_token(environ),
        told=lambda sentence: click.echo(sentence, err=True),
    )


def join_master(address: str, environ: Mapping[str, str]) -> int:
    """Generate load for a master, once. Gives the exit code. Raises `UsageError` and `TargetError`."""
    from loadtests.joining import join
    from loadtests.processes import LoadError

    host, port = _address(address, "--join")
    try:
        reason = join(host, port, token=_token(environ), told=lambda sentence: click.echo(sentence, err=True))
    except LoadError as error:
        raise TargetError(str(error)) from error
    if reason:
        click.echo(f"invalid: {reason}")
    return 3 if reason else 0


def _address(text: str, option: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(f"{option} {text!r}: is no HOST:PORT; give for example {option} 10.0.0.5:7070")
    return host.strip("[]"), int(port)


def _token(environ: Mapping[str, str]) -> str:
    token = environ.get(TOKEN_VARIABLE, "")
    if len(token) < LEAST_TOKEN:
        raise UsageError(
            f"{TOKEN_VARIABLE}: {'is not set' if not token else 'is too short'}; give all hosts the same secret of "
            f"{LEAST_TOKEN} characters or more"
        )
    return token


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
