"""Whether the store is ready for an audit: inspection items by date, and the team's legally required cards."""

from __future__ import annotations

from datetime import date, timedelta

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import SafetyDeps
from assistant.packs.qsr.tools.matching import find, says
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.people import name_of
from assistant.packs.qsr.tools.phrases import count, names_of, say_day
from assistant.packs.qsr.tools.rows import Row, day, number, text

COMPLIANCE = "compliance"
CERTIFICATIONS = "certifications"
CARD_WARNING_DAYS = 60
CARD_WORDS = (
    "card",
    "cards",
    "certificate",
    "certificates",
    "certification",
    "certifications",
    "cert",
    "certs",
    "food handler",
    "food handlers",
    "servsafe",
)
ITEM_WORDS = ("inspection", "inspections", "inspector", "audit", "items", "everything", "all")


async def get_compliance_status(ctx: RunContext[SafetyDeps], topic: str = "all") -> Outcome:
    """Show the compliance status: inspection items overdue or due soon, and the team's required cards expired or expiring in 60 days.

    Use for: "are we ready for the health inspection"; "which food handler cards have expired in the team"; "compliance status of the store"
    "is the hood inspection up to date"; "what is missing before the audit"

    Args:
        topic: inspection item, `cards` for the team's cards alone, or `all`.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = await deps.state.items(COMPLIANCE)
    named = find(topic, rows) if topic.strip().lower() != "all" else []
    if len(named) == 1:
        return told(f"{_say(named[0][1], today)}.", named)
    cards = [item for item in (await deps.state.items(CERTIFICATIONS)).items() if _needs_renewal(item[1], today)]
    open_items = [item for item in rows.items() if (due := day(item[1], "due")) and due <= today + timedelta(days=7)]
    said: list[str] = []
    only_cards = says(topic, CARD_WORDS) and not says(topic, ITEM_WORDS)
    if not only_cards:
        lines = [_say(row, today) for _, row in sorted(open_items, key=lambda item: text(item[1], "due"))]
        late = sum(1 for _, row in open_items if (due := day(row, "due")) and due < today)
        head = f"{count(late, 'inspection item')} overdue, {len(open_items) - late} due within 7 days"
        said.append(f"{head.capitalize()}: {'; '.join(lines)}." if lines else "No inspection item is due within 7 days.")
    lines = [await _say_card(deps, row, today) for _, row in sorted(cards, key=lambda item: text(item[1], "expires"))]
    head = f"{count(len(lines), 'required card')} expired or expiring within {CARD_WARNING_DAYS} days"
    said.append(
        f"{head.capitalize()}: {'; '.join(lines)}." if lines else f"No required card expires within {CARD_WARNING_DAYS} days."
    )
    return told(" ".join(said), [*([] if only_cards else open_items), *cards])


async def complete_compliance_item(ctx: RunContext[SafetyDeps], item: str) -> Outcome:
    """Mark an inspection item of the compliance checklist as done today.

    Use for: "tick off the fire extinguisher check"; "the eyewash was flushed today"; "mark the pest control visit as done"
    "compliance item SDS binder is complete"

    Args:
        item: inspection item that was done, in the user's words.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = await deps.state.items(COMPLIANCE)
    found = find(item, rows)
    if not found:
        return not_found(f"I found no inspection item that fits {item!r}. Items: {names_of(list(rows.items())) or 'none'}.")
    if len(found) > 1:
        question = f"Which one was done: {names_of(found, joint='or')}?"
        ask = NextQuestion(tool="complete_compliance_item", argument="item", question=question)
        return not_found("More than one inspection item fits.", ask=ask)
    key, row = found[0]
    due = today + timedelta(days=int(number(row, "every_days") or 30))
    row |= {"last_done": today.isoformat(), "due": due.isoformat(), "done_by": deps.user_id}
    await deps.state.put(COMPLIANCE, key, row)
    return told(f"I ticked off {text(row, 'name')} for {say_day(today)}. It is next due on {say_day(due)}.", [(key, row)])


def _needs_renewal(row: Row, today: date) -> bool:
    expires = day(row, "expires")
    return row.get("required") is not False and expires is not None and expires <= today + timedelta(days=CARD_WARNING_DAYS)


async def _say_card(deps: TurnDeps, row: Row, today: date) -> str:
    expires = day(row, "expires") or today
    verb = "expired on" if expires < today else "expires on"
    return f"{await name_of(deps, text(row, 'person'))}'s {text(row, 'certificate')} {verb} {say_day(expires, today)}"


def _say(row: Row, today: date) -> str:
    due, done = day(row, "due"), day(row, "last_done")
    last = f", last done on {say_day(done)}" if done else ", never done"
    if due is None:
        return f"{text(row, 'name')} has no due date{last}"
    late = (today - due).days
    state = (
        f"is overdue by {count(late, 'day')} (it was due on {say_day(due)})" if late > 0 else f"is due on {say_day(due, today)}"
    )
    return f"{text(row, 'name')} {state}{last}"
