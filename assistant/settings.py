"""Everything an operator may set, read once from an environment that is handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit

from assistant.errors import SettingsError

Parsed = TypeVar("Parsed")

AGENT_MODEL_PREFIX = "ASSAY_MODEL_"
DATABASE_SCHEMES = ("sqlite", "sqlite+aiosqlite", "postgresql+psycopg")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Effective settings. `agent_models` maps an agent's name in lower case to its own model string.

    `fixed_now` replaces the clock that tools see. `openai_api_key` never appears in a repr. `router` is a model folder of `assay routing train`
    that serves instead of the pack's own router. `router_model` is asked where the router is unsure: where the probability of its choice is
    below `router_unsure_below` (default: the pack's).
    """

    model: str = "embedded"
    agent_models: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(dict[str, str]()))
    data_dir: Path
    cache_dir: Path
    database_url: str = field(repr=False)
    encoder: Path | None = None
    ollama_base_url: str = "http://127.0.0.1:11434"
    openai_base_url: str | None = None
    openai_api_key: str | None = field(default=None, repr=False)
    max_output_tokens: int = 1024
    request_timeout_s: float = 60.0
    router: Path | None = None
    router_model: str | None = None
    router_unsure_below: float | None = None
    router_timeout_s: float = 5.0
    fixed_now: datetime | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read `ASSAY_*`. Raises `SettingsError` with a sentence for every unusable value."""
        reader = _Reader(environ=environ, faults=[])
        data_dir = reader.folder("ASSAY_STATE_DIR", _xdg(environ, "XDG_DATA_HOME", ".local/share"))
        cache_dir = reader.folder("ASSAY_CACHE_DIR", _xdg(environ, "XDG_CACHE_HOME", ".cache"))
        settings = cls(
            model=reader.text("ASSAY_MODEL") or "embedded",
            agent_models=MappingProxyType(reader.agent_models()),
            data_dir=data_dir,
            cache_dir=cache_dir,
            database_url=reader.parsed("ASSAY_DATABASE_URL", _database_url) or f"sqlite:///{data_dir}/assay.db",
            encoder=reader.parsed("ASSAY_ENCODER", _existing_path),
            ollama_base_url=reader.parsed("ASSAY_OLLAMA_BASE_URL", _http_url) or cls.ollama_base_url,
            openai_base_url=reader.parsed("ASSAY_OPENAI_BASE_URL", _http_url),
            openai_api_key=reader.text("ASSAY_OPENAI_API_KEY") or reader.text("OPENAI_API_KEY"),
            max_output_tokens=reader.parsed("ASSAY_MAX_OUTPUT_TOKENS", _tokens) or cls.max_output_tokens,
            request_timeout_s=reader.parsed("ASSAY_REQUEST_TIMEOUT_S", _seconds) or cls.request_timeout_s,
            router=reader.parsed("ASSAY_ROUTER", _model_folder),
            router_model=reader.text("ASSAY_ROUTER_MODEL"),
            router_unsure_below=reader.parsed("ASSAY_ROUTER_UNSURE_BELOW", _probability),
            router_timeout_s=reader.parsed("ASSAY_ROUTER_TIMEOUT_S", _seconds) or cls.router_timeout_s,
            fixed_now=reader.parsed("ASSAY_NOW", _moment),
        )
        if reader.faults:
            raise SettingsError(reader.faults)
        return settings

    def model_for(self, agent: str, default: str | None = None) -> str:
        """The model string of an agent: its own variable, else `default` (the pack's choice), else `ASSAY_MODEL`."""
        return self.agent_models.get(agent.lower().replace("-", "_")) or default or self.model


@dataclass(frozen=True, kw_only=True)
class _Reader:
    environ: Mapping[str, str]
    faults: list[str]

    def text(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def parsed(self, name: str, parse: Callable[[str], Parsed]) -> Parsed | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.faults.append(f"{name}: {error}")
            return None

    def folder(self, name: str, default: Path | None) -> Path:
        chosen = self.parsed(name, _folder) or default
        if chosen is None:
            if self.text(name) is None:
                self.faults.append(f"{name}: no home folder is known; set {name} to a folder that can be written")
            return Path()
        return chosen

    def agent_models(self) -> dict[str, str]:
        return {
            name.removeprefix(AGENT_MODEL_PREFIX).lower(): value.strip()
            for name, value in sorted(self.environ.items())
            if name.startswith(AGENT_MODEL_PREFIX) and name != AGENT_MODEL_PREFIX and value.strip()
        }


def _xdg(environ: Mapping[str, str], name: str, below_home: str) -> Path | None:
    chosen = environ.get(name, "")
    if chosen.startswith("/"):
        return Path(chosen) / "assay"
    home = environ.get("HOME", "")
    return Path(home) / below_home / "assay" if home else None


def _folder(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise ValueError(f"{text!r} is not an absolute path; give the folder from the root")
    if path.exists() and not path.is_dir():
        raise ValueError(f"{text!r} is not a folder; give a folder")
    return path


def _existing_path(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise ValueError(f"{text!r} does not exist; give the folder of a sentence encoder, or unset it for the default one")
    return path


def _model_folder(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise ValueError(
            f"{text!r} is not a folder; give one written by `assay routing train`, or unset it for the pack's own router"
        )
    return path


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an http(s) URL; give one such as http://127.0.0.1:8000/v1")
    return text.rstrip("/")


def _database_url(text: str) -> str:
    scheme = text.partition("://")[0]
    if "://" not in text or scheme not in DATABASE_SCHEMES:
        raise ValueError(f"the scheme {scheme[:30]!r} is not supported; use one of {', '.join(DATABASE_SCHEMES)}")
    return text


def _tokens(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise ValueError(f"{text!r} is not a whole number from 1 to 1000000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= 86_400:
        raise ValueError(f"{text!r} is not a number of seconds above 0 and at most 86400")
    return value


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is not a probability from 0 to 1")
    return value


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO 8601 time such as 2026-03-02T09:30:00+00:00") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; add one, such as +00:00")
    return moment
