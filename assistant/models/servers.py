"""What a model's server says of itself, in sentences for a person, by one short GET."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import httpx2

PROBE_TIMEOUT_S = 2.0


class ModelSettingsSource(Protocol):
    """What a model needs of the settings. Base URLs with or without a trailing `/v1`."""

    @property
    def ollama_base_url(self) -> str | None: ...
    @property
    def openai_base_url(self) -> str | None: ...
    @property
    def openai_api_key(self) -> str | None: ...
    @property
    def max_output_tokens(self) -> int: ...
    @property
    def request_timeout_s(self) -> float: ...


def api_root(base_url: str) -> str:
    """A base URL without a trailing slash or `/v1`."""
    return base_url.rstrip("/").removesuffix("/v1").rstrip("/")


def describe_model(name: str, settings: ModelSettingsSource) -> list[str]:
    """What the model of a model string can and cannot do, and whether its server answers. Raises nothing for a dead server."""
    prefix, _, rest = name.strip().partition(":")
    if prefix == "embedded":
        return [
            "embedded: runs in this process, needs no key and no server; it chooses tools and quotes passages, it does not write freely."
        ]
    if prefix == "paced":
        inner = rest.partition("of=")[2] if "of=" in rest else "embedded"
        return [
            f"{name}: fixed delays around {inner}, for load and gate tests; its speed says nothing about a real model.",
            *describe_model(inner, settings),
        ]
    if prefix == "ollama":
        return _describe_ollama(rest, settings)
    if prefix == "openai-chat":
        return _describe_openai(rest, settings)
    return [f"{name}: a hosted model of pydantic-ai; it was not asked, because a question costs money and needs the network."]


def _describe_ollama(model: str, settings: ModelSettingsSource) -> list[str]:
    if not settings.ollama_base_url:
        return ["Ollama: no address is set; set ASSAY_OLLAMA_BASE_URL, such as http://127.0.0.1:11434."]
    root = api_root(settings.ollama_base_url)
    found = _get(f"{root}/api/tags", None)
    if isinstance(found, str):
        return [f"Ollama at {root} {found}"]
    names = [str(row.get("name", "")) for row in _rows(found, "models")]
    return [
        f"Ollama at {root} answers.",
        _served(model, names, f"run: ollama pull {model}", tagged=True),
        "It ignores tool_choice, so a tool call cannot be forced.",
        "It cannot be given a context length with a request: set OLLAMA_CONTEXT_LENGTH or bake num_ctx into the model.",
        f"The limit of {settings.max_output_tokens} output tokens is sent as max_tokens and kept on this side too.",
    ]


def _describe_openai(model: str, settings: ModelSettingsSource) -> list[str]:
    if not settings.openai_base_url:
        key = (
            "a key is set"
            if settings.openai_api_key
            else "no key is set; set OPENAI_API_KEY, or ASSAY_OPENAI_BASE_URL for a server of your own"
        )
        return [f"openai-chat:{model}: OpenAI itself; {key}. It was not asked, because that needs the network."]
    root = api_root(settings.openai_base_url)
    found = _get(f"{root}/v1/models", settings.openai_api_key)
    if isinstance(found, str):
        return [f"The server at {root} {found}"]
    names = [str(row.get("id", "")) for row in _rows(found, "data")]
    return [
        f"The server at {root} answers.",
        _served(model, names, "start the server with it or name one it has", tagged=False),
        f"The limit of {settings.max_output_tokens} output tokens is sent as max_tokens and kept on this side too.",
    ]


def _served(model: str, names: Sequence[str], remedy: str, *, tagged: bool) -> str:
    if model in names or (tagged and f"{model}:latest" in names):
        return f"It has the model {model}."
    listed = ", ".join(names[:8]) or "no model at all"
    return f"It does not list the model {model} (it lists {listed}); {remedy}."


def _rows(content: object, key: str) -> list[dict[str, Any]]:
    rows = cast("dict[str, Any]", content).get(key) if isinstance(content, dict) else None
    return (
        [cast("dict[str, Any]", row) for row in cast("list[object]", rows) if isinstance(row, dict)]
        if isinstance(rows, list)
        else []
    )


def _get(url: str, key: str | None) -> object | str:
    """The JSON behind a URL, or a string that says what went wrong as the end of a sentence."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        response = httpx2.get(url, headers=headers, timeout=PROBE_TIMEOUT_S)
    except httpx2.TimeoutException:
        return f"did not answer within {PROBE_TIMEOUT_S:g} s."
    except httpx2.HTTPError:
        return "does not answer; is it running?"
    if response.status_code in {401, 403}:
        return "refuses the key (or wants one); check ASSAY_OPENAI_API_KEY."
    if response.status_code >= 400:
        return f"answers with status {response.status_code}."
    try:
        return cast("object", response.json())
    except ValueError:
        return "answers with something that is not JSON; is it a model server?"
