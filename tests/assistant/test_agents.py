"""What specialists are told, who answers next, and what an answer leaves open."""

from datetime import UTC, datetime

import pytest
from pydantic_ai import Agent, FunctionToolset, ModelRequest, ModelResponse, RunContext, TextPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.test import TestModel

from assistant.agents.answer import as_json
from assistant.agents.factory import build_specialists
from assistant.agents.handoff import open_question, settle
from assistant.agents.knowledge import citations
from assistant.agents.prompts import load_prompts
from assistant.agents.toolset import fixed_tools
from assistant.agents.watched import WatchedModel
from assistant.deps import Passage
from assistant.faults import Faults
from assistant.pack import Pack, PackError
from assistant.routing import NO_AGENT, Decision
from assistant.spans import Spans

QUESTION = {"tool": "book_room", "argument": "seats", "question": "How many?"}


def decision(agent, confidence=0.8, alternatives=(("loans", 0.15), ("none", 0.05))):
    return Decision(agent=agent, intent="i", confidence=confidence, alternatives=list(alternatives), stage="head", duration_s=0.0)


class TestPrompts:
    def test_every_unusable_template_is_told(self, desk_folder):
        (desk_folder / "prompts/loans.md").write_text("Today is {{ todai }} in {{ brunch }}.")
        (desk_folder / "prompts/rooms.md").write_text("Fine so far\n{% if %}")
        with pytest.raises(PackError) as caught:
            load_prompts(Pack.load(desk_folder))
        assert [str(fault) for fault in caught.value.faults] == [
            "prompts/loans.md: brunch: unknown variable (did you mean 'branch'?)",
            "prompts/loans.md: todai: unknown variable (did you mean 'today'?)",
            "prompts/rooms.md: line 2: Expected an expression, got 'end of statement block'",
        ]

    async def test_agents_and_time_can_be_told(self, desk):
        (desk.pack.prompts / "rooms.md").write_text(
            "{% for name, does in agents.items() %}{{ name }}: {{ does }} {% endfor %}{{ time }}"
        )
        prompts = load_prompts(desk.pack)
        deps = desk.pack.agents["rooms"].deps_type(state=None, knowledge=None, user_id="u", thread_id="t", now=lambda: desk.now)
        assert prompts["rooms"].render(deps) == "loans: Lends books. rooms: Books rooms. 09:30"


class TestFactory:
    def test_models_with_one_name_are_one_model(self, desk):
        asked = []

        def resolve(name):
            asked.append(name)
            return desk.parts.resolve(name)

        desk.configure(agent_models={"rooms": "special"})
        specialists = build_specialists(desk.pack, desk.settings, resolve)
        assert (sorted(specialists), asked) == (["loans", "rooms"], ["embedded", "special"])


class TestSettle:
    def test_a_new_conversation_goes_where_the_router_says(self, desk):
        route = settle(decision("rooms"), current=None, pack=desk.pack)
        assert (route.agent, route.handoff_from) == ("rooms", None)

    def test_another_agent_takes_over(self, desk):
        route = settle(decision("rooms"), current="loans", pack=desk.pack)
        assert (route.agent, route.handoff_from) == ("rooms", "loans")

    def test_nobody_is_no_handoff(self, desk):
        assert settle(decision(NO_AGENT), current="loans", pack=desk.pack).handoff_from is None

    def test_a_forbidden_handoff_leaves_the_conversation_where_it_is(self, desk_folder):
        file = desk_folder / "pack.yaml"
        file.write_text(file.read_text() + "handoffs: {rooms: [loans]}\n")
        pack = Pack.load(desk_folder)
        route = settle(decision("rooms"), current="loans", pack=pack)
        assert (route.agent, route.handoff_from) == ("loans", None)
        assert (route.decision.agent, route.decision.confidence, route.decision.stage) == ("loans", 0.15, "sticky")
        assert route.decision.alternatives == [("rooms", 0.8), ("none", 0.05)]
        assert settle(decision("loans"), current="rooms", pack=pack).handoff_from == "rooms"


def result(content, outcome="success"):
    return ModelRequest(parts=[ToolReturnPart(tool_name="t", content=content, tool_call_id="1", outcome=outcome)])


def answer(**details):
    return ModelResponse(parts=[TextPart(content="ok")], provider_details=details or None)


class TestOpenQuestion:
    @pytest.mark.parametrize(
        ("messages", "expected"),
        [
            ([], None),
            ([ModelRequest(parts=[UserPromptPart(content="hi")]), answer()], None),
            ([result({"summary": "s"}), answer()], None),
            ([result("text"), answer()], None),
            ([result({"next": None}), answer()], None),
            ([result({"next": QUESTION}, outcome="failed"), answer()], None),
            ([result({"next": QUESTION}), answer()], QUESTION),
            ([result({"next": QUESTION}), result({"summary": "later"}), answer()], None),
            ([answer(asked=QUESTION)], QUESTION),
            ([answer(embedded={"asked": QUESTION})], QUESTION),
            ([answer(asked="no mapping", outcome="answered")], None),
            ([answer(asked={"tool": object()})], None),
        ],
    )
    def test_it_is_what_the_answer_left(self, messages, expected):
        assert open_question(messages) == expected


class TestCitations:
    def test_the_whole_passage_is_quoted_on_one_line(self):
        class Shelf:
            def passage(self, document, passage):
                return Passage(document=document, passage=passage, title="T", heading="", text="one\n two ", version=1, score=0)

        (cited,) = citations("See [a.b#c-d].", Shelf())
        assert (cited.document, cited.passage, cited.quote) == ("a.b", "c-d", "one two")

    def test_other_brackets_are_no_citations(self):
        assert list(citations("[note] [#x] [a#] [a b#c] (a#b)", None)) == []


def test_overlapping_spans_count_once():
    times = iter([0.0, 1.0, 3.0, 4.0, 10.0, 11.0])
    spans = Spans(lambda: next(times))
    with spans.during("model"), spans.during("tool", "a"):
        pass
    with spans.during("tool", "b"):
        pass
    assert (spans.busy_s(), spans.busy_s("model"), spans.busy_s("tool")) == (5.0, 4.0, 3.0)
    assert (spans.tool_s("a"), spans.tool_s("b"), spans.tool_s("never")) == (2.0, 1.0, 0)


async def test_a_watched_model_times_plain_requests_too():
    told = []

    async def before():
        told.append("before")

    spans = Spans()
    model = WatchedModel(TestModel(custom_output_text="hi"), spans=spans, faults=Faults(), before=before)
    assert (await Agent(model).run("x")).output == "hi"
    assert told == ["before"] and spans.busy_s("model") > 0


def test_results_without_a_json_form_are_told_as_text():
    assert as_json({"at": 1.5, "when": datetime(2026, 1, 1, tzinfo=UTC)}) == {"at": 1.5, "when": "2026-01-01T00:00:00Z"}
    assert as_json(object) == str(object)


async def test_the_tools_of_a_specialist_are_listed_once_and_work_in_every_run(monkeypatch):
    listed = []
    original = FunctionToolset.get_tools

    async def counted(self, ctx):
        listed.extend(self.tools)
        return await original(self, ctx)

    monkeypatch.setattr(FunctionToolset, "get_tools", counted)

    def grams(_ctx: RunContext[None], cups: int) -> int:
        """Flour by weight."""
        return 120 * cups

    tools = fixed_tools([grams], max_retries=1)
    agent = Agent(TestModel(), toolsets=[tools])
    first, second = [(await agent.run("x")).output for _ in range(2)]
    assert first == second == '{"grams":0}'
    assert listed == ["grams"]
