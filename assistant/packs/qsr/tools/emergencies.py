"""What to do in an emergency, step by step; the procedures are in `data/emergencies.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import SafetyDeps
from assistant.packs.qsr.tools.matching import says
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.people import everyone_named
from assistant.packs.qsr.tools.phrases import listing
from assistant.packs.qsr.tools.rows import text
from assistant.packs.qsr.tools.thread import keep, recall, speak_of

Severity = Literal["minor", "moderate", "serious"]
CALL = "emergency"
"""Fact of a thread: the words of an emergency that is not in the incident log yet."""
LOG_QUESTION = "When everyone is safe, tell me in your own words what happened and I will log the incident. Shall I log it?"


class Procedure(BaseModel):
    """Steps in order, what never to do, when to call for help, and how grave such an event usually is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    signs: list[str]
    steps: list[str]
    never: str
    call: str
    severity: Severity


@cache
def procedures() -> dict[str, Procedure]:
    """All procedures by name."""
    data = yaml.safe_load((Path(__file__).parent / "data" / "emergencies.yaml").read_text("utf-8"))
    return TypeAdapter(dict[str, Procedure]).validate_python(data)


def procedure_in(situation: str) -> str | None:
    """Name of the procedure whose longest sign the words mention; the first listed wins a tie."""
    best: tuple[int, str] | None = None
    for name, procedure in procedures().items():
        length = max((len(sign) for sign in procedure.signs if says(situation, [sign, f"{sign}s"])), default=0)
        if length and (best is None or length > best[0]):
            best = (length, name)
    return best[1] if best else None


async def get_emergency_steps(ctx: RunContext[SafetyDeps], situation: str) -> Outcome:
    """Tell what to do right now in an emergency: burn, chemical splash, cut, choking, fire, gas, shock, fall, allergic reaction, robbery.

    Use for: "Devon burned his hand on the fryer"; "I got degreaser in my eye, what do I do"; "a guest is choking"
    "there is a grease fire on the grill"; "I smell gas in the kitchen"; "someone slipped and hit her head"
    "Priya cut her finger with a knife and it is bleeding"; "we were just robbed"

    Args:
        situation: what is happening, in the user's words.
    """
    name = procedure_in(situation)
    call = await _call(ctx.deps, situation, name)
    if name is None:
        known = listing([procedure.title for procedure in procedures().values()], "or")
        question = f"Which is it: {known}?"
        lead = "If someone is in danger, call 911 first."
        return not_found(lead, ask=NextQuestion(tool="get_emergency_steps", argument="situation", question=question))
    found = procedures()[name]
    steps = " ".join(f"{place}. {step}" for place, step in enumerate(found.steps, start=1))
    address = text(await ctx.deps.state.get("store", "main") or {}, "address")
    where = f" The address for the call is {address}." if address else ""
    summary = f"{found.title.capitalize()}, do this now: {steps} {found.never} {found.call}{where}"
    return told(
        summary,
        [(name, {"steps": list(found.steps)})],
        ask=NextQuestion(tool="log_incident", argument="addition", question=LOG_QUESTION, arguments={"what": call}),
    )


async def _call(deps: TurnDeps, situation: str, name: str | None) -> str:
    """The words an incident is logged from: those of the first call, unless they did not say what it is or who was hurt, or it is
    another emergency now."""
    named = await everyone_named(deps, situation)
    await speak_of(deps, [key for key, _ in named])
    before = text(await recall(deps), CALL)
    earlier = procedure_in(before)
    call = situation
    if before and name in (None, earlier):
        adds = situation not in before and (earlier is None or (named and not await everyone_named(deps, before)))
        call = f"{before}; {situation}" if adds else before
    elif before and earlier is None:
        call = f"{before}; {situation}"
    await keep(deps, **{CALL: call})
    return call
