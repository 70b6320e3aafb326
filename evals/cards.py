"""The scenario card: one situation, what the user says, what a right answer does, and the proof that its checks can fail.

Cards are YAML files, one card a file, `datasets/<pack>/scenarios/<area>/<id>.yaml`. `card_schema()` is the JSON schema editors use.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_evals import Case

from assistant.wire import Collections, Fault

Severity = Literal["critical", "major", "minor"]
Said = str | list[str]
"""A phrase that must occur; a list means any one of its phrases."""


class CardModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolExpectation(CardModel):
    """`arguments` is a subset: each named argument must match (numbers within 0.5 %, text by containment, case ignored)."""

    name: str
    arguments: dict[str, JsonValue] = {}


class Expectation(CardModel):
    """What must hold for one turn. An absent field checks nothing."""

    agent: str | list[str] | None = Field(default=None, description="The agent that must answer, or any one of a list")
    tools: list[ToolExpectation] | None = Field(
        default=None, description="Tool calls that must occur; an empty list: none may occur"
    )
    order: Literal["exact", "in_order", "any_order"] = Field(default="in_order", description="How `tools` are matched")
    forbid_tools: list[str] = Field(default=[], description="Tools that must not be called")
    say: list[Said] = Field(default=[], description="Phrases the answer must contain; numbers with units match across F and C")
    not_say: list[str] = Field(default=[], description="Phrases the answer must not contain")
    cite: list[str] | bool | None = Field(
        default=None, description="Documents of which at least one must be cited; true: any; false: none"
    )
    handoff: bool | None = Field(default=None, description="Whether this turn moves to another specialist")
    outcome: str | list[str] | None = Field(default=None, description="answered, refused, abstained, degraded or error")


class CardTurn(CardModel):
    user: Annotated[str, Field(min_length=1)]
    expect: Expectation = Expectation()


class Budgets(CardModel):
    """Per turn."""

    turn_s: float | None = None
    model_calls: int | None = None
    output_tokens: int | None = None


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
    expect_state: dict[str, list[dict[str, JsonValue]]] = Field(
        default={}, description="Per collection: each row must be contained in some row of the end state (`_key` matches the key)"
    )
    absent_state: dict[str, list[dict[str, JsonValue]]] = Field(
        default={}, description="Per collection: rows no row of the end state may contain"
    )
    reference: Solution
    sabotage: Sabotage
    known_issue: KnownIssue | None = None

    @model_validator(mode="after")
    def _solutions_fit_turns(self) -> Card:
        if len(self.reference.turns) != len(self.turns):
            raise ValueError(
                f"reference: has {len(self.reference.turns)} turns, the card has {len(self.turns)}; write one entry per turn"
            )
        beyond = [number for number in self.sabotage.turns if not 1 <= number <= len(self.turns)]
        if beyond:
            raise ValueError(f"sabotage.turns: {beyond[0]} is not a turn of this card; use 1 to {len(self.turns)}")
        return self

    def as_case(self) -> Case[list[str], Any, dict[str, Any]]:
        """The card as a pydantic-evals case: inputs are the user's messages, metadata is the card."""
        return Case(name=self.id, inputs=[turn.user for turn in self.turns], metadata=self.model_dump(mode="json"))


def card_schema() -> dict[str, Any]:
    schema = Card.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Assay scenario card"
    return schema
