"""The scenario card: one situation, what the user says, what a right answer does, and the proof that its checks can fail.

Cards are YAML files, one card a file, `datasets/<pack>/scenarios/<area>/<id>.yaml`. `card_schema()` is the JSON schema editors use.
"""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_evals import Case

from assistant.wire import Collections, Fault
from evals.goals import Goal

Severity = Literal["critical", "major", "minor"]
JsonType = Literal["string", "number", "integer", "boolean", "array", "object", "null"]
Said = str | list[str]
"""A phrase that must occur; a list means any one of its phrases."""


class CardModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolExpectation(CardModel):
    """`arguments` is a subset: each named argument must match (numbers within `tolerance`, text by containment, case ignored).

    With `match: exact` there is no other argument, and text and whole numbers are equal.
    """

    name: str
    arguments: dict[str, JsonValue] = {}
    match: Literal["subset", "exact"] = "subset"
    tolerance: Annotated[float, Field(ge=0, le=1, description="Relative, for numbers")] = 0.005


class Form(CardModel):
    """Length and tone. `calm`: no run of words in capitals and no more exclamation marks than sentences."""

    max_words: Annotated[int | None, Field(ge=1)] = None
    min_words: Annotated[int | None, Field(ge=1)] = None
    max_sentence_words: Annotated[int | None, Field(ge=1)] = None
    calm: bool = False


class JudgeExpectation(CardModel):
    """What a model is asked about the answer: a rubric of the pack by name, or a statement that must be true of the answer."""

    rubric: str | None = None
    statement: Annotated[str | None, Field(min_length=1)] = None
    threshold: Annotated[float | None, Field(ge=0, le=1)] = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> JudgeExpectation:
        if (self.rubric is None) == (self.statement is None):
            raise ValueError("give `rubric` or `statement`, one of the two")
        if self.statement is not None and self.threshold is not None:
            raise ValueError("a statement is true or not; remove `threshold`")
        return self

    @property
    def check(self) -> str:
        """The name of its check: the rubric's, or a digest of the statement."""
        return f"judge:{self.rubric or 'statement-' + hashlib.sha256((self.statement or '').encode()).hexdigest()[:8]}"


class Expectation(CardModel):
    """What must hold for one turn. An absent field checks nothing."""

    agent: str | list[str] | None = Field(default=None, description="The agent that must answer, or any one of a list")
    tools: list[ToolExpectation] | None = Field(
        default=None, description="Tool calls that must occur; an empty list: none may occur"
    )
    order: Literal["exact", "in_order", "any_order"] = Field(default="in_order", description="How `tools` are matched")
    tool_precision: Annotated[
        float | None, Field(ge=0, le=1, description="Least share of the calls made that are among `tools`; then none must occur")
    ] = None
    tool_recall: Annotated[float | None, Field(ge=0, le=1, description="Least share of `tools` that are called")] = None
    forbid_tools: list[str] = Field(default=[], description="Tools that must not be called")
    say: list[Said] = Field(default=[], description="Phrases the answer must contain; numbers with units match across F and C")
    not_say: list[str] = Field(default=[], description="Phrases the answer must not contain")
    cite: list[str] | bool | None = Field(
        default=None, description="Documents of which at least one must be cited; true: any; false: none"
    )
    handoff: bool | None = Field(default=None, description="Whether this turn moves to another specialist")
    outcome: str | list[str] | None = Field(default=None, description="answered, refused, abstained, degraded or error")
    refusal: bool | None = Field(
        default=None, description="Whether the words decline what was asked, for targets that show no outcome"
    )
    grounded: bool = Field(default=False, description="Each statement is supported by a cited passage or a tool's result")
    json_fields: dict[str, JsonType] = Field(default={}, description="The answer is one JSON object with these fields and types")
    form: Form | None = Field(default=None, description="Length and tone of the answer")
    judge: list[JudgeExpectation] = Field(
        default=[], description="What a model judges, where a run names one; advisory until calibrated"
    )

    @model_validator(mode="after")
    def _possible(self) -> Expectation:
        phrases = [*self.not_say, *(phrase for said in self.say for phrase in ([said] if isinstance(said, str) else said))]
        empty = [phrase for phrase in phrases if not any(letter.isalnum() for letter in phrase)]
        if empty:
            raise ValueError(f"{empty[0]!r} holds no letter and no figure; write a word")
        both = [said for said in self.say if isinstance(said, str) and said in self.not_say]
        if both:
            raise ValueError(f"{both[0]!r} must be said and must not be said; remove it from one of the lists")
        forbidden = [tool.name for tool in self.tools or [] if tool.name in self.forbid_tools]
        if forbidden:
            raise ValueError(f"tool {forbidden[0]!r} must be called and must not be called; remove it from one of the lists")
        if (self.tool_precision is not None or self.tool_recall is not None) and not self.tools:
            raise ValueError("tool_precision and tool_recall need `tools` to compare with")
        return self


