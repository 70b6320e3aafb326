"""Model strings: what a name means and which model it gives."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles import merge_profile
from pydantic_ai.profiles.openai import OpenAIModelProfile

from assistant.errors import AssistantError
from assistant.models.capped import CappedModel
from assistant.models.embedded import EmbeddedModel, TextEncoder
from assistant.models.exchanges import TimedOllamaProvider, TimedOpenAIProvider
from assistant.models.paced import PacedModel, PaceError, parse_paced
from assistant.models.planted import PlantedFaults
from assistant.models.servers import ModelSettingsSource, api_root

FORMS = (
    "embedded",
    "paced:ttft_ms=300,gap_ms=20,tokens=60",
    "ollama:NAME",
    "openai-chat:NAME",
    "PROVIDER:NAME",
)
"""The forms a model string may have, for messages and help."""

NO_KEY = "no-key"
"""Sent where a server wants no key: the client library insists on a non-empty one."""


class ModelNameError(AssistantError):
    """A model string that gives no model; `faults` holds one sentence for every fault in it."""

    def __init__(self, name: str, faults: Sequence[str]) -> None:
        self.name = name
        self.faults = tuple(faults)
        super().__init__("\n".join(f"model {name!r}: {fault}" for fault in faults))


def resolve_model(name: str, *, encoder: TextEncoder, settings: ModelSettingsSource) -> Model:
    """The model of a model string. Opens no connection. Raises `ModelNameError`."""
    prefix, colon, rest = name.strip().partition(":")
    match (prefix, bool(colon)):
        case ("embedded", False):
            return EmbeddedModel(encoder)
        case ("paced", _):
            return _paced(name, rest, encoder, settings)
        case ("ollama", True):
            return _ollama(name, rest, settings)
        case ("openai-chat", True):
            return _openai_chat(name, rest, settings)
        case _:
            return _other(name.strip())


def _paced(name: str, rest: str, encoder: TextEncoder, settings: ModelSettingsSource) -> Model:
    try:
        paced = parse_paced(rest)
    except PaceError as error:
        raise ModelNameError(name, error.faults) from None
    faults = None if paced.faults is None else PlantedFaults(paced.faults)
    return PacedModel(resolve_model(paced.inner, encoder=encoder, settings=settings), paced.pace, faults=faults)


def _ollama(name: str, rest: str, settings: ModelSettingsSource) -> Model:
    """Ollama reads `max_tokens` and silently ignores `max_completion_tokens`; the cap is also enforced on this side."""
    faults = [] if rest.strip() else ["no model is named; give one that the server has, as in ollama:llama3.2"]
    faults += (
        []
        if settings.ollama_base_url
        else ["no Ollama address is set; set ASSAY_OLLAMA_BASE_URL, such as http://127.0.0.1:11434"]
    )
    if faults or not settings.ollama_base_url:
        raise ModelNameError(name, faults)
    provider = TimedOllamaProvider(base_url=f"{api_root(settings.ollama_base_url)}/v1", api_key=NO_KEY)
    profile = merge_profile(provider.model_profile(rest), OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False))
    return CappedModel(OpenAIChatModel(rest, provider=provider, profile=profile), settings.max_output_tokens)


def _openai_chat(name: str, rest: str, settings: ModelSettingsSource) -> Model:
    """A server of our own is asked with `max_tokens`, which all of them know; OpenAI itself with its newer field."""
    faults = [] if rest.strip() else ["no model is named; give the name the server lists, as in openai-chat:my-model"]
    if not settings.openai_base_url and not settings.openai_api_key:
        faults.append(
            "neither an address nor a key is set; set ASSAY_OPENAI_BASE_URL for a server of your own, or OPENAI_API_KEY"
        )
    if faults:
        raise ModelNameError(name, faults)
    if settings.openai_base_url is None:
        return CappedModel(
            OpenAIChatModel(rest, provider=TimedOpenAIProvider(api_key=settings.openai_api_key)),
            settings.max_output_tokens,
        )
    provider = TimedOpenAIProvider(base_url=f"{api_root(settings.openai_base_url)}/v1", api_key=settings.openai_api_key or NO_KEY)
    profile = merge_profile(provider.model_profile(rest), OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False))
    return CappedModel(OpenAIChatModel(rest, provider=provider, profile=profile), settings.max_output_tokens)


def _other(name: str) -> Model:
    try:
        return infer_model(name)
    except UserError as error:
        raise ModelNameError(name, [_unusable(name, str(error))]) from None
    except ImportError as error:
        raise ModelNameError(
            name, [f"its client is not installed ({error.name or 'a package'} is missing); install it or use another model"]
        ) from None


def _unusable(name: str, reason: str) -> str:
    if "Unknown model" not in reason:
        return " ".join(reason.split())
    heads = {form.partition(":")[0]: form for form in FORMS[:-1]}
    close = difflib.get_close_matches(name.partition(":")[0], heads, n=2, cutoff=0.5)
    nearest = " or ".join(heads[head] for head in close)
    return f"not a model string; did you mean {nearest}?" if nearest else f"not a model string; use one of {', '.join(FORMS)}"
