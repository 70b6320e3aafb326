"""The incident log: what happened, how grave it is, and when somebody looks at it again."""

from __future__ import annotations

import re
from datetime import timedelta

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import SafetyDeps
from assistant.packs.qsr.tools.days import day_in
from assistant.packs.qsr.tools.emergencies import CALL, Severity, procedure_in, procedures
from assistant.packs.qsr.tools.matching import find, says, words
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.people import everyone_named, person_named
from assistant.packs.qsr.tools.phrases import count, listing, say_day, sentence
from assistant.packs.qsr.tools.replies import agrees, asks, declines, is_bare_request, matter_of
from assistant.packs.qsr.tools.rows import Keyed, Row, day, next_id, text, texts
from assistant.packs.qsr.tools.thread import keep, last_people, recall, speak_of
from assistant.packs.qsr.tools.whom import whose

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
LATER = "All right, I logged nothing. You can log it later in this conversation."
WHAT_HAPPENED = NextQuestion(tool="log_incident", argument="what", question="What happened, to whom and where?")
OTHER_INCIDENT = ("near miss", "another", "something else", "new incident", "different", "hit nobody")
UNHURT = ("near miss", "almost", "no injury", "nobody was hurt", "no one was hurt", "nobody hurt", "hit nobody")


async def log_incident(ctx: RunContext[SafetyDeps], what: str, severity: Severity | None = None, addition: str = "") -> Outcome:
    """Log an incident or injury in the incident log with its severity and a follow-up date.

    Use for: "log an incident, Devon burned his hand on fryer 2"; "I need to report that a guest slipped by the door"
    "write up a near miss, a box fell from the top shelf"; "file an incident report for the cut finger"; "put this in the incident log"

    Args:
        what: what happened, to whom and where, in the user's words.
        severity: severity of the incident. Leave out to infer it from the words.
        addition: answer to the question whether to log the emergency in `what`, in the user's words.
    """
    deps = ctx.deps
    said = addition or what
    if declines(said):
        return told(LATER)
    call = what if addition else text(await recall(deps), CALL)
    if call and asks(said):
        return _not_yet(call)
    what = await in_full(deps, call, said)
    if not what:
        return not_found("I will log it.", ask=WHAT_HAPPENED)
    kind = procedure_in(call) if call and what.startswith(call) else procedure_in(what)
    grade, today = severity or severity_in(what), deps.now().date()
    follow_up = today + timedelta(days=FOLLOW_UP_DAYS[grade])
    people = [found for found, _ in await everyone_named(deps, what)]
    row: Row = {
        "what": what,
        "kind": kind or "other",
        "severity": grade,
        "person": people[0] if people else None,
        "status": "open",
    }
    row |= _reported(deps) | {"follow_up_on": follow_up.isoformat(), "notes": []}
    key = next_id(await deps.state.items(INCIDENTS), "INC")
    await deps.state.put(INCIDENTS, key, row)
    await speak_of(deps, people)
    if call and kind == procedure_in(call):
        await keep(deps, **{CALL: None})
    said = f"I logged incident {key} as {grade}: {sentence(what)} Follow-up is on {say_day(follow_up, today)}."
    return told(said + (" Tell the manager on duty now." if grade == "serious" else ""), [(key, row)])


async def in_full(deps: TurnDeps, call: str, said: str) -> str:
    """What happened, from what is said now and the words of the emergency call when what is said leaves out who, what or where.

    Empty when neither tells anything.
    """
    rest = ", ".join(part for part in _parts(said) if not (agrees(part) or is_bare_request(part)))
    if not call or not rest:
        return call or (matter_of(said) if rest else "")
    if set(words(matter_of(rest))) <= set(words(call)):
        return call
    kind, named, matter = procedure_in(said), await person_named(deps, said), matter_of(said)
    told_whole = matter != said.strip() and says(said, ("incident", "injury", "accident"))
    other = kind not in (None, procedure_in(call)) or (kind is None and told_whole)
    own = says(said, OTHER_INCIDENT) or (kind is not None and named is not None) or (other and whose(said) != "other")
    return matter if own else f"{call}; {rest}"


def _reported(deps: TurnDeps) -> Row:
    return {"reported_at": deps.now().isoformat(timespec="minutes"), "reported_by": deps.user_id}


def _not_yet(call: str) -> Outcome:
    """A question in place of a yes: what must not be done is said again, and the offer stays open."""
    found = procedures().get(procedure_in(call) or "")
    advice = f"{found.never} {found.call} " if found else ""
    question = "Say yes when I should log it."
    ask = NextQuestion(tool="log_incident", argument="addition", question=question, arguments={"what": call})
    return not_found(f"{advice}I have not logged it yet.", ask=ask)


def _parts(said: str) -> list[str]:
    return [part.strip() for part in re.split(r"[.,;!?\n]+(?!\d)", said) if part.strip()]


async def list_incidents(ctx: RunContext[SafetyDeps], topic: str = "open") -> Outcome:
    """List the open incidents with severity and follow-up date, or look up one by id, person or subject.

    Use for: "which incidents are still open"; "show me INC-0002"; "any follow-ups due today"; "what incidents did we have with burns"
    "is the incident with Devon closed"

    Args:
        topic: id, person or subject to narrow the list to; `open` for all open ones.
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
        incident: id or subject of the incident, in the user's words.
        note: follow-up note, in the user's words.
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
    person = await _person(deps, phrase)
    if person:
        return [item for item in rows.items() if text(item[1], "person") == person]
    kind = procedure_in(phrase)
    by_kind = [item for item in rows.items() if kind and text(item[1], "kind") == kind]
    return by_kind or find(phrase, rows, fields=("what",))


async def _person(deps: TurnDeps, phrase: str) -> str:
    """Key of the person named, or of the one spoken of last when a pronoun stands for them; empty when neither."""
    named = await person_named(deps, phrase)
    if named:
        await speak_of(deps, [named[0]])
        return named[0]
    last = await last_people(deps) if whose(phrase, only_names=False) == "other" else []
    return last[0] if len(last) == 1 else ""


def _say(key: str, row: Row) -> str:
    due = day(row, "follow_up_on")
    when = f", follow-up on {say_day(due)}" if due and text(row, "status", "open") == "open" else ""
    return f"{key} ({text(row, 'severity', 'not graded')}, {text(row, 'status', 'open')}{when}): {text(row, 'what').rstrip('.')}"
