"""A turn, from request to `done`."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.models.function import DeltaToolCall, FunctionModel
from pydantic_ai.toolsets import FunctionToolset

from assistant.agents.answer import NO_ANSWER, PARTIAL_ANSWER
from assistant.errors import AssistantClosed, SandboxesClosed, UnknownSandbox, UnknownThread, WrongPack
from assistant.routing import NO_AGENT, RouteContext
from assistant.service import EVENTS_AHEAD
from assistant.wire import (
    CitationEvent,
    DoneEvent,
    ErrorEvent,
    Fault,
    HandoffEvent,
    MetaEvent,
    NodeEvent,
    RestartEvent,
    RouteEvent,
    SandboxRequest,
    TokenEvent,
    ToolCallEvent,
    ToolResultEvent,
    TurnRequest,
    UsageEvent,
)


def call(name, arguments="{}", call_id="c1"):
    return DeltaToolCall(name=name, json_args=arguments, tool_call_id=call_id)


def kinds(reply):
    return [event.type for event in reply.events]


def only(reply, kind):
    (event,) = (event for event in reply.events if isinstance(event, kind))
    return event


def shown(reply):
    """What a client shows that appends tokens and starts anew at a restart."""
    text = ""
    for event in reply.events:
        text = "" if isinstance(event, RestartEvent) else text + (event.text if isinstance(event, TokenEvent) else "")
    return text


async def test_a_plain_turn_tells_its_whole_story(desk):
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans please"))
    assert kinds(reply) == ["meta", "node", "route", "token", "token", "node", "usage", "node", "done"]
    assert [event.id for event in reply.events] == list(range(1, 10))
    assert [event.t_s for event in reply.events] == sorted(event.t_s for event in reply.events)
    assert (reply.text, reply.agent, reply.outcome) == ("You said loans please", "loans", "answered")
    meta, route = only(reply, MetaEvent), only(reply, RouteEvent)
    assert (meta.pack, meta.model, meta.thread_id) == ("desk", "embedded", reply.thread_id)
    assert (route.previous_agent, route.stage, route.alternatives[0].agent) == (None, "head", "rooms")
    assert [event.name for event in reply.events if isinstance(event, NodeEvent)] == ["load", "agent", "store"]
    usage = only(reply, UsageEvent)
    assert (usage.model, usage.model_calls, usage.cost_usd) == ("scripted", 1, None)


async def test_overhead_is_the_wall_time_without_model_and_tools(desk):
    async def slow(messages, info):
        await asyncio.sleep(0.05)
        yield "slow"

    desk.model = FunctionModel(stream_function=slow)
    async with desk.open() as assistant:
        timings = only(await assistant.reply(TurnRequest(message="loans")), DoneEvent).timings
    assert set(timings) == {"load_s", "route_s", "agent_s", "model_s", "tools_s", "store_s", "overhead_s", "total_s"}
    assert timings["model_s"] >= 0.05 and timings["tools_s"] == 0
    assert timings["overhead_s"] == pytest.approx(timings["total_s"] - timings["model_s"])


async def test_a_thread_continues_with_the_history_of_all_its_agents(desk):
    async with desk.open() as assistant:
        first = await assistant.reply(TurnRequest(message="loans one"))
        second = await assistant.reply(TurnRequest(message="rooms two", thread_id=first.thread_id))
    told = [part.content for message in desk.seen[1][0] for part in message.parts]
    assert told == ["loans one", "You said loans one", "rooms two"]
    assert second.thread_id == first.thread_id
    assert desk.router.contexts == [
        RouteContext(),
        RouteContext(current_agent="loans", pending=False, previous_text="loans one"),
    ]


async def test_a_change_of_agent_is_a_handoff_told_before_the_answer(desk):
    async with desk.open() as assistant:
        first = await assistant.reply(TurnRequest(message="loans one"))
        second = await assistant.reply(TurnRequest(message="rooms two", thread_id=first.thread_id))
        third = await assistant.reply(TurnRequest(message="more of that", thread_id=first.thread_id))
    assert "handoff" not in kinds(first) + kinds(third)
    handoff = only(second, HandoffEvent)
    assert (handoff.from_agent, handoff.to_agent) == ("loans", "rooms")
    assert 0 < handoff.duration_s < 0.5
    assert kinds(second).index("route") < kinds(second).index("handoff") < kinds(second).index("token")
    assert third.agent == "rooms"


async def test_each_agent_gets_its_own_prompt_tools_and_settings(desk):
    async with desk.open() as assistant:
        first = await assistant.reply(TurnRequest(message="loans", user_id="ann"))
        await assistant.reply(TurnRequest(message="rooms", user_id="ann", thread_id=first.thread_id))
    (_, loans), (_, rooms) = desk.seen
    assert loans.instructions == "You are loans of Library desk at Elm Street. Today is 2026-03-02."
    assert rooms.instructions == "You book rooms for ann."
    assert [tool.name for tool in loans.function_tools] == ["lend_book", "count_books", "search_knowledge"]
    assert [tool.name for tool in rooms.function_tools] == ["book_room", "search_knowledge"]
    assert loans.model_settings == {"max_tokens": 1024, "timeout": 60.0}
    assert rooms.model_settings == {"max_tokens": 1024, "timeout": 60.0, "temperature": 0.5}


async def test_a_tool_works_on_state_and_its_call_is_told_with_its_duration(desk):
    desk.script = lambda text, results: [results[-1].content["summary"]] if results else [call("lend_book", '{"title": "Emma"}')]
    async with desk.open() as assistant:
        sandbox = await assistant.create_sandbox(SandboxRequest(pack="desk"))
        reply = await assistant.reply(TurnRequest(message="loans", user_id="ann", sandbox=sandbox))
        state = await assistant.sandbox_state(sandbox)
    called, result = only(reply, ToolCallEvent), only(reply, ToolResultEvent)
    assert (called.tool, called.arguments, called.call_id) == ("lend_book", {"title": "Emma"}, result.call_id)
    assert result.ok and result.result == {"summary": "Emma is yours.", "title": "Emma"}
    timings = only(reply, DoneEvent).timings
    assert 0 < result.duration_s == timings["tools_s"]
    assert reply.text == "Emma is yours."
    assert state.state["books"]["Emma"] == {"shelf": "A1", "lent_to": "ann", "on": "2026-03-02"}


async def test_markers_become_citations_once_each_and_invented_ones_are_exposed(desk):
    desk.script = lambda text, results: ["A day costs 10 cents [fees#late]. Really [fees#late], see [fees#", "none]."]
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans"))
    found = [event for event in reply.events if isinstance(event, CitationEvent)]
    assert [(one.passage, one.title, one.quote, one.exists) for one in found] == [
        ("late", "Fees", "Late books cost 10 cents a day.", True),
        ("none", "", "", False),
    ]


async def test_the_knowledge_tool_gives_passages(desk):
    desk.script = lambda text, results: ["ok"] if results else [call("search_knowledge", '{"query": "late"}')]
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="rooms"))
    assert only(reply, ToolResultEvent).result == {
        "passages": [
            {
                "document": "fees",
                "passage": "late",
                "title": "Fees",
                "heading": "Late",
                "text": "Late books cost 10 cents a day.",
                "score": 0.5,
            }
        ]
    }


async def test_text_before_a_tool_call_is_taken_back(desk):
    desk.script = lambda text, results: ["Two."] if results else ["Let me count. ", call("count_books")]
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans"))
    assert kinds(reply)[3:8] == ["token", "restart", "tool_call", "tool_result", "token"]
    assert shown(reply) == reply.text == "Two."


async def test_out_of_scope_is_refused_without_a_model_and_leaves_the_conversation_where_it_was(desk):
    async with desk.open() as assistant:
        first = await assistant.reply(TurnRequest(message="rooms one"))
        refused = await assistant.reply(TurnRequest(message="weather", thread_id=first.thread_id))
        again = await assistant.reply(TurnRequest(message="go on", thread_id=first.thread_id))
    assert (refused.agent, refused.outcome, refused.text) == (NO_AGENT, "refused", "I can only help with the library.")
    assert shown(refused) == refused.text
    assert only(refused, UsageEvent).model_calls == 0
    assert again.agent == "rooms"
    assert desk.router.contexts[2] == RouteContext(current_agent="rooms", previous_text="rooms one")
    assert len(desk.seen) == 2 and "weather" not in str(desk.seen[1][0])


async def test_a_greeting_is_greeted(desk):
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="hello"))
    assert (reply.outcome, reply.text) == ("answered", "Hello, what are you looking for?")


async def test_an_agent_the_pack_lacks_falls_to_the_safest(desk):
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="ghost"))
    assert (reply.agent, only(reply, RouteEvent).stage) == ("loans", "default")


async def test_an_open_question_reaches_the_router_and_survives_a_digression(desk):
    desk.script = lambda text, results: [results[-1].content["summary"]] if results else [call("book_room", '{"seats": 0}')]
    async with desk.open() as assistant:
        first = await assistant.reply(TurnRequest(message="rooms please"))
        await assistant.reply(TurnRequest(message="weather", thread_id=first.thread_id))
        await assistant.reply(TurnRequest(message="four", thread_id=first.thread_id))
    assert [context.pending for context in desk.router.contexts] == [False, True, True]


@pytest.mark.parametrize(("said", "outcome"), [("abstained", "abstained"), ("refused", "refused"), ("asked", "answered")])
async def test_what_the_model_says_of_its_answer_becomes_the_outcome(desk, said, outcome):
    async def stream(messages, info):
        yield "Nothing found."

    desk.model = Detailed(stream, {"outcome": said})
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans"))
    assert reply.outcome == outcome


class Detailed(FunctionModel):
    """Adds provider details to what another model streams."""

    def __init__(self, stream, details):
        super().__init__(stream_function=stream)
        self.details = details

    def request_stream(self, *args, **kwargs):
        outer = super().request_stream(*args, **kwargs)
        details = self.details

        class Entered:
            async def __aenter__(self):
                response = await outer.__aenter__()
                response.provider_details = details
                return response

            async def __aexit__(self, *error):
                return await outer.__aexit__(*error)

        return Entered()


async def sandboxed(desk, assistant, faults, message="loans"):
    sandbox = await assistant.create_sandbox(SandboxRequest(pack="desk", faults=faults))
    return await assistant.reply(TurnRequest(message=message, sandbox=sandbox))


def apologise(text, results):
    if not results:
        return [call("lend_book", '{"title": "Emma"}')]
    return [f"{results[-1].outcome}: {results[-1].content}"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(kind="tool_error"), "is not working"),
        (Fault(kind="tool_timeout", tool="lend_book", delay_s=0.01), "did not answer in time"),
        (Fault(kind="store_read_only"), "read-only"),
        (Fault(kind="tool_garbage", tool="lend_book"), "is not working"),
    ],
)
async def test_a_failing_tool_is_told_to_the_model_and_degrades_the_answer(desk, fault, told):
    desk.script = apologise
    async with desk.open() as assistant:
        reply = await sandboxed(desk, assistant, [fault])
    assert reply.outcome == "degraded"
    assert reply.text.startswith("failed: ") and told in reply.text
    result = only(reply, ToolResultEvent)
    assert not result.ok and result.duration_s >= fault.delay_s


async def test_what_a_tool_raises_stays_inside_but_is_logged(desk, caplog):
    desk.script = lambda text, results: [str(results[-1].content)] if results else [call("lend_book", '{"title": "None"}')]
    async with desk.open() as assistant:
        reply = await sandboxed(desk, assistant, [])
    assert reply.outcome == "degraded" and "secret" not in reply.model_dump_json()
    assert "secret internals" in caplog.text


async def test_a_tool_that_never_ends_is_given_up(desk, monkeypatch):
    monkeypatch.setattr("assistant.agents.executor.TOOL_TIMEOUT_S", 0.02)
    desk.script = apologise

    async def stuck(*args):
        await asyncio.sleep(30)

    monkeypatch.setattr(FunctionToolset, "call_tool", stuck)
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans"))
    assert "did not answer in time" in reply.text and reply.outcome == "degraded"


async def test_a_fault_with_a_count_wears_off_and_a_repeated_call_heals_the_answer(desk):
    desk.script = lambda text, results: (
        ["done"] if results and results[-1].outcome == "success" else [call("count_books", call_id=f"c{len(results)}")]
    )
    async with desk.open() as assistant:
        reply = await sandboxed(desk, assistant, [Fault(kind="tool_error", times=1)])
    assert [event.ok for event in reply.events if isinstance(event, ToolResultEvent)] == [False, True]
    assert reply.outcome == "answered"


async def test_wrong_arguments_are_told_as_a_failed_call_and_may_be_corrected(desk):
    desk.script = lambda text, results: (
        ["fine"]
        if results and results[-1].outcome == "success"
        else [call("book_room", f'{{"seats": {len(results) or "null"}}}')]
    )
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="rooms"))
    assert [event.ok for event in reply.events if isinstance(event, ToolResultEvent)] == [False, True]
    assert (reply.outcome, reply.text) == ("answered", "fine")


@pytest.mark.parametrize("kind", ["model_error", "model_rate_limited", "model_garbage", "model_cut"])
async def test_a_failing_model_gives_a_sentence_an_error_event_and_a_kept_message(desk, kind):
    async with desk.open() as assistant:
        reply = await sandboxed(desk, assistant, [Fault(kind=kind)])
        messages = await assistant.thread_messages(reply.thread_id, "anonymous")
    assert (reply.outcome, reply.text, shown(reply)) == ("error", NO_ANSWER, NO_ANSWER)
    error = only(reply, ErrorEvent)
    assert (error.code, error.retryable) == ("model_failed", True)
    assert kinds(reply)[-1] == "done"
    assert [(one.role, one.text, one.outcome) for one in messages] == [
        ("user", "loans", None),
        ("assistant", NO_ANSWER, "error"),
    ]


async def test_a_model_that_fails_after_its_tools_leaves_what_they_found(desk):
    async def stream(messages, info):
        if len(messages) > 1:
            yield "You have "
            raise_model_error()
        yield {0: call("count_books")}

    desk.model = FunctionModel(stream_function=stream)
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans"))
    assert (reply.outcome, reply.text) == ("degraded", f"{PARTIAL_ANSWER}2 books.")
    assert shown(reply) == reply.text and "restart" in kinds(reply)


def raise_model_error():
    raise ModelAPIError("m", "boom")


async def test_a_slow_model_is_slow_inside_its_span(desk):
    async with desk.open() as assistant:
        reply = await sandboxed(desk, assistant, [Fault(kind="model_slow", delay_s=0.05)])
    assert only(reply, DoneEvent).timings["model_s"] >= 0.05


async def test_a_turn_that_takes_too_long_ends_with_a_sentence(desk):
    async def stuck(messages, info):
        await asyncio.sleep(30)
        yield "never"

    desk.model = FunctionModel(stream_function=stuck)
    desk.configure(request_timeout_s=0.05)
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans"))
    assert reply.outcome == "error" and only(reply, DoneEvent).timings["total_s"] < 5


async def test_a_bug_ends_the_turn_with_done_and_leaks_nothing(desk, monkeypatch, caplog):
    monkeypatch.setattr(desk.router, "decide", lambda text, context: 1 / 0)
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans"))
        messages = await assistant.thread_messages(reply.thread_id, "anonymous")
        assert assistant.telemetry.counts()["broken_turns", "ZeroDivisionError"] == 1
    assert reply.outcome == "error" and "division" not in reply.model_dump_json()
    assert only(reply, ErrorEvent).code == "internal"
    assert [one.text for one in messages] == ["loans"]
    assert "division by zero" in caplog.text


async def test_the_message_is_stored_before_the_model_is_asked(desk):
    asked = asyncio.Event()

    async def stuck(messages, info):
        asked.set()
        await asyncio.sleep(30)
        yield "never"

    desk.model = FunctionModel(stream_function=stuck)
    async with desk.open() as assistant, aclosing(assistant.stream(TurnRequest(message="loans remember me"))) as events:
        meta = await anext(events)
        await asyncio.wait_for(asked.wait(), 5)
        kept = await assistant.thread_messages(meta.thread_id, "anonymous")
    assert [one.text for one in kept] == ["loans remember me"]


async def test_a_reader_who_leaves_stops_the_model(desk):
    stopped = asyncio.Event()

    async def endless(messages, info):
        try:
            while True:
                yield "more "
                await asyncio.sleep(0.001)
        except BaseException:
            stopped.set()
            raise

    desk.model = FunctionModel(stream_function=endless)
    async with desk.open() as assistant:
        async with aclosing(assistant.stream(TurnRequest(message="loans"))) as events:
            async for event in events:
                if isinstance(event, TokenEvent):
                    break
        await asyncio.wait_for(stopped.wait(), 5)


async def test_a_slow_reader_holds_the_turn_back_and_misses_nothing(desk):
    said = []

    async def eager(messages, info):
        for number in range(600):
            said.append(number)
            yield f"{number} "

    desk.model = FunctionModel(stream_function=eager)
    async with desk.open() as assistant, aclosing(assistant.stream(TurnRequest(message="loans"))) as events:
        await anext(events)
        async with asyncio.timeout(10):
            while len(said) <= EVENTS_AHEAD - 10:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert len(said) < EVENTS_AHEAD + 10
        rest = [event async for event in events]
    assert rest[-1].text == "".join(f"{number} " for number in range(600))
    assert [event.id for event in rest] == list(range(2, len(rest) + 2))


async def test_closing_ends_turns_still_running(desk):
    async def stuck(messages, info):
        await asyncio.sleep(30)
        yield "never"

    desk.model = FunctionModel(stream_function=stuck)
    async with desk.open() as assistant:
        events = assistant.stream(TurnRequest(message="loans"))
        await anext(events)
    with pytest.raises(AssistantClosed, match="closing"):
        [event async for event in events]


async def test_turns_of_one_thread_wait_for_each_other_and_others_do_not(desk):
    running, most = [], []

    async def slow(messages, info):
        running.append(1)
        most.append(len(running))
        await asyncio.sleep(0.03)
        running.pop()
        yield "done"

    desk.model = FunctionModel(stream_function=slow)
    async with desk.open() as assistant:
        thread = (await assistant.reply(TurnRequest(message="loans"))).thread_id
        await asyncio.gather(*(assistant.reply(TurnRequest(message="again", thread_id=thread)) for _ in range(3)))
        assert max(most) == 1
        await asyncio.gather(*(assistant.reply(TurnRequest(message="loans")) for _ in range(3)))
        assert max(most) > 1
        texts = [one.text for one in await assistant.thread_messages(thread, "anonymous")]
    assert texts == ["loans", "done", "again", "done", "again", "done", "again", "done"]


async def test_what_is_not_there_is_refused_before_the_first_event(desk):
    async with desk.open() as assistant:
        thread = (await assistant.reply(TurnRequest(message="loans", user_id="ann"))).thread_id
        for request, error in [
            (TurnRequest(message="x", thread_id="nope"), UnknownThread),
            (TurnRequest(message="x", thread_id=thread, user_id="bob"), UnknownThread),
            (TurnRequest(message="x", sandbox="nope"), UnknownSandbox),
        ]:
            with pytest.raises(error):
                await anext(assistant.stream(request))
        with pytest.raises(UnknownThread):
            await assistant.thread_messages(thread, "bob")
        with pytest.raises(WrongPack, match="serves the pack 'desk', not 'other'"):
            await assistant.create_sandbox(SandboxRequest(pack="other"))
    async with desk.open(sandboxes=False) as assistant:
        with pytest.raises(SandboxesClosed):
            await assistant.create_sandbox(SandboxRequest(pack="desk"))
        with pytest.raises(SandboxesClosed):
            await assistant.reply(TurnRequest(message="x", sandbox="any"))


async def test_a_conversation_resumes_after_a_restart(desk):
    async with desk.open() as assistant:
        thread = (await assistant.reply(TurnRequest(message="rooms one"))).thread_id
    async with desk.open() as assistant:
        again = await assistant.reply(TurnRequest(message="and more", thread_id=thread))
    assert again.agent == "rooms"
    assert [part.content for message in desk.seen[-1][0] for part in message.parts][:2] == ["rooms one", "You said rooms one"]


async def test_events_are_stored_without_tokens(desk):
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans"))
        stored = await assistant.turn_events(reply.turn_id)
    assert [event.type for event in stored] == ["meta", "node", "route", "node", "usage"]
    assert stored[2].data["agent"] == "loans"


async def test_health_names_pack_model_and_memory(desk):
    async with desk.open() as assistant:
        health = assistant.health()
    assert (health.status, health.pack, health.model) == ("ok", "desk", "embedded")
    assert health.memory_bytes > 1_000_000


async def test_an_answer_that_breaks_off_is_taken_back(desk):
    async with desk.open() as assistant:
        reply = await sandboxed(desk, assistant, [Fault(kind="model_cut", times=1)])
    assert kinds(reply).count("restart") == 1 and shown(reply) == reply.text == NO_ANSWER


async def test_a_broken_turn_ends_with_what_its_specialist_always_adds(desk):
    loans = replace(desk.pack.agents["loans"], when_failing="Call Ann.")
    desk.pack = replace(desk.pack, agents={**desk.pack.agents, "loans": loans})
    desk.script = apologise
    async with desk.open() as assistant:
        failed = await sandboxed(desk, assistant, [Fault(kind="model_error")])
        degraded = await sandboxed(desk, assistant, [Fault(kind="tool_error")])
        rooms = await sandboxed(desk, assistant, [Fault(kind="model_error")], "rooms")
    assert shown(failed) == failed.text == f"{NO_ANSWER} Call Ann."
    assert shown(degraded) == degraded.text and degraded.text.endswith(" Call Ann.")
    assert rooms.text == NO_ANSWER
