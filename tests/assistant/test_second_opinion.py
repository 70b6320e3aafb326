"""Unsure turns: the safest agent, or a router model over a real socket, which may talk nonsense, be down or be slow."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic_ai import ModelRequest
from pydantic_ai.exceptions import FallbackExceptionGroup
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.test import TestModel

from assistant.agents.opinion import DecisionHandOff, DecisionModel, moved, named
from assistant.models import resolve_model
from assistant.models.mock_server import MockProfile, create_mock_app
from assistant.pack import Pack
from assistant.routing import NO_AGENT, Decision, RouteContext
from assistant.settings import Settings
from assistant.wire import DoneEvent, RouteEvent, TurnRequest, TurnResponse, UsageEvent

DECISION = Decision(
    agent="loans",
    intent="asking",
    confidence=0.45,
    alternatives=[("rooms", 0.4), (NO_AGENT, 0.15)],
    stage="head",
    duration_s=0.001,
)


@dataclass
class Unsure:
    """Says `DECISION`, whatever is asked; a message that begins with `sure` raises its probability."""

    def decide(self, text: str, context: RouteContext) -> Decision:
        return replace(DECISION, confidence=0.95) if text.startswith("sure") else DECISION


@dataclass
class Served:
    app: FastAPI
    url: str


@pytest.fixture
def serve(serve_app: Callable[[FastAPI], str]) -> Callable[[MockProfile], Served]:
    def begin(profile: MockProfile) -> Served:
        app = create_mock_app(profile)
        return Served(app=app, url=serve_app(app))

    return begin


@pytest.fixture
async def unsure(desk):
    """Opens the desk with an unsure router and, at `url`, a router model; closes that model's connections."""
    made = []

    def with_model(url: str | None, *, timeout_s: float = 5.0):
        desk.router = Unsure()
        name = "openai-chat:mock" if url else None
        desk.configure(router_unsure_below=0.6, router_model=name, router_timeout_s=timeout_s, openai_base_url=url)
        if name:
            made.append(resolve_model(name, encoder=None, settings=desk.settings))
            desk.others = {name: made[-1]}
        return desk.open()

    yield with_model
    for model in made:
        await model.wrapped.client.close()


async def answered(opened, message: str = "hm") -> TurnResponse:
    async with opened as assistant:
        return await assistant.reply(TurnRequest(message=message))


def route(reply: TurnResponse) -> RouteEvent:
    (event,) = (event for event in reply.events if isinstance(event, RouteEvent))
    return event


async def test_a_doubt_without_a_router_model_goes_to_the_safest_agent(desk_folder: Path, unsure, desk) -> None:
    text = (desk_folder / "pack.yaml").read_text(encoding="utf-8")
    (desk_folder / "pack.yaml").write_text(text.replace("safest_agent: loans", "safest_agent: rooms"), encoding="utf-8")
    desk.pack = Pack.load(desk_folder)
    told = route(await answered(unsure(None)))
    assert (told.agent, told.stage, told.doubt, told.confidence, told.intent) == (
        "rooms",
        "default",
        "probability 0.45 of loans",
        0.4,
        None,
    )
    assert [(score.agent, score.probability) for score in told.alternatives] == [("loans", 0.45), (NO_AGENT, 0.15)]


async def test_the_router_model_decides_only_what_is_unsure(serve, unsure) -> None:
    served = serve(MockProfile(content="fixed", reply="rooms"))
    sure, doubted = await answered(unsure(served.url), "sure thing"), await answered(unsure(served.url))
    assert (route(sure).agent, route(sure).stage, route(sure).doubt) == ("loans", "head", None)
    told = route(doubted)
    assert (told.agent, told.stage, told.doubt) == ("rooms", "llm", "probability 0.45 of loans")
    assert (told.confidence, [score.agent for score in told.alternatives]) == (0.4, ["loans", NO_AGENT])
    assert told.duration_s > 0.001
    (request,) = served.app.state.requests
    assert "Lends books." in str(request["messages"][0]) and request["messages"][-1]["content"] == "hm"
    usage = [next(event for event in reply.events if isinstance(event, UsageEvent)) for reply in (sure, doubted)]
    assert usage[1].model_calls == usage[0].model_calls + 1 and usage[1].input_tokens > usage[0].input_tokens


async def test_the_router_model_may_say_that_nobody_should_answer(serve, unsure) -> None:
    reply = await answered(unsure(serve(MockProfile(content="fixed", reply=" None. ")).url))
    assert (reply.agent, reply.outcome, route(reply).stage) == (NO_AGENT, "refused", "llm")


