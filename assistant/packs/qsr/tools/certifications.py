"""Certificates of the team: who has which, until when, and renewals."""

from __future__ import annotations

from datetime import date, timedelta

from pydantic_ai import RunContext

from assistant.packs.qsr.deps import TrainingDeps
from assistant.packs.qsr.tools.days import day_in
from assistant.packs.qsr.tools.matching import find, mentioned
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.people import name_of
from assistant.packs.qsr.tools.phrases import count, names_of, say_day
from assistant.packs.qsr.tools.rows import Row, day, number, text
from assistant.packs.qsr.tools.whom import person_meant

CERTIFICATIONS = "certifications"
CERTIFICATES = "certificate_types"


async def get_certifications(ctx: RunContext[TrainingDeps], person: str) -> Outcome:
    """Look up a person's certificates with their expiry dates.

    Use for: "when does Devon's food handler card expire"; "which certificates does Maria have"; "is my ServSafe still valid"; "Priya's certification status"

    Args:
        person: name of the team member. Their own words, such as `my` or `his`, when nobody is named.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    who = await person_meant(deps, person, "get_certifications")
    if not isinstance(who, tuple):
        return who
    rows = await deps.state.items(CERTIFICATIONS)
    own = [item for item in rows.items() if text(item[1], "person") == who[0]]
    name = text(who[1], "name")
    if not own:
        return not_found(f"{name} has no certificate on record.")
    own = mentioned(person, dict(own), fields=("certificate",)) or own
    return told(f"{name}: {'; '.join(_say(row, today) for _, row in own)}.", own)


async def list_expiring_certifications(ctx: RunContext[TrainingDeps], within_days: int = 60) -> Outcome:
    """List certificates that have expired or expire within a number of days.

    Use for: "whose certificates expire soon"; "who needs to renew in the next 30 days"; "list expiring certifications"; "which certificates run out this quarter"

    Args:
        within_days: number of days to look ahead.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = await deps.state.items(CERTIFICATIONS)
    found = [item for item in rows.items() if (ends := day(item[1], "expires")) and ends <= today + timedelta(days=within_days)]
    if not found:
        return told(f"No certificate expires within {count(within_days, 'day')}.")
    found.sort(key=lambda item: text(item[1], "expires"))
    lines = [f"{await name_of(deps, text(row, 'person'))}: {_say(row, today)}" for _, row in found]
    return told(
        f"{count(len(found), 'certificate')} expired or expiring within {count(within_days, 'day')}. {'; '.join(lines)}.", found
    )


async def record_certification(ctx: RunContext[TrainingDeps], person: str, certificate: str, issued: str = "today") -> Outcome:
    """Record a new or renewed certificate of a person; the expiry date follows from the kind of certificate.

    Use for: "Devon renewed his food handler card today"; "record Maria's new ServSafe manager certificate"; "Chloe passed the allergen training yesterday"
    "update my food handler certificate, issued June 1"

    Args:
        person: name of the team member. Their own words, such as `my` or `his`, when nobody is named.
        certificate: kind of certificate, in the user's words.
        issued: date on the certificate.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    who = await person_meant(deps, person, "record_certification")
    if not isinstance(who, tuple):
        return who
    kinds = await deps.state.items(CERTIFICATES)
    found = find(certificate, kinds)
    if len(found) != 1:
        question = f"Which certificate is it: {names_of(found or list(kinds.items()), joint='or')}?"
        ask = NextQuestion(tool="record_certification", argument="certificate", question=question)
        return not_found("I could not tell the certificate.", ask=ask)
    kind_key, kind = found[0]
    from_day = day_in(issued, today, past=True) or today
    expires = _years_after(from_day, int(number(kind, "valid_years") or 1))
    key = f"{who[0]}-{kind_key}"
    row: Row = {
        "person": who[0],
        "certificate": text(kind, "name"),
        "issued": from_day.isoformat(),
        "expires": expires.isoformat(),
    }
    row |= {"required": kind.get("required", True), "recorded_by": deps.user_id}
    await deps.state.put(CERTIFICATIONS, key, row)
    said = f"I recorded {text(who[1], 'name')}'s {text(kind, 'name')}, issued on {say_day(from_day, today)}"
    return told(f"{said}. It is valid until {say_day(expires)}.", [(key, row)])


def _years_after(start: date, years: int) -> date:
    leap_day = (start.month, start.day) == (2, 29)
    return start.replace(year=start.year + years, day=28 if leap_day else start.day)


def _say(row: Row, today: date) -> str:
    expires, name = day(row, "expires"), text(row, "certificate")
    if expires is None:
        return f"{name}, no expiry date"
    left = (expires - today).days
    return (
        f"{name} expired on {say_day(expires, today)}"
        if left < 0
        else f"{name} valid until {say_day(expires, today)} ({count(left, 'day')} left)"
    )
