"""The conversation in a terminal."""

import asyncio
import io
import os

import pytest
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.models.function import DeltaToolCall, FunctionModel
from rich.console import Console

from assistant.chat import LineReader, ask_at, chat


def lines(*typed):
    waiting = list(typed)

    async def ask():
        return waiting.pop(0) if waiting else None

    return ask


async def said(desk, *typed, **options):
    console = Console(file=io.StringIO(), width=100, no_color=True)
    async with desk.open() as assistant:
        await chat(assistant, console, ask=lines(*typed), **options)
    return console.file.getvalue()


async def test_answers_stream_and_sources_follow(desk):
    desk.script = lambda text, results: ["It costs [fees#late]", " or [fees#never]."]
    shown = await said(desk, "loans [b]how much[/b]?", " ", "EXIT", "never read")
    assert "loans 90% head" in shown
    assert "It costs [fees#late] or [fees#never]." in shown
    assert "[fees#late] “Fees: Late books cost 10 cents a day.”" in shown
    assert "[fees#never] (no such passage)" in shown
    assert shown.endswith("bye\n") and "never read" not in shown


async def test_one_chat_is_one_thread_and_tells_handoffs(desk):
    shown = await said(desk, "loans one", "rooms two")
    assert "handed over from loans" in shown
    assert desk.router.contexts[1].previous_text == "loans one"


async def test_tools_and_failures_are_shown(desk):
    calls = [DeltaToolCall(name="lend_book", json_args='{"title": "None"}', tool_call_id="c")]
    desk.script = lambda text, results: ["Sorry."] if results else ["Wait. ", *calls]
    shown = await said(desk, "loans")
    assert "→ lend_book {'title': 'None'}" in shown and "✗ lend_book failed" in shown
    assert "starting again" in shown and "degraded" in shown


async def test_a_second_agent_of_a_turn_begins_on_its_own_line(desk):
    desk.split = lambda text: text.split(" and ")
    shown = await said(desk, "loans one and rooms two")
    assert "You said loans one\nrooms 90% head\nhanded over from loans\nYou said rooms two\n" in shown


async def test_a_failing_model_is_a_sentence(desk):
    async def fails(messages, info):
        raise ModelAPIError("m", "boom")
        yield ""

    desk.model = FunctionModel(stream_function=fails)
    assert "error: The model did not answer." in await said(desk, "loans")


async def test_an_unknown_thread_is_a_sentence(desk):
    assert "There is no thread 'nope'" in await said(desk, "loans", thread_id="nope")


async def test_lines_come_as_they_were_typed_until_the_input_ends():
    out, into = os.pipe()
    console = Console(file=io.StringIO())
    ask = ask_at(console, out)
    os.write(into, b"one\ntw")
    assert await ask() == "one"
    waiting = asyncio.create_task(ask())
    await asyncio.sleep(0.01)
    os.write(into, b"o\nrest")
    assert await waiting == "two"
    os.close(into)
    assert (await ask(), await ask()) == ("rest", None)
    os.close(out)
    assert console.file.getvalue() == "you  " * 4


async def test_a_file_can_be_the_input(tmp_path):
    (tmp_path / "typed").write_text("one\n")
    with (tmp_path / "typed").open() as file:
        ask = ask_at(Console(file=io.StringIO()), file.fileno())
        assert (await ask(), await ask()) == ("one", None)


async def test_ctrl_c_at_a_prompt_leaves_nothing_waiting():
    out, into = os.pipe()
    waiting = asyncio.create_task(LineReader(out).line())
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not asyncio.get_running_loop().remove_reader(out)
    os.close(out)
    os.close(into)


async def test_ctrl_c_during_an_answer_stops_the_model(desk):
    asked, stopped = asyncio.Event(), asyncio.Event()

    async def endless(messages, info):
        try:
            asked.set()
            await asyncio.sleep(30)
            yield "never"
        finally:
            stopped.set()

    desk.model = FunctionModel(stream_function=endless)
    async with desk.open() as assistant:
        talking = asyncio.create_task(chat(assistant, Console(file=io.StringIO()), ask=lines("loans")))
        await asyncio.wait_for(asked.wait(), 5)
        talking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talking
        await asyncio.wait_for(stopped.wait(), 5)
