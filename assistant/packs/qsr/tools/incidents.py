"""The incident log: what happened, how grave it is, and when somebody looks at it again."""

from __future__ import annotations

import re
from datetime import timedelta

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import SafetyDeps
from assistant.packs.qsr.tools.days import day_in
from assistant.packs.qsr.tools.emergencies import Severity, procedure_in, procedures
from assistant.packs.qsr.tools.matching import find, says
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.people import person_named
from assistant.packs.qsr.tools.phrases import count, listing, say_day, sentence
from assistant.packs.qsr.tools.replies import agrees, declines, is_bare_request, matter_of
from assistant.packs.qsr.tools.rows import Keyed, Row, day, next_id, text, texts

INCIDENTS = "incidents"
FOLLOW_UP_DAYS: dict[str, int] = {"serious": 1, "moderate": 3, "minor": 7}
SERIOUS = (
    "ambulance",
    "911",
    "hospital",
    "unconscious",
    "hospitalized",
    "surgery",
    "severe",
    "serious",
    "fracture",
    "broken",
    "robbed",
    "fire",
)
MODERATE = ("doctor", "clinic", "urgent care", "stitches", "sent home", "blister", "blisters", "swollen", "moderate", "sprained")
MINOR = ("minor", "small", "little", "slight", "bandage", "tiny")
UNHURT = ("near miss", "almost", "no injury", "nobody was hurt", "no one was hurt", "nobody hurt", "hit nobody")


async def log_incident(ctx: RunContext[SafetyDeps], what: str, severity: Severity | None = None) -> Outcome:
    """Log an incident or injury in the incident log with its severity and a follow-up date.

    Use for: "log an incident, Devon burned his hand on fryer 2"; "I need to report that a guest slipped by the door"
    "write up a near miss, a box fell from the top shelf"; "file an incident report for the cut finger"; "put this in the incident log"

    Args:
        what: What happened, to whom and where, in the user's words.
        severity: How grave it is. Leave out to infer it from the words.
    """
    deps = ctx.deps
    if declines(what):
        return told("All right, I logged nothing. You can log it later in this conversation.")
    if agrees(what) or is_bare_request(what):
        ask = NextQuestion(tool="log_incident", argument="what", question="What happened, to whom and where?")
        return not_found("I will log it.", ask=ask)
    grade = severity or severity_in(what)
    today = deps.now().date()
    follow_up = today + timedelta(days=FOLLOW_UP_DAYS[grade])
    key = next_id(await deps.state.items(INCIDENTS), "INC")
    person = await person_named(deps, what)
    row: Row = {
        "what": matter_of(what),
        "kind": procedure_in(what) or "other",
        "severity": grade,
        "person": person[0] if person else None,
        "status": "open",
        "reported_at": deps.now().isoformat(timespec="minutes"),
        "reported_by": deps.user_id,
        "follow_up_on": follow_up.isoformat(),
        "notes": [],
    }
    await deps.state.put(INCIDENTS, key, row)
    tail = " Tell the manager on duty now." if grade == "serious" else ""
    said = f"I logged incident {key} as {grade}: {sentence(matter_of(what))} Follow-up is on {say_day(follow_up, today)}.{tail}"
    return told(said, [(key, row)])


async def list_incidents(ctx: RunContext[SafetyDeps], topic: str = "open") -> Outcome:
    """List the open incidents with severity and follow-up date, or look up one by id, person or subject.

    Use for: "which incidents are still open"; "show me INC-0002"; "any follow-ups due today"; "what incidents did we have with burns"
    "is the incident with Devon closed"

    Args:
        topic: An id, a person or a subject to narrow the list; `open` for all open ones.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = await deps.state.items(INCIDENTS)
    narrowed = await _meant(deps, rows, topic)
    found = narrowed or [item for item in rows.items() if text(item[1], "status", "open") == "open"]
    if not found:
        return told("No incident is open.")
    late = [key for key, row in found if (due := day(row, "follow_up_on")) and due < today and text(row, "status") == "open"]
    lines = [_say(key, row) for key, row in found]
    tail = f" Follow-up is overdue for {listing(late)}." if late else ""
    kind = "incident" if narrowed else "open incident"
    return told(f"{count(len(found), kind).capitalize()}: {'; '.join(lines)}.{tail}", found)


async def update_incident(ctx: RunContext[SafetyDeps], incident: str, note: str) -> Outcome:
    """Update an incident with a follow-up note; a date in the note moves the follow-up, `closed` in the note closes it.

    Use for: "add to INC-0001 that the doctor cleared Devon"; "move the follow-up of INC-0002 to Friday"; "close incident INC-0001, all done"
    "update the slip incident, new mats were ordered"

    Args:
        incident: The incident's id, or words of what happened.
        note: What to add, in the user's words.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = await deps.state.items(INCIDENTS)
    found = await _meant(deps, rows, incident) or await _meant(deps, rows, note)
    if len(found) != 1:
        known = listing([key for key, row in rows.items() if text(row, "status", "open") == "open"]) or "none"
        return not_found(f"I need the id of one incident to update it. Open incidents: {known}.")
    key, row = found[0]
    row["notes"] = [*texts(row, "notes"), f"{today.isoformat()} {deps.user_id}: {note}"]
    moved = day_in(note, today)
    closes = says(note, ("close", "closed", "resolved", "done with it")) and not says(
        note, ("not closed", "dont close", "do not close")
    )
    if closes:
        row |= {"status": "closed", "closed_on": today.isoformat()}
    elif moved and moved >= today:
        row["follow_up_on"] = moved.isoformat()
    await deps.state.put(INCIDENTS, key, row)
    due = day(row, "follow_up_on")
    state = "It is now closed." if closes else f"Follow-up is on {say_day(due, today)}." if due else "It has no follow-up date."
    return told(f"I added the note to {key}: {sentence(note)} {state}", [(key, row)])


def severity_in(what: str) -> Severity:
    """How grave an event is by its words; by its kind when the words do not say."""
    levels: list[tuple[Severity, tuple[str, ...]]] = [
        ("minor", UNHURT),
        ("serious", SERIOUS),
        ("moderate", MODERATE),
        ("minor", MINOR),
    ]
    for level, cues in levels:
        if says(what, cues):
            return level
    name = procedure_in(what)
    return procedures()[name].severity if name else "minor"


async def _meant(deps: TurnDeps, rows: dict[str, Row], phrase: str) -> list[Keyed]:
    ids = [key.upper() for key in re.findall(r"\binc[- ]?\d+\b", phrase.lower())]
    if ids:
        wanted = {f"INC-{int(re.sub(r'[^0-9]', '', found)):04d}" for found in ids}
        return [item for item in rows.items() if item[0] in wanted]
    if phrase.strip().lower() in ("", "open", "all"):
        return []
    person = await person_named(deps, phrase)
    if person:
        return [item for item in rows.items() if text(item[1], "person") == person[0]]
    kind = procedure_in(phrase)
    by_kind = [item for item in rows.items() if kind and text(item[1], "kind") == kind]
    return by_kind or find(phrase, rows, fields=("what",))


def _say(key: str, row: Row) -> str:
    due = day(row, "follow_up_on")
    when = f", follow-up on {say_day(due)}" if due and text(row, "status", "open") == "open" else ""
    return f"{key} ({text(row, 'severity', 'not graded')}, {text(row, 'status', 'open')}{when}): {text(row, 'what').rstrip('.')}"
