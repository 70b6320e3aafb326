"""What a simulated user is after: the goal of a card whose user's words are not fixed beforehand.

The card's one turn is how such a user begins; what it expects holds of the conversation as a whole.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Phrase = str | list[str]
"""A phrase; a list means any one of its phrases."""


class GoalModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reply(GoalModel):
    """What a scripted user says when the answer contains any of `when`. `then` is the tree from there on; absent: the same tree again."""

    when: Annotated[list[str], Field(min_length=1)]
    say: Annotated[str, Field(min_length=1)]
    then: Tree | None = None


class Tree(GoalModel):
    """`replies` are tried in order. `otherwise` is said when none fits; without it the script has no answer, which is its own fault."""

    replies: list[Reply] = []
    otherwise: Annotated[str | None, Field(min_length=1)] = None

    @model_validator(mode="after")
    def _says_something(self) -> Tree:
        if not self.replies and self.otherwise is None:
            raise ValueError("tree: has neither `replies` nor `otherwise`; write what the user says next")
        return self


class Reached(GoalModel):
    """When the user has what it came for: one answer contains every phrase of `say`, and the state holds every row of `state`."""

    say: list[Phrase] = []
    state: dict[str, list[dict[str, JsonValue]]] = {}

    @model_validator(mode="after")
    def _asks_something(self) -> Reached:
        if not self.say and not self.state:
            raise ValueError("reached: names neither `say` nor `state`; a user without an end never stops")
        return self


class Goal(GoalModel):
    wants: Annotated[
        str, Field(min_length=1, description="What the user is after, in one sentence, told to the model that plays it")
    ]
    facts: list[str] = Field(default=[], description="What the user knows and may tell; it makes up nothing beyond")
    secrets: list[str] = Field(
        default=[], description="Phrases the user must not say first, beside those the card's `say` expects"
    )
    reached: Reached
    max_turns: Annotated[int, Field(ge=2, le=20)] = 6
    tree: Tree | None = None
