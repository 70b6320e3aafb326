"""The knowledge tool searches with what the message follows on: the passage the last answer cited, else the words before the user's."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pydantic_ai import ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart

from assistant.agents.knowledge import PASSAGES, search_knowledge
from assistant.deps import Passage

CHAIN = Passage(document="bikes", passage="chain", title="Bikes", heading="The chain", text="Oil it.", version=1, score=0.1234567)


class Shelf:
    def __init__(self):
        self.asked = []

    def search(self, query, *, limit=5, agent=None):
        self.asked.append((query, limit, agent))
        return [CHAIN]

    def passage(self, document, passage):
        return CHAIN if (document, passage) == ("bikes", "chain") else None


def user(text):
    return ModelRequest(parts=[UserPromptPart(content=text)])


def said(text):
    return ModelResponse(parts=[TextPart(content=text)])


SEARCHED = [
    ModelResponse(parts=[ToolCallPart(tool_name="search_knowledge", args={"query": "q"}, tool_call_id="1")]),
    ModelRequest(parts=[ToolReturnPart(tool_name="search_knowledge", content={}, tool_call_id="1")]),
]


async def searched(query, *, prompt, messages):
    shelf = Shelf()
    ctx = SimpleNamespace(
        deps=SimpleNamespace(knowledge=shelf), prompt=prompt, messages=messages, agent=SimpleNamespace(name="shop")
    )
    found = await search_knowledge(ctx, query)
    assert found["passages"] == [
        {"document": "bikes", "passage": "chain", "title": "Bikes", "heading": "The chain", "text": "Oil it.", "score": 0.123457}
    ]
    [(asked, limit, agent)] = shelf.asked
    assert (limit, agent) == (PASSAGES, "shop")
    return asked


@pytest.mark.parametrize(
    ("history", "query", "expected"),
    [
        ([], "how often?", "how often?"),
        ([user("oil?"), *SEARCHED, said("Oil it. [bikes#chain]")], "how often?", "Bikes: The chain\nhow often?"),
        ([user("oil?"), *SEARCHED, said("Oil it. [bikes#gone]")], "how often?", "how often?"),
        ([user("oil?"), said("Oil it. [bikes#chain]"), user("thanks"), said("Welcome.")], "how often?", "how often?"),
        ([user("do I oil it"), said("Which?")], "do I oil it how often?", "do I oil it\nhow often?"),
        ([user("oil?"), said("Oil it. [bikes#chain]")], "do I oil it how often?", "Bikes: The chain\nhow often?"),
        ([user("oil?"), said("Oil it. [bikes#chain]")], "oil interval", "Bikes: The chain\noil interval"),
        ([], "the chain \n\n how often?", "the chain\nhow often?"),
    ],
)
async def test_the_query_stands_below_what_it_follows_on(history, query, expected):
    asked = await searched(query, prompt="how often?", messages=[*history, user("how often?"), *SEARCHED])
    assert asked == expected


async def test_a_message_that_is_no_text_is_no_context():
    assert await searched("how often?", prompt=None, messages=[]) == "how often?"
