"""Onboarding plans: a row per task of a new team member, made from the template of their role."""

from __future__ import annotations

from datetime import timedelta

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import TrainingDeps
from assistant.packs.qsr.tools.matching import find, mentioned, says
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.people import PEOPLE, everyone_named
from assistant.packs.qsr.tools.phrases import listing, names_of, say_day
from assistant.packs.qsr.tools.rows import Keyed, Row, day, number, records, text
from assistant.packs.qsr.tools.whom import other_meant, person_meant, someone_meant

TEMPLATES = "onboarding_templates"
TASKS = "onboarding_tasks"
DEFAULT_ROLE = "crew"
NEW_HIRE = ("new hire", "new hires", "new guy", "new girl", "new team member", "newcomer")


async def create_onboarding_plan(ctx: RunContext[TrainingDeps], person: str, role: str = "") -> Outcome:
    """Create an onboarding plan for a new team member, starting today.

    Use for: "create an onboarding plan for Tomas"; "set up onboarding for our new hire Chloe Nguyen"; "start the first week plan for Jamal as shift lead"
    "new cook Priya starts today, make her plan"

    Args:
        person: name of the new team member.
        role: role to be trained for, such as crew or shift lead.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    who = await other_meant(deps, person, "create_onboarding_plan")
    if not isinstance(who, tuple):
        return who
    templates = await deps.state.items(TEMPLATES)
    meant = mentioned(role, templates) or ([] if role else mentioned(person, templates))
    key = meant[0][0] if meant else "" if role else DEFAULT_ROLE
    if key not in templates:
        return not_found(
            f"No onboarding plan exists for the role {role!r}. Roles with a plan: {listing(list(templates)) or 'none'}."
        )
    name = text(who[1], "name")
    if _of(await deps.state.items(TASKS), who[0]):
        return not_found(f"{name} already has an onboarding plan, so I left it as it is. Ask me for its status.")
    made: list[Keyed] = []
    for position, task in enumerate(records(templates[key], "tasks"), start=1):
        due = today + timedelta(days=int(number(task, "day") or 1) - 1)
        row: Row = {"person": who[0], "position": position, "task": text(task, "task"), "due": due.isoformat(), "done_on": None}
        made.append((f"{who[0]}-{position:02d}", row))
        await deps.state.put(TASKS, made[-1][0], row)
    lines = [f"{text(row, 'task')} (by {say_day(due)})" for _, row in made if (due := day(row, "due"))]
    return told(f"I created a {key} onboarding plan with {len(made)} tasks for {name}: {'; '.join(lines)}.", made)


async def get_onboarding_status(ctx: RunContext[TrainingDeps], person: str = "everyone") -> Outcome:
    """Show how far a person's onboarding is: tasks done, open and overdue.

    Use for: "how is Chloe's onboarding going"; "what onboarding tasks are left for Tomas"; "who is still being onboarded"; "is the new hire on track"

    Args:
        person: name of the team member, or `everyone`.
    """
    deps = ctx.deps
    tasks = await deps.state.items(TASKS)
    unnamed = says(person, NEW_HIRE) and not await everyone_named(deps, person)
    who = None if unnamed else await someone_meant(deps, person, "get_onboarding_status")
    if who is not None and not isinstance(who, tuple):
        return who
    if who is not None:
        own = _of(tasks, who[0])
        if not own:
            return not_found(f"{text(who[1], 'name')} has no onboarding plan.")
        return told(await _status(deps, who, own), own)
    people = await deps.state.items(PEOPLE)
    going = [item for item in people.items() if any(not text(row, "done_on") for _, row in _of(tasks, item[0]))]
    if not going:
        return told("Nobody is being onboarded at the moment.")
    return told(" ".join([await _status(deps, item, _of(tasks, item[0])) for item in going]), going)


async def complete_onboarding_task(ctx: RunContext[TrainingDeps], person: str, task: str) -> Outcome:
    """Mark an onboarding task of a person as done today.

    Use for: "Chloe finished the safety tour, tick it off"; "mark hand washing as done for Tomas"; "Chloe has done her station shadowing"

    Args:
        person: name of the team member. Their own words, such as `my` or `his`, when nobody is named.
        task: onboarding task that was done, in the user's words.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    who = await person_meant(deps, person, "complete_onboarding_task")
    if not isinstance(who, tuple):
        return who
    own = _of(await deps.state.items(TASKS), who[0])
    name = text(who[1], "name")
    if not own:
        return not_found(f"{name} has no onboarding plan.")
    found = find(task, dict(own), fields=("task",))
    if len(found) != 1:
        left = [item for item in own if not text(item[1], "done_on")]
        question = f"Which task did {name} finish: {names_of(left, 'task', joint='or')}?"
        ask = NextQuestion(tool="complete_onboarding_task", argument="task", question=question)
        return not_found("I could not tell the task.", ask=ask)
    key, row = found[0]
    row |= {"done_on": today.isoformat(), "done_by": deps.user_id}
    await deps.state.put(TASKS, key, row)
    return told(f"I ticked off for {name}: {text(row, 'task')}. {await _status(deps, who, own)}", [(key, row)])


def _of(tasks: dict[str, Row], person: str) -> list[Keyed]:
    own = [item for item in tasks.items() if text(item[1], "person") == person]
    return sorted(own, key=lambda item: (number(item[1], "position") or 0, item[0]))


async def _status(deps: TurnDeps, who: Keyed, own: list[Keyed]) -> str:
    today = deps.now().date()
    left = [item for item in own if not text(item[1], "done_on")]
    said = f"{text(who[1], 'name')} has done {len(own) - len(left)} of {len(own)} onboarding tasks."
    if not left:
        return f"{said} The onboarding is complete."
    late = [item for item in left if (due := day(item[1], "due")) and due < today]
    said += f" Still to do: {names_of(left, 'task')}."
    return said + (f" Overdue: {names_of(late, 'task')}." if late else "")
