"""Several requests in one message: where it is cut, who answers in which order, and what the user and the thread get."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic_ai import ModelMessage, TextPart, UserPromptPart
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.models.function import DeltaToolCall, FunctionModel

from assistant.encoder import SentenceEncoder
from assistant.pack import Pack, PackError
from assistant.routing import NO_AGENT, Prediction, RouteContext, Router
from assistant.routing.several import Splitter
from assistant.wire import DoneEvent, HandoffEvent, RestartEvent, RouteEvent, TokenEvent, TurnRequest, TurnResponse, UsageEvent

SUBJECTS = {"novel": "loans", "book": "loans", "hall": "rooms", "chairs": "rooms", "coffee": "cafe"}


@dataclass
class Keywords:
    """Predicts the agents whose words a text has, the first mentioned before all, and remembers what it was asked."""

    sure: float = 0.97
    agents: tuple[str, ...] = ("loans", "rooms", "cafe", NO_AGENT)
    asked: list[str] = field(default_factory=list)

    def predict_both(self, text: str, other: str) -> tuple[Prediction, Prediction]:
        return self.predict(text), self.predict(other)

    def predict(self, text: str) -> Prediction:
        self.asked.append(text)
        found = [SUBJECTS[word] for word in re.findall(r"\w+", text) if word in SUBJECTS] or [NO_AGENT]
        shares = dict.fromkeys(self.agents, (1 - self.sure) / len(self.agents))
        for number, agent in enumerate(dict.fromkeys(found)):
            shares[agent] += self.sure if len(set(found)) == 1 else self.sure * (0.6, 0.4, 0.0)[number]
        ranked = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
        return Prediction(agent=ranked[0][0], intent="", confidence=ranked[0][1], agents=ranked, intents=[("", 1.0)], scope=1.0)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("my novel is a week late, and is the hall free at noon", ["my novel is a week late", "is the hall free at noon"]),
        ("my novel is a week late and the hall has no light", ["my novel is a week late", "the hall has no light"]),
        ("renew my novel for me and one of the chairs is torn", ["renew my novel for me", "one of the chairs is torn"]),
        ("Renew my novel for me, please. Also the hall is cold", ["Renew my novel for me, please.", "the hall is cold"]),
        ("renew my novel for me; the hall has no chairs", ["renew my novel for me;", "the hall has no chairs"]),
        ("se me perdió el book ayer y también la hall está fría", ["se me perdió el book ayer", "la hall está fría"]),
        (
            "renew my novel please, and the hall is cold, and my other book is torn",
            ["renew my novel please my other book is torn", "the hall is cold"],
        ),
        (
            "renew my novel please, and the hall is cold, and you had no coffee today",
            ["renew my novel please", "the hall is cold", "you had no coffee today"],
        ),
    ],
)
def test_a_message_is_cut_where_it_turns_to_another_agent(text: str, parts: list[str]) -> None:
    assert Splitter(Keywords()).split(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "hall and novel",
        "the chairs in the hall fell over and crushed my novel flat",
        "the novel, the chairs and the hall plan are on my desk",
        "my novel fell down in the hall and it broke the chairs there",
        "I lost my novel today. How do I get it back from the hall?",
        "my novel is a week late, and what about the weather tomorrow",
        "I took the novel to my friends, the hall was open all day",
        "",
        "and and and and and and and and and and",
    ],
)
def test_one_request_stays_whole(text: str) -> None:
    assert Splitter(Keywords()).split(text) == [text]


def test_a_doubtful_part_is_no_request() -> None:
    text = "my novel is a week late and the hall has no light"
    assert len(Splitter(Keywords(sure=0.95)).split(text)) == 2
    assert Splitter(Keywords(sure=0.85)).split(text) == [text]


def test_short_messages_and_those_without_a_cut_cost_no_prediction() -> None:
    router = Keywords()
    for text in ("novel and the hall", "is there any chance that my novel comes back to the library soon"):
        assert Splitter(router).split(text) == [text]
    assert router.asked == []


def test_a_very_long_message_costs_a_bounded_number_of_predictions() -> None:
    router = Keywords()
    Splitter(router).split("my novel is late, and the hall is cold, and " * 400)
    assert len(router.asked) <= 3 + 2 * 5 * 3


# The desk: `loans` and `rooms`, a router that reads the first word.

MESSAGE = "rooms for six | loans one"


@pytest.fixture
def double(desk, desk_folder: Path):
    """The desk, cutting messages at `|`."""
    desk.split = lambda text: text.split(" | ")
    return desk


def routes(reply: TurnResponse) -> list[tuple[str, str | None]]:
    return [(event.agent, event.previous_agent) for event in reply.events if isinstance(event, RouteEvent)]


def shown(reply: TurnResponse) -> str:
    text = ""
    for event in reply.events:
        text = "" if isinstance(event, RestartEvent) else text + (event.text if isinstance(event, TokenEvent) else "")
    return text


def said(messages: list[ModelMessage]) -> list[str]:
    parts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart | TextPart)]
    return [str(part.content) for part in parts]


async def test_both_agents_answer_their_part_within_one_turn(double) -> None:
    async with double.open() as assistant:
        reply = await assistant.reply(TurnRequest(message=MESSAGE))
        messages = await assistant.thread_messages(reply.thread_id, "anonymous")
    assert reply.text == "You said rooms for six\n\nYou said loans one" == shown(reply)
    assert (reply.agent, reply.outcome) == ("rooms", "answered")
    assert routes(reply) == [("rooms", None), ("loans", "rooms")]
    handoffs = [event for event in reply.events if isinstance(event, HandoffEvent)]
    assert [(event.from_agent, event.to_agent) for event in handoffs] == [("rooms", "loans")]
    assert [event.type for event in reply.events].count("done") == 1
    usage = next(event for event in reply.events if isinstance(event, UsageEvent))
    assert usage.model_calls == 2
    assert [(message.role, message.text) for message in messages] == [("user", MESSAGE), ("assistant", reply.text)]


async def test_the_agent_of_higher_priority_answers_first(desk_folder: Path, double) -> None:
    text = (desk_folder / "pack.yaml").read_text(encoding="utf-8")
    (desk_folder / "pack.yaml").write_text(
        text.replace("prompt: loans.md", "prompt: loans.md\n    priority: 3"), encoding="utf-8"
    )
    double.pack = Pack.load(desk_folder)
    async with double.open() as assistant:
        reply = await assistant.reply(TurnRequest(message=MESSAGE))
    assert routes(reply) == [("loans", None), ("rooms", "loans")]


def test_a_priority_is_a_whole_number(desk_folder: Path) -> None:
    text = (desk_folder / "pack.yaml").read_text(encoding="utf-8")
    (desk_folder / "pack.yaml").write_text(
        text.replace("prompt: loans.md", "prompt: loans.md\n    priority: -1"), encoding="utf-8"
    )
    with pytest.raises(PackError, match=r"agents\.loans\.priority"):
        Pack.load(desk_folder)


@pytest.mark.parametrize("message", ["loans one | loans two", "loans one | weather today", "loans one | ghost two"])
async def test_a_message_that_cannot_be_shared_out_stays_whole(double, message: str) -> None:
    async with double.open() as assistant:
        reply = await assistant.reply(TurnRequest(message=message))
    assert (reply.text, routes(reply)) == (f"You said {message}", [("loans", None)])


async def test_a_hand_over_that_the_pack_forbids_keeps_the_message_whole(desk_folder: Path, double) -> None:
    text = (desk_folder / "pack.yaml").read_text(encoding="utf-8")
    (desk_folder / "pack.yaml").write_text(text + "handoffs: {loans: [rooms], rooms: []}\n", encoding="utf-8")
    double.pack = Pack.load(desk_folder)
    async with double.open() as assistant:
        forbidden = await assistant.reply(TurnRequest(message=MESSAGE))
        allowed = await assistant.reply(TurnRequest(message="loans one | rooms two"))
    assert routes(forbidden) == [("rooms", None)]
    assert routes(allowed) == [("loans", None), ("rooms", "loans")]


async def test_the_second_agent_reads_what_the_first_said_and_nothing_is_lost_by_a_restart(double) -> None:
    def script(text, results):
        if text == "loans one" and not results:
            return ["Let me see. ", DeltaToolCall(name="count_books", json_args="{}", tool_call_id="c1")]
        return [f"Done: {text}."]

    double.script = script
    async with double.open() as assistant:
        reply = await assistant.reply(TurnRequest(message=MESSAGE))
    assert reply.text == "Done: rooms for six.\n\nDone: loans one." == shown(reply)
    assert said(double.seen[1][0]) == ["rooms for six", "Done: rooms for six.", "loans one"]


async def test_the_thread_stays_with_the_agent_that_asked(double) -> None:
    def script(text, results):
        if text.startswith("rooms") and not results:
            return [DeltaToolCall(name="book_room", json_args='{"seats": 0}', tool_call_id="c1")]
        return [f"Done: {text}."]

    double.script = script
    async with double.open() as assistant:
        first = await assistant.reply(TurnRequest(message=MESSAGE))
        second = await assistant.reply(TurnRequest(message="six of us", thread_id=first.thread_id))
    assert second.agent == "rooms"
    assert double.router.contexts[-1] == RouteContext(current_agent="rooms", pending=True, previous_text="rooms for six")
    # The open question is the last thing its agent reads.
    assert said(double.seen[-1][0])[-3:] == ["rooms for six", "Done: rooms for six.", "six of us"]


async def test_without_a_question_the_thread_stays_with_the_last_agent(double) -> None:
    async with double.open() as assistant:
        first = await assistant.reply(TurnRequest(message=MESSAGE))
        second = await assistant.reply(TurnRequest(message="more of that", thread_id=first.thread_id))
    assert second.agent == "loans"


async def test_one_broken_answer_leaves_the_other(double) -> None:
    async def stream(messages, info):
        if said(messages)[-1] == "loans one":
            raise ModelAPIError("scripted", "down")
        yield "Done."

    double.model = FunctionModel(stream_function=stream)
    async with double.open() as assistant:
        reply = await assistant.reply(TurnRequest(message=MESSAGE))
    assert reply.outcome == "degraded"
    assert reply.text.startswith("Done.\n\n") and shown(reply) == reply.text
    done = reply.events[-1]
    assert isinstance(done, DoneEvent) and done.agent == "rooms"


@pytest.fixture(scope="module")
def shipped(machine_cache: Path) -> Router:
    return Router.load(Pack.load("qsr").folder, SentenceEncoder.load(cache_dir=machine_cache), machine_cache)


def test_the_shipped_router_parts_a_machine_from_a_burn(shipped: Router) -> None:
    parts = Splitter(shipped).split("the fryer won't heat and a cook burned her hand")
    assert [shipped.decide(part, RouteContext()).agent for part in parts] == ["equipment", "safety"]
    assert Splitter(shipped).split("the fryer won't heat and the oil looks dark and it smells burnt") != parts
