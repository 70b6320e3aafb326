"""Looks machines up in the store's registry."""

from __future__ import annotations

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import EquipmentDeps
from assistant.packs.qsr.tools.matching import find
from assistant.packs.qsr.tools.outcome import Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import count, listing, names_of, say_day
from assistant.packs.qsr.tools.rows import Keyed, Row, day, text

MACHINES = "machines"
FIELDS = ("name", "aliases", "make", "kind", "model", "serial")


async def machines_meant(deps: TurnDeps, phrase: str) -> list[Keyed]:
    """The machines a phrase may mean; several when it does not say which."""
    return find(phrase, await deps.state.items(MACHINES), fields=FIELDS)


async def unknown_machine(deps: TurnDeps, phrase: str) -> Outcome:
    """The answer when no machine fits: names those there are."""
    rows = await deps.state.items(MACHINES)
    if not rows:
        return not_found("No machines are registered for this store.")
    return not_found(f"I found no machine that fits {phrase!r}. Registered machines: {names_of(list(rows.items()))}.")


async def get_machine(ctx: RunContext[EquipmentDeps], machine: str) -> Outcome:
    """Look up a machine in the store's registry: make, model, serial number, location, warranty, last service and status.

    Use for: "what is the serial number of fryer 2"; "is the left soft-serve still under warranty"; "which model is our Hobart mixer"
    "where is the ice machine and when was it last serviced"; "who services the walk-in cooler"; "machine details for the grill"

    Args:
        machine: machine, in the user's words. Its name, kind, make, model or serial number will do.
    """
    deps = ctx.deps
    found = await machines_meant(deps, machine)
    if not found:
        return await unknown_machine(deps, machine)
    return told(" ".join(_describe(deps, row) for _, row in found), found)


async def list_machines(ctx: RunContext[EquipmentDeps], kind: str = "all") -> Outcome:
    """List the machines in the store's registry with their location and status.

    Use for: "which machines do we have"; "list all our equipment"; "how many fryers are there"; "what Traulsen units are registered"
    "which machines are out of service right now"

    Args:
        kind: kind or make to narrow the list to, `out of service`, or `all`.
    """
    rows = await ctx.deps.state.items(MACHINES)
    down = [item for item in rows.items() if text(item[1], "status", "in service") != "in service"]
    if "out of" in kind.lower() or "down" in kind.lower():
        if not down:
            return told(f"All {len(rows)} registered machines are in service.")
        return told(f"Out of service: {listing([_brief(row) for _, row in down])}.", down)
    narrowed = find(kind, rows, fields=FIELDS, whole=True)
    found = narrowed or list(rows.items())
    if not found:
        return not_found("No machines are registered for this store.")
    note = f" Out of service: {names_of(down)}." if down and not narrowed else ""
    return told(f"The store has {count(len(found), 'machine')}: {listing([_brief(row) for _, row in found])}.{note}", found)


def _brief(row: Row) -> str:
    return f"{text(row, 'name')} ({text(row, 'make')} {text(row, 'model')}, {text(row, 'location', 'no location')})"


def _describe(deps: TurnDeps, row: Row) -> str:
    today = deps.now().date()
    said = [
        f"{text(row, 'name')} is a {text(row, 'make')} {text(row, 'model')}, serial number {text(row, 'serial', 'not recorded')}, "
        f"at {text(row, 'location', 'no recorded location')}. It is {text(row, 'status', 'in service')}."
    ]
    until, served = day(row, "warranty_until"), day(row, "last_service")
    if until:
        said.append(f"The warranty {'runs until' if until >= today else 'ended on'} {say_day(until, today)}.")
    if served:
        said.append(f"The last service was on {say_day(served, today)}.")
    if text(row, "service_company"):
        said.append(f"Service company: {text(row, 'service_company')}, {text(row, 'service_phone', 'no phone number recorded')}.")
    return " ".join(said)
