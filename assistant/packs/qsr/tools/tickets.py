"""Service tickets for machines."""

from __future__ import annotations

from typing import Literal

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import EquipmentDeps
from assistant.packs.qsr.tools.diagnosis import DIAGNOSES
from assistant.packs.qsr.tools.machines import MACHINES, machines_meant
from assistant.packs.qsr.tools.matching import says, words
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import count, names_of, say_day
from assistant.packs.qsr.tools.replies import agrees, declines, matter_of
from assistant.packs.qsr.tools.rows import Row, day, next_id, text, texts

TICKETS = "tickets"
Priority = Literal["normal", "urgent"]
URGENT = (
    "urgent",
    "emergency",
    "asap",
    "right away",
    "gas",
    "fire",
    "sparks",
    "shock",
    "not cooling",
    "immediately",
    "now",
    "leak",
)


async def create_service_ticket(ctx: RunContext[EquipmentDeps], problem: str, priority: Priority | None = None) -> Outcome:
    """Create a service ticket so that a technician comes for a machine.

    Use for: "open a service ticket for fryer 2, the thermostat is off"; "call a technician for the left soft-serve"
    "we need someone to repair the mixer"; "create a work order, the freezer door gasket is torn"; "book a repair for the ice machine, urgent"

    Args:
        problem: machine and its problem, in the user's words.
        priority: priority of the ticket. `urgent` is for danger or a machine the store cannot open without; leave out to infer it from the words.
    """
    deps = ctx.deps
    if declines(problem):
        return told("All right, I opened no ticket.")
    diagnosis = await deps.state.get(DIAGNOSES, deps.thread_id) or {}
    machine, name = await _machine(deps, problem, diagnosis)
    if not machine:
        rows = await deps.state.items(MACHINES)
        alike = {key: row for key, row in rows.items() if text(row, "kind") == text(diagnosis, "kind")} or rows
        return not_found("I need to know the machine to open a ticket.", ask=_which(names_of(list(alike.items()), joint="or")))
    known = await deps.state.get(MACHINES, machine) or {}
    what = _problem(problem, text(diagnosis, "symptom_name"), known)
    urgent = priority == "urgent" or (priority is None and (says(problem, URGENT) or diagnosis.get("urgent") is True))
    key = next_id(await deps.state.items(TICKETS), "TKT")
    company = text(known, "service_company", "the service company")
    row: Row = {
        "machine": machine,
        "machine_name": name,
        "problem": what,
        "priority": "urgent" if urgent else "normal",
        "status": "open",
        "company": company,
        "opened_at": deps.now().isoformat(timespec="minutes"),
        "opened_by": deps.user_id,
    }
    await deps.state.put(TICKETS, key, row)
    return told(
        f"I opened service ticket {key} for {name} with {company}, {row['priority']} priority: {what.rstrip('.')}.",
        [(key, row)],
    )


async def list_service_tickets(ctx: RunContext[EquipmentDeps], machine: str = "all") -> Outcome:
    """List the open service tickets, for all machines or for one.

    Use for: "which service tickets are open"; "is a technician coming for fryer 2"; "status of the repair of the ice machine"
    "did anyone report the freezer already"; "what repairs are we waiting for"

    Args:
        machine: machine or ticket id to narrow the list to, or `all`.
    """
    deps = ctx.deps
    rows = await deps.state.items(TICKETS)
    by_id = [item for item in rows.items() if says(machine, [item[0]])]
    meant = {key for key, _ in await machines_meant(deps, machine)}
    found = by_id or [
        item
        for item in rows.items()
        if text(item[1], "status", "open") != "closed" and (not meant or text(item[1], "machine") in meant)
    ]
    if not found:
        name = names_of(await machines_meant(deps, machine)) if meant else "any machine"
        return not_found(f"No service ticket is open for {name}.")
    lines = [_say(key, row) for key, row in found]
    return told(f"{count(len(found), 'service ticket')}: {'; '.join(lines)}.", found)


async def _machine(deps: TurnDeps, problem: str, diagnosis: Row) -> tuple[str, str]:
    found = await machines_meant(deps, problem)
    if len(found) == 1:
        return found[0][0], text(found[0][1], "name")
    return text(diagnosis, "machine"), text(diagnosis, "machine_name")


def _which(machines: str) -> NextQuestion:
    return NextQuestion(tool="create_service_ticket", argument="problem", question=f"Which machine is it for: {machines}?")


def _problem(problem: str, symptom: str, machine: Row) -> str:
    """What the ticket says: the diagnosed symptom when the words only agree or name the machine, else the words."""
    names = [text(machine, "name"), *texts(machine, "aliases"), text(machine, "kind"), text(machine, "make")]
    only_names = set(words(problem)) <= {word for name in names for word in words(name)}
    return symptom if symptom and (agrees(problem) or only_names) else matter_of(problem)


def _say(key: str, row: Row) -> str:
    opened = day(row, "opened_at")
    when = f", opened on {say_day(opened)}" if opened else ""
    name = text(row, "machine_name", text(row, "machine"))
    return f"{key} for {name} ({text(row, 'priority', 'normal')} priority, {text(row, 'status', 'open')}{when}): {text(row, 'problem')}"