@pytest.mark.parametrize(
    ("profile", "doubt"),
    [
        (MockProfile(content="fixed", reply="the weather desk"), "the router model named no agent, or several"),
        (MockProfile(content="fixed", reply="loans or rooms"), "the router model named no agent, or several"),
        (MockProfile(content="fixed", reply=""), "the router model named no agent, or several"),
        (MockProfile(garbage_rate=1.0), "the router model failed"),
        (MockProfile(server_error_rate=1.0), "the router model"),
        (MockProfile(rate_limited_rate=1.0, retry_after_s=30), "the router model"),
        (MockProfile(ttft_s=30.0), "the router model gave no answer within 1 s"),
    ],
    ids=["nonsense", "two names", "empty", "garbage", "down", "limited", "slow"],
)
async def test_whatever_the_router_model_does_the_local_choice_answers(serve, unsure, profile: MockProfile, doubt: str) -> None:
    started = time.perf_counter()
    reply = await answered(unsure(serve(profile).url, timeout_s=1.0))
    told = route(reply)
    assert (told.agent, told.stage, told.confidence) == ("loans", "head", 0.45)
    assert told.doubt is not None and told.doubt.startswith(doubt)
    assert reply.outcome == "answered" and reply.text == "You said hm"
    assert time.perf_counter() - started < 10.0


async def test_no_server_at_all_is_a_doubt_too(unsure) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = route(await answered(unsure(f"http://127.0.0.1:{port}", timeout_s=3.0)))
    assert (told.agent, told.stage) == ("loans", "head") and told.doubt is not None


async def test_waiting_for_the_router_model_is_no_overhead_of_ours(serve, unsure) -> None:
    reply = await answered(unsure(serve(MockProfile(content="fixed", reply="rooms", ttft_s=0.6)).url))
    done = reply.events[-1]
    assert isinstance(done, DoneEvent)
    assert done.timings["route_s"] >= 0.6 and done.timings["model_s"] >= 0.6 and done.timings["overhead_s"] < 0.6


async def test_the_local_decision_is_a_model_that_hands_off() -> None:
    asked, parameters = [ModelRequest.user_text_prompt("hm")], ModelRequestParameters()
    sure = await DecisionModel(DECISION, 0.4).request(asked, None, parameters)
    assert (sure.text, sure.model_name) == ("loans", "decision")
    with pytest.raises(DecisionHandOff):
        await DecisionModel(DECISION, 0.5).request(asked, None, parameters)
    chain = FallbackModel(DecisionModel(DECISION, 0.5), TestModel(custom_output_text="rooms"), fallback_on=DecisionHandOff)
    assert (await chain.request(asked, None, parameters)).text == "rooms"
    alone = FallbackModel(DecisionModel(DECISION, 0.5), DecisionModel(DECISION, 0.5), fallback_on=DecisionHandOff)
    with pytest.raises(FallbackExceptionGroup):
        await alone.request(asked, None, parameters)


@pytest.mark.parametrize(
    ("said", "agent"),
    [
        ("rooms", "rooms"),
        ("The agent is **Rooms**.", "rooms"),
        ("bedrooms", None),
        ("rooms-2", None),
        ("", None),
        ("none", NO_AGENT),
    ],
)
def test_an_answer_must_name_exactly_one_agent(said: str, agent: str | None) -> None:
    assert named(said, ["loans", "rooms", NO_AGENT]) == agent


def test_a_moved_decision_keeps_every_probability() -> None:
    assert moved(DECISION, "rooms") == replace(
        DECISION, agent="rooms", intent="", confidence=0.4, alternatives=[("loans", 0.45), (NO_AGENT, 0.15)]
    )
    assert moved(DECISION, "loans") == DECISION


@pytest.mark.parametrize(
    ("name", "value"),
    [("ASSAY_ROUTER_UNSURE_BELOW", "1.5"), ("ASSAY_ROUTER_UNSURE_BELOW", "much"), ("ASSAY_ROUTER_TIMEOUT_S", "0")],
)
def test_unusable_settings_are_told(tmp_path: Path, name: str, value: str) -> None:
    from assistant.errors import SettingsError

    with pytest.raises(SettingsError, match=name):
        Settings.from_environ({"ASSAY_STATE_DIR": str(tmp_path), "ASSAY_CACHE_DIR": str(tmp_path), name: value})
