"""Opening and closing checklists: one row per task, done for the day it was done on."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic_ai import RunContext

from assistant.packs.qsr.deps import OperationsDeps
from assistant.packs.qsr.tools.matching import find
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import listing
from assistant.packs.qsr.tools.rows import Keyed, Row, number, text

CHECKLIST_ITEMS = "checklist_items"
Checklist = Literal["opening", "closing"]


async def get_checklist(ctx: RunContext[OperationsDeps], checklist: Checklist) -> Outcome:
    """Show today's opening or closing checklist with its progress: what is done and what is left.

    Use for: "show me the opening checklist"; "what is left to do before we close"; "how far are we with opening"
    "what's next on the closing list"; "did we finish the opening checklist today"

    Args:
        checklist: checklist.
    """
    today = ctx.deps.now().date()
    rows = _of(await ctx.deps.state.items(CHECKLIST_ITEMS), checklist)
    if not rows:
        return not_found(f"No {checklist} checklist is set up.")
    return told(_progress(rows, checklist, today), rows)


async def complete_checklist_item(ctx: RunContext[OperationsDeps], item: str) -> Outcome:
    """Mark a task of the opening or closing checklist as done today.

    Use for: "the lobby is swept, tick it off"; "mark unlock the doors as done"; "opening: registers are counted"
    "check off the fryer filtering on the closing list"; "I finished the restroom check"

    Args:
        item: task that was done, in the user's words.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = await deps.state.items(CHECKLIST_ITEMS)
    named = next((name for name in ("opening", "closing") if name in item.lower()), None)
    pool = {key: row for key, row in rows.items() if named is None or text(row, "checklist") == named}
    found = find(item, pool, fields=("task", "aliases"))
    found = [one for one in found if not _done(one[1], today)] or found
    if not found:
        left = listing([text(row, "task") for row in pool.values() if not _done(row, today)]) or "none"
        return not_found(f"I found no checklist task that fits {item!r}. Open tasks: {left}.")
    if len(found) > 1:
        choices = listing([f"{text(row, 'task')} ({text(row, 'checklist')})" for _, row in found], "or")
        question = f"Which one is done: {choices}?"
        ask = NextQuestion(tool="complete_checklist_item", argument="item", question=question)
        return not_found("More than one task fits.", ask=ask)
    key, row = found[0]
    checklist = text(row, "checklist")
    if _done(row, today):
        return told(f"{text(row, 'task')} was already ticked off today.", [(key, row)])
    row |= {"done_on": today.isoformat(), "done_by": deps.user_id}
    await deps.state.put(CHECKLIST_ITEMS, key, row)
    after = _of({**rows, key: row}, checklist)
    return told(f"I ticked off: {text(row, 'task')}. {_progress(after, checklist, today)}", [(key, row)])


def _of(rows: dict[str, Row], checklist: str) -> list[Keyed]:
    own = [item for item in rows.items() if text(item[1], "checklist") == checklist]
    return sorted(own, key=lambda item: (number(item[1], "position") or 0, item[0]))


def _done(row: Row, today: date) -> bool:
    return text(row, "done_on")[:10] == today.isoformat()


def _progress(rows: list[Keyed], checklist: str, today: date) -> str:
    done = [text(row, "task") for _, row in rows if _done(row, today)]
    left = [text(row, "task") for _, row in rows if not _done(row, today)]
    head = f"{checklist.capitalize()} checklist: {len(done)} of {len(rows)} tasks are done today."
    if not left:
        return f"{head} Nothing is left."
    said = f" Done: {'; '.join(done)}." if done else ""
    return f"{head}{said} Still to do: {'; '.join(left)}."
