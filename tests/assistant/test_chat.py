"""The conversation in a terminal."""

import io

from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.models.function import DeltaToolCall, FunctionModel
from rich.console import Console

from assistant.chat import ask_at, chat


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


async def test_a_failing_model_is_a_sentence(desk):
    async def fails(messages, info):
        raise ModelAPIError("m", "boom")
        yield ""

    desk.model = FunctionModel(stream_function=fails)
    assert "error: The model did not answer." in await said(desk, "loans")


async def test_an_unknown_thread_is_a_sentence(desk):
    assert "There is no thread 'nope'" in await said(desk, "loans", thread_id="nope")


async def test_the_end_of_input_ends_the_chat(monkeypatch):
    console = Console(file=io.StringIO())
    monkeypatch.setattr("builtins.input", lambda prompt="": "typed")
    assert await ask_at(console)() == "typed"

    def ended(prompt=""):
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    assert await ask_at(console)() is None
