"""Says of every setting what it is and whether it works, with a remedy where it does not. Changes nothing and asks no network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from sqlalchemy import make_url

from assistant.encoder.weights import EncoderError, locate
from assistant.pack import Pack, PackError
from assistant.packs import shipped_packs
from assistant.routing.stored import ModelError, read_model
from assistant.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`value` has its secrets masked. `remedy` is empty when the state is `ok`."""

    setting: str
    value: str
    state: Literal["ok", "missing"]
    remedy: str = ""


def diagnose(settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    """One finding per setting and per shipped pack, in a fixed order."""
    return [
        *_models(settings),
        _folder("ASSAY_STATE_DIR", settings.data_dir),
        _folder("ASSAY_CACHE_DIR", settings.cache_dir),
        _database(settings.database_url),
        _encoder(settings.encoder),
        *_router(settings.router),
        Finding(setting="ASSAY_OLLAMA_BASE_URL", value=settings.ollama_base_url, state="ok"),
        *_unknown(environ),
        *_packs(),
    ]


def _models(settings: Settings) -> Iterator[Finding]:
    chosen = {"ASSAY_MODEL": settings.model}
    chosen |= {f"ASSAY_MODEL_{agent.upper()}": name for agent, name in settings.agent_models.items()}
    chosen |= {"ASSAY_ROUTER_MODEL": settings.router_model} if settings.router_model else {}
    for setting, name in chosen.items():
        yield Finding(setting=setting, value=name, state="ok")
    yield Finding(setting="ASSAY_OPENAI_BASE_URL", value=settings.openai_base_url or "(OpenAI's own)", state="ok")
    wanted = any("openai" in name for name in chosen.values()) and settings.openai_base_url is None
    given = settings.openai_api_key is not None
    yield Finding(
        setting="ASSAY_OPENAI_API_KEY",
        value="(set, hidden)" if given else "(not set)",
        state="missing" if wanted and not given else "ok",
        remedy="set ASSAY_OPENAI_API_KEY, or ASSAY_OPENAI_BASE_URL for a server that needs no key"
        if wanted and not given
        else "",
    )


def _folder(setting: str, folder: Path) -> Finding:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return Finding(setting=setting, value=str(folder), state="ok")
    return Finding(setting=setting, value=str(folder), state="missing", remedy=f"set {setting} to a folder that can be written")


def _database(url: str) -> Finding:
    parsed = make_url(url)
    driver = "sqlite3" if parsed.get_backend_name() == "sqlite" else parsed.get_driver_name()
    shown = parsed.render_as_string(hide_password=True)
    if find_spec(driver) is None:
        return Finding(setting="ASSAY_DATABASE_URL", value=shown, state="missing", remedy=f"install the driver {driver}")
    return Finding(setting="ASSAY_DATABASE_URL", value=shown, state="ok")


def _encoder(path: Path | None) -> Finding:
    try:
        files = locate(path)
    except EncoderError as error:
        return Finding(setting="ASSAY_ENCODER", value=str(path or "(installed)"), state="missing", remedy=str(error))
    return Finding(setting="ASSAY_ENCODER", value=str(files.folder), state="ok")


def _router(folder: Path | None) -> Iterator[Finding]:
    if folder is None:
        return
    try:
        _, card = read_model(folder)
    except ModelError as error:
        yield Finding(setting="ASSAY_ROUTER", value=str(folder), state="missing", remedy=str(error))
    else:
        yield Finding(setting="ASSAY_ROUTER", value=f"{folder}, trained on {card.data}", state="ok")


KNOWN = frozenset(
    f"ASSAY_{name}"
    for name in (
        "MODEL",
        "STATE_DIR",
        "CACHE_DIR",
        "DATABASE_URL",
        "ENCODER",
        "OLLAMA_BASE_URL",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "MAX_OUTPUT_TOKENS",
        "REQUEST_TIMEOUT_S",
        "ROUTER",
        "ROUTER_MODEL",
        "ROUTER_UNSURE_BELOW",
        "ROUTER_TIMEOUT_S",
        "NOW",
        "JUDGE",
        "USER_MODEL",
        "LOAD_TOKEN",
        "WEBHOOK_URL",
        "DATA_DIR",
    )
)


def _unknown(environ: Mapping[str, str]) -> Iterator[Finding]:
    """A misspelt setting is silently without effect otherwise."""
    agents = {f"ASSAY_MODEL_{name.upper()}" for name in _agents()}
    for name in sorted(environ):
        if name.startswith("ASSAY_MODEL_") and name not in agents:
            remedy = f"no shipped pack has this agent; agents: {', '.join(sorted(_agents()))}"
            yield Finding(setting=name, value=environ[name], state="missing", remedy=remedy)
        elif name.startswith("ASSAY_") and name not in KNOWN and name not in agents:
            yield Finding(setting=name, value="(set)", state="missing", remedy="this name has no effect; check its spelling")


def _agents() -> set[str]:
    names: set[str] = set()
    for folder in shipped_packs().values():
        try:
            names |= set(Pack.load(folder).agents)
        except PackError:
            continue
    return names


def _packs() -> Iterator[Finding]:
    for name, folder in shipped_packs().items():
        try:
            pack = Pack.load(folder)
        except PackError as error:
            yield Finding(setting=f"pack {name}", value="unusable", state="missing", remedy="; ".join(map(str, error.faults)))
        else:
            yield Finding(setting=f"pack {name}", value=f"{pack.title}, {len(pack.agents)} agents", state="ok")
