"""The maintenance schedule: what is due or overdue, and what was done."""

from __future__ import annotations

from datetime import date, timedelta

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import EquipmentDeps
from assistant.packs.qsr.tools.machines import MACHINES, machines_meant
from assistant.packs.qsr.tools.matching import find, mentioned
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import count, listing, say_day
from assistant.packs.qsr.tools.rows import Keyed, Row, day, number, text

MAINTENANCE = "maintenance"
SOON_DAYS = 7


async def list_maintenance(ctx: RunContext[EquipmentDeps], machine: str = "all") -> Outcome:
    """List planned maintenance that is overdue or due within 7 days, or all of it for one machine.

    Use for: "what maintenance is due this week"; "is any cleaning overdue on the machines"; "when is the next boil-out of fryer 1"
    "maintenance schedule for the mixer"; "which machine tasks did we miss"

    Args:
        machine: machine to narrow the list to, or `all`.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = await deps.state.items(MAINTENANCE)
    meant = {key for key, _ in await machines_meant(deps, machine)}
    if meant:
        of_machine = {key: row for key, row in rows.items() if text(row, "machine") in meant}
        found = mentioned(machine, of_machine, fields=("task", "aliases")) or list(of_machine.items())
        if not found:
            name = text((await deps.state.get(MACHINES, sorted(meant)[0])) or {}, "name")
            return not_found(f"No maintenance is planned for the {name}.")
    else:
        found = [item for item in rows.items() if (due := day(item[1], "due")) and due <= today + timedelta(days=SOON_DAYS)]
    if not found:
        return told(f"Nothing is overdue and nothing is due within {SOON_DAYS} days.")
    found.sort(key=lambda item: text(item[1], "due"))
    late = sum(1 for _, row in found if (due := day(row, "due")) and due < today)
    lines = [await _say_task(deps, row, today) for _, row in found]
    head = f"{count(len(found), 'maintenance task')}, {late or 'none'} overdue"
    return told(f"{head[0].upper()}{head[1:]}: {'; '.join(lines)}.", found)


async def record_maintenance(ctx: RunContext[EquipmentDeps], task: str) -> Outcome:
    """Record that a maintenance task on a machine was done today and plan it anew.

    Use for: "I finished the boil-out on fryer 1"; "log that the left soft-serve was brush cleaned"; "mark the cooler coil cleaning as done"
    "we changed the mixer grease today, put it in the maintenance log"

    Args:
        task: machine and the task that was done, in the user's words.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = await deps.state.items(MAINTENANCE)
    found = await _tasks_meant(deps, rows, task)
    if not found:
        names = listing([await _name(deps, row) for row in rows.values()])
        return not_found(
            f"I found no planned task that fits {task!r}. Planned tasks: {names}." if rows else "No maintenance is planned."
        )
    if len(found) > 1:
        choices = listing([await _name(deps, row) for _, row in found], "or")
        ask = NextQuestion(tool="record_maintenance", argument="task", question=f"Which one was done: {choices}?")
        return not_found("More than one task fits.", ask=ask)
    key, row = found[0]
    due = today + timedelta(days=int(number(row, "every_days") or 30))
    row |= {"last_done": today.isoformat(), "due": due.isoformat(), "done_by": deps.user_id}
    await deps.state.put(MAINTENANCE, key, row)
    name = await _name(deps, row)
    return told(f"Recorded: {name} was done on {say_day(today)}. It is next due on {say_day(due)}.", [(key, row)])


async def _tasks_meant(deps: TurnDeps, rows: dict[str, Row], task: str) -> list[Keyed]:
    meant = {key for key, _ in await machines_meant(deps, task)}
    on_machine = {key: row for key, row in rows.items() if text(row, "machine") in meant} if meant else dict(rows)
    return find(task, on_machine, fields=("task", "aliases")) or (list(on_machine.items()) if len(on_machine) == 1 else [])


async def _name(deps: TurnDeps, row: Row) -> str:
    machine = await deps.state.get(MACHINES, text(row, "machine"))
    return f"{text(machine or {}, 'name', text(row, 'machine'))} {text(row, 'task')}"


async def _say_task(deps: TurnDeps, row: Row, today: date) -> str:
    due, name = day(row, "due"), await _name(deps, row)
    if due is None:
        return f"{name}, no date set"
    late = (today - due).days
    if late > 0:
        return f"{name}, overdue by {count(late, 'day')} (it was due on {say_day(due)})"
    return f"{name}, due on {say_day(due, today)}"
