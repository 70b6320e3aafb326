"""Target SPECs, as written on the command line, to targets that can be played."""

from __future__ import annotations

import difflib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from evals.errors import UsageError
from evals.targets import scripted
from evals.targets.callable import CallableTarget, load_callable
from evals.targets.http import HttpTarget
from evals.targets.replay import open_replay
from evals.targets.target import Target

CARD_CLOCK = datetime.fromisoformat("2026-06-15T10:00:00+00:00")
"""The moment at which every card of the shipped packs is played, so that due dates and expiries in fixtures stay true."""

_KINDS = ("inprocess", "http", "https", "openai", "agent", "python", "replay", "scripted")


@dataclass(frozen=True, kw_only=True)
class TargetSpec:
    """`kind` and what follows its colon. `ours` targets speak the wire contract, so routing and load can be measured on them."""

    kind: str
    rest: str

    @property
    def text(self) -> str:
        return f"{self.kind}:{self.rest}" if self.rest else self.kind

    @property
    def ours(self) -> bool:
        return self.kind in {"inprocess", "http", "https"}


def parse_target(text: str) -> TargetSpec:
    """Raises `UsageError` with the nearest known kind."""
    kind, _, rest = text.partition(":")
    if kind not in _KINDS:
        near = difflib.get_close_matches(kind, _KINDS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known kinds: {', '.join(_KINDS)}"
        raise UsageError(f"--target {text!r}: no such kind of target; {hint}")
    if kind != "inprocess" and not rest:
        raise UsageError(f"--target {text!r}: names nothing after the colon")
    return TargetSpec(kind=kind, rest=rest)


@asynccontextmanager
async def open_target(spec: TargetSpec, *, pack: str, environ: Mapping[str, str], store: Path) -> AsyncGenerator[Target]:
    """Open the target; `store` is an empty folder for what an in-process assistant keeps. Raises `UsageError` or `TargetError`."""
    if spec.kind in {"http", "https"}:
        async with HttpTarget(spec.text, pack=pack) as target:
            yield target
    elif spec.kind == "python":
        yield CallableTarget(load_callable(spec.rest))
    elif spec.kind == "scripted":
        yield scripted.from_file(Path(spec.rest))
    elif spec.kind == "replay":
        yield open_replay(spec.rest)
    elif spec.kind == "agent":
        from evals.targets.agent import AgentTarget, load_agent

        yield AgentTarget(load_agent(spec.rest))
    elif spec.kind == "openai":
        from evals.targets.openai import parse_endpoint

        async with parse_endpoint(spec.rest, environ) as target:
            yield target
    else:
        from evals.targets.inprocess import InProcessTarget

        async with InProcessTarget(private_environ(environ, store), pack=pack, now=CARD_CLOCK) as target:
            yield target


def private_environ(environ: Mapping[str, str], store: Path) -> dict[str, str]:
    """The environment with an assistant's own store: a measurement never touches the user's data."""
    kept = {name: value for name, value in environ.items() if name != "ASSAY_DATABASE_URL"}
    return {**kept, "ASSAY_STATE_DIR": str(store.resolve()), "ASSAY_NOW": CARD_CLOCK.isoformat()}