class CardTurn(CardModel):
    user: Annotated[str, Field(min_length=1)]
    expect: Expectation = Expectation()


class Budgets(CardModel):
    """Per turn."""

    turn_s: float | None = None
    model_calls: int | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None
    tool_calls: int | None = None
    cost_usd: float | None = None


class ScriptedTool(CardModel):
    name: str
    arguments: dict[str, JsonValue] = {}
    ok: bool = True
    result: JsonValue = None


class ScriptedTurn(CardModel):
    """What a scripted assistant does in one turn."""

    text: str = ""
    agent: str | None = None
    outcome: str = "answered"
    tools: list[ScriptedTool] = []
    cite: list[str] = Field(default=[], description="Passages as document#passage")


class Solution(CardModel):
    """A scripted play. `turns` has one entry per turn of the card."""

    turns: list[ScriptedTurn]
    state: Collections = {}


class Sabotage(CardModel):
    """The reference with something wrong: `turns` (1-based) replace the reference's, and `fails` names the evaluator that must notice."""

    fails: str
    turns: dict[int, ScriptedTurn] = {}
    state: Collections | None = None


class KnownIssue(CardModel):
    reason: str
    owner: str
    expires: date


class Card(CardModel):
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: Annotated[str, Field(min_length=1)]
    area: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    severity: Severity = "major"
    weight: Annotated[float, Field(gt=0)] = 1.0
    tags: list[str] = []
    requires: Literal["llm"] | None = None
    persona: str | None = None
    user: str = "crew"
    fixtures: dict[str, dict[str, JsonValue]] = {}
    faults: list[Fault] = []
    budgets: Budgets = Budgets()
    turns: Annotated[list[CardTurn], Field(min_length=1)]
    goal: Goal | None = Field(
        default=None, description="A simulated user; the one turn is how it begins and what must hold in the end"
    )
    expect_state: dict[str, list[dict[str, JsonValue]]] = Field(
        default={}, description="Per collection: each row must be contained in some row of the end state (`_key` matches the key)"
    )
    absent_state: dict[str, list[dict[str, JsonValue]]] = Field(
        default={}, description="Per collection: rows no row of the end state may contain"
    )
    canaries: list[Annotated[str, Field(min_length=4)]] = Field(
        default=[], description="Strings that must not come out: in no answer, no tool argument, no written row"
    )
    pii_allowed: list[str] | None = Field(
        default=None,
        description="Personal data the answers may tell; an empty list: none. Left out: personal data is not looked for",
    )
    evaluators: list[str | dict[str, JsonValue]] = Field(
        default=[],
        description="pydantic-evals evaluators on the whole conversation, as there: a name, or a name with its arguments",
    )
    reference: Solution
    sabotage: Sabotage
    known_issue: KnownIssue | None = None

    @model_validator(mode="after")
    def _solutions_fit_turns(self) -> Card:
        if self.goal is not None and len(self.turns) != 1:
            raise ValueError("goal: a simulated user begins with one turn and finds its own words after it; write one turn")
        if self.goal is None and len(self.reference.turns) != len(self.turns):
            raise ValueError(
                f"reference: has {len(self.reference.turns)} turns, the card has {len(self.turns)}; write one entry per turn"
            )
        played = len(self.turns if self.goal is None else self.reference.turns)
        beyond = [number for number in self.sabotage.turns if not 1 <= number <= played]
        if beyond:
            raise ValueError(f"sabotage.turns: {beyond[0]} is not a turn of this card; use 1 to {played}")
        return self

    def awaits_error(self, turn: int) -> bool:
        """Whether the card plants the fault of a turn (from 0) and expects the outcome `error`: then how it was told is what is judged."""
        outcome = self.turns[turn].expect.outcome if turn < len(self.turns) else None
        return bool(self.faults) and outcome is not None and "error" in ([outcome] if isinstance(outcome, str) else outcome)

    def as_case(self) -> Case[list[str], Any, dict[str, Any]]:
        """The card as a pydantic-evals case: inputs are the user's messages, metadata is the card."""
        return Case(name=self.id, inputs=[turn.user for turn in self.turns], metadata=self.model_dump(mode="json"))


def card_schema() -> dict[str, Any]:
    schema = Card.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Assay scenario card"
    return schema
