"""Model strings: what each gives, and what a wrong one is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic_ai.models import infer_model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel

from assistant.errors import AssistantError
from assistant.models import FORMS, ModelNameError, describe_model, resolve_model
from assistant.models.capped import CappedModel
from assistant.models.embedded import EmbeddedModel
from assistant.models.paced import PacedModel
from assistant.models.servers import api_root


@dataclass(frozen=True, kw_only=True)
class Plain:
    ollama_base_url: str | None = "http://127.0.0.1:9"
    openai_base_url: str | None = None
    openai_api_key: str | None = None
    max_output_tokens: int = 32
    request_timeout_s: float = 5.0


NO_ENCODER: Any = object()


def resolved(name: str, settings: Plain | None = None) -> Any:
    return resolve_model(name, encoder=NO_ENCODER, settings=settings or Plain())


def told(name: str, settings: Plain | None = None) -> list[str]:
    with pytest.raises(ModelNameError) as caught:
        resolved(name, settings)
    assert caught.value.name == name
    return list(caught.value.faults)


def test_the_default_is_the_embedded_model() -> None:
    assert isinstance(resolved("embedded"), EmbeddedModel)
    assert isinstance(resolved(" embedded "), EmbeddedModel)


def test_a_paced_model_wraps_the_embedded_one_or_the_one_it_names() -> None:
    assert isinstance(resolved("paced:ttft_ms=1"), PacedModel)
    assert isinstance(resolved("paced:ttft_ms=1").wrapped, EmbeddedModel)
    assert isinstance(resolved("paced:of=test").wrapped, TestModel)
    assert isinstance(resolved("paced"), PacedModel)


def test_an_ollama_model_sends_the_limit_that_ollama_reads() -> None:
    model = resolved("ollama:qwen3:8b")
    assert isinstance(model, CappedModel)
    assert isinstance(model.wrapped, OpenAIChatModel)
    assert model.model_name == "qwen3:8b"
    assert model.base_url == "http://127.0.0.1:9/v1/"
    assert model.profile.get("openai_chat_supports_max_completion_tokens") is False


@pytest.mark.parametrize("base", ["http://127.0.0.1:9", "http://127.0.0.1:9/", "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/"])
def test_a_base_url_may_or_may_not_end_in_v1(base: str) -> None:
    assert api_root(base) == "http://127.0.0.1:9"
    assert resolved("openai-chat:any", Plain(openai_base_url=base)).base_url == "http://127.0.0.1:9/v1/"


def test_a_server_of_our_own_needs_no_key_and_openai_needs_no_address() -> None:
    own = resolved("openai-chat:any", Plain(openai_base_url="http://127.0.0.1:9"))
    assert own.wrapped.client.api_key == "no-key"
    hosted = resolved("openai-chat:gpt-x", Plain(openai_api_key="k"))
    assert hosted.base_url == "https://api.openai.com/v1/"
    assert hosted.profile.get("openai_chat_supports_max_completion_tokens", True) is True


def test_another_string_is_left_to_pydantic_ai() -> None:
    assert resolved("test").model_name == infer_model("test").model_name


def test_a_misspelt_form_is_answered_with_the_nearest() -> None:
    assert told("embeded") == ["not a model string; did you mean embedded?"]
    assert told("olama:llama3") == ["not a model string; did you mean ollama:NAME?"]
    assert told("zzz") == [f"not a model string; use one of {', '.join(FORMS)}"]


def test_every_fault_of_a_string_is_told_at_once() -> None:
    assert len(told("paced:ttft_ms=x,what=1")) == 2
    assert told("ollama:", Plain(ollama_base_url=None)) == [
        "no model is named; give one that the server has, as in ollama:llama3.2",
        "no Ollama address is set; set ASSAY_OLLAMA_BASE_URL, such as http://127.0.0.1:11434",
    ]
    assert len(told("openai-chat:")) == 2


def test_a_fault_is_one_of_the_assistants_and_names_the_string() -> None:
    with pytest.raises(AssistantError, match=r"model 'paced:tokens=0': tokens must be a whole number"):
        resolved("paced:tokens=0")


def test_a_missing_client_or_key_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert "OPENAI_API_KEY" in told("openai:gpt-x")[0]
    assert "not installed" in told("anthropic:claude-x")[0]


def test_what_needs_no_server_is_described_without_one() -> None:
    assert "needs no key and no server" in describe_model("embedded", Plain())[0]
    paced = describe_model("paced:ttft_ms=1", Plain())
    assert "fixed delays around embedded" in paced[0]
    assert "needs no key" in paced[1]
    assert "fixed delays around ollama:x" in describe_model("paced:of=ollama:x", Plain())[0]
    assert "was not asked" in describe_model("anthropic:claude-x", Plain())[0]


def test_a_dead_or_missing_address_is_said_plainly() -> None:
    assert describe_model("ollama:x", Plain()) == ["Ollama at http://127.0.0.1:9 does not answer; is it running?"]
    assert "no address is set" in describe_model("ollama:x", Plain(ollama_base_url=None))[0]
    dead = Plain(openai_base_url="http://127.0.0.1:9/v1")
    assert describe_model("openai-chat:x", dead) == ["The server at http://127.0.0.1:9 does not answer; is it running?"]
    assert "no key is set" in describe_model("openai-chat:x", Plain())[0]
    keyed = describe_model("openai-chat:x", replace(Plain(), openai_api_key="s3cret"))
    assert "a key is set" in keyed[0]
    assert "s3cret" not in keyed[0]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>", "answers with something that is not JSON"),
        (503, "", "answers with status 503"),
        (200, "[]", "no model at all"),
    ],
)
def test_a_strange_server_is_described(monkeypatch: pytest.MonkeyPatch, status: int, body: str, said: str) -> None:
    import httpx2

    def get(url: str, **_: object) -> httpx2.Response:
        return httpx2.Response(status, text=body, request=httpx2.Request("GET", url))

    monkeypatch.setattr(httpx2, "get", get)
    assert said in " ".join(describe_model("openai-chat:x", Plain(openai_base_url="http://127.0.0.1:9")))


def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2

    def get(_url: str, **_: object) -> httpx2.Response:
        raise httpx2.ReadTimeout("late")

    monkeypatch.setattr(httpx2, "get", get)
    assert "did not answer within 2 s" in describe_model("ollama:x", Plain())[0]
