"""Decision trees for guided diagnosis, read from `data/`: one file per kind of machine, several symptoms each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from assistant.packs.qsr.tools.matching import says, words

FILES = ("soft_serve.yaml", "fryer.yaml", "mixer.yaml", "refrigeration.yaml")
FIXED, SERVICE, MAKE_SAFE = "fixed", "service", "make-safe"
Reading = Literal["yes", "no", "fixed", "still", "done", "danger", "unsure", "unclear"]


class _Node(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Node):
    """One thing to do and a yes/no question about it. `yes` and `no` name the next step or an end."""

    do: str
    ask: str
    yes: str
    no: str
    hints: dict[Literal["yes", "no"], list[str]] = {}


class End(_Node):
    """How a diagnosis can end. `service`: a technician is needed."""

    say: str
    service: bool
    urgent: bool = False


class Tree(_Node):
    """The way from one symptom to its end. Steps are in order; the first one makes the machine safe."""

    symptom: str
    signs: list[str]
    gone: list[str] = []
    steps: dict[str, Step]
    ends: dict[str, End] = {}
    fixed: str
    service: str

    @model_validator(mode="after")
    def _targets_exist(self) -> Self:
        known = {*self.steps, *self.ends, FIXED, SERVICE, MAKE_SAFE}
        lost = sorted({target for step in self.steps.values() for target in (step.yes, step.no)} - known)
        if lost:
            raise ValueError(f"symptom {self.symptom!r}: no step or end is named {', '.join(lost)}")
        return self

    @property
    def first(self) -> str:
        return next(iter(self.steps))

    def end(self, target: str) -> End | None:
        """The end of this name; None when `target` is a step."""
        if target in self.ends:
            return self.ends[target]
        if target == FIXED:
            return End(say=self.fixed, service=False)
        return End(say=self.service, service=True) if target == SERVICE else None

    def after(self, step_id: str) -> str:
        """The step listed next, or the service end after the last."""
        order = list(self.steps)
        spot = order.index(step_id) + 1
        return order[spot] if spot < len(order) else SERVICE


class Kind(_Node):
    """All trees of one kind of machine. `words` are what people say that only this kind has."""

    kind: str
    label: str
    words: list[str]
    trees: dict[str, Tree]


@cache
def kinds() -> dict[str, Kind]:
    """All trees by kind of machine."""
    folder = Path(__file__).parent / "data"
    found = [Kind.model_validate(yaml.load((folder / file).read_text("utf-8"), Loader=yaml.BaseLoader)) for file in FILES]
    return {kind.kind: kind for kind in found}


def symptom_in(problem: str, kind: Kind) -> str | None:
    """Name of the tree whose longest sign the problem mentions; the first listed wins a tie."""
    best: tuple[int, str] | None = None
    for name, tree in kind.trees.items():
        length = max((len(sign) for sign in tree.signs if says(problem, [sign])), default=0)
        if length and (best is None or length > best[0]):
            best = (length, name)
    return best[1] if best else None


_DANGER = (
    "smell gas",
    "smells like gas",
    "gas smell",
    "smell of gas",
    "sparks",
    "sparking",
    "flames",
    "on fire",
    "electric shock",
)
_PREFERRED: tuple[Reading, ...] = ("no", "yes", "done")
_NEGATED = re.compile(
    r"\b(?:no|not|never|without|dont|doesnt|isnt|wasnt|nope|didnt|cant|wont|hasnt|arent|werent|hadnt|nothing)\b"
)
_BEFORE = re.compile(r"\b(?:wasnt|werent|didnt|hadnt|was not|were not|did not|had not|before|earlier|at first)\b")
_PARTS = re.compile(r"[.,;:!?\n]+(?!\d)|\b(?:but|and|then|though|although|because|cause|so)\b")
_UNSURE = (
    "not sure",
    "dont know",
    "do not know",
    "no idea",
    "cant tell",
    "cannot tell",
    "unsure",
    "maybe",
    "what do you mean",
    "how do i",
)
_STILL = (
    "still",
    "same",
    "no change",
    "no difference",
    "didnt help",
    "did not help",
    "didnt work",
    "not fixed",
    "no better",
    "again already",
)
_NOT_WORKING = ("not working", "does not work", "doesnt work", "no luck")
_FIXED = ("fixed", "works now", "working now", "working again", "works again", "its working", "it works", "is working", "solved",
          "that did it", "all good", "back to normal", "its fine now", "running again", "resolved", "heating again", "cold again",
          "runs now", "running now", "runs again", "runs fine", "works fine", "fired right up", "fired up", "fires up", "started right up",
          "starts now", "starts again", "good now", "fine now", "good to go", "did the trick", "that worked", "up and running",
          "its back up", "problem gone", "problem is gone")  # fmt: skip
_NO = (
    "no",
    "nope",
    "nah",
    "not",
    "negative",
    "isnt",
    "doesnt",
    "dont",
    "wont",
    "cant",
    "arent",
    "wasnt",
    "didnt",
    "hasnt",
    "never",
)
_YES = ("yes", "yeah", "yep", "yup", "sure", "correct", "right", "affirmative", "y")
_SOFT_YES = ("it is", "it does", "they are", "they do", "it has", "it did", "it was", "i am", "i do", "i have", "we did")
_EVERY_QUESTION = {"machine", "mixer", "fryer", "unit", "now"}
_DONE = (
    "done",
    "ok",
    "okay",
    "did it",
    "did that",
    "i did",
    "finished",
    "ready",
    "next",
    "got it",
    "all set",
    "checked",
    "completed",
)


def read_answer(answer: str, step: Step | None = None, gone: Sequence[str] = ()) -> Reading:
    """What an answer amounts to, whatever its words, clause by clause: a later clause says how it ended, and what was so before does not
    count against what is so now.

    With the `step` that was asked about, its own words for yes and no count too, and a clause that repeats the question's words without a
    negation is a yes (`it is in AUTO`). `gone` are words that mean `fixed` for the trouble at hand (`light went off`).
    """
    plain = answer.lower().replace("'", "").replace("’", "")
    parts = [part.strip() for part in _PARTS.split(plain) if part.strip()]
    read: list[tuple[str, Reading]] = [(part, _read_part(part, step, gone)) for part in parts]
    readings = [reading for _, reading in read]
    if "danger" in readings:
        return "danger"
    ended: list[Reading] = [reading for reading in readings if reading in ("fixed", "still")]
    if ended:
        return ended[-1]
    if "unsure" in readings:
        return "unsure"
    if readings and readings[0] == "yes" and says(parts[0].split()[0], _YES):
        return "yes"
    past = {part for part, reading in read if reading == "no" and "yes" in readings and _BEFORE.search(part)}
    return _first([reading for part, reading in read if part not in past])


def _first(readings: Sequence[Reading]) -> Reading:
    """The one that counts of several: a thing that is not so outweighs one that is."""
    for reading in _PREFERRED:
        if reading in readings:
            return reading
    return "unclear"


def _read_part(part: str, step: Step | None, gone: Sequence[str]) -> Reading:
    negated = bool(_NEGATED.search(part))
    hints = step.hints if step and not negated else {}
    rules: list[tuple[Reading, Sequence[str]]] = [
        ("danger", () if negated else _DANGER),
        ("unsure", _UNSURE),
        ("still", _STILL),
        ("no", _NOT_WORKING),
        ("fixed", () if negated else (*_FIXED, *gone)),
        ("no", _NO),
        ("yes", _YES),
        ("no", hints.get("no", ())),
        ("yes", hints.get("yes", ())),
        ("yes", _SOFT_YES),
        ("yes", (part,) if step and not negated and _echoes(part, step.ask) else ()),
        ("done", _DONE),
    ]
    for reading, phrases in rules:
        if says(part, phrases):
            return reading
    return "unclear"


def _echoes(answer: str, question: str) -> bool:
    asked = set(words(question)) - _EVERY_QUESTION
    return len(asked & set(words(answer))) >= max(1, len(asked) / 2)


def target_of(tree: Tree, step_id: str, reading: Reading) -> str | None:
    """Where an answer leads from a step; None when it does not answer the step's question."""
    step = tree.steps[step_id]
    solved = "yes" if step.yes == FIXED else "no" if step.no == FIXED else None
    if reading == "fixed":
        return FIXED
    if reading == "still":
        return {"yes": step.no, "no": step.yes, None: tree.after(step_id)}[solved]
    if reading == "done" and step.yes in tree.steps:
        return step.yes
    return {"yes": step.yes, "no": step.no}.get(reading)
