"""Finds team members by what users call them."""

from __future__ import annotations

from assistant.deps import TurnDeps
from assistant.packs.qsr.tools.matching import find, mentioned
from assistant.packs.qsr.tools.outcome import Outcome, not_found
from assistant.packs.qsr.tools.phrases import names_of
from assistant.packs.qsr.tools.rows import Keyed, Row, text

PEOPLE = "people"


async def people_named(deps: TurnDeps, phrase: str) -> list[Keyed]:
    """Everyone the phrase names by full or first name, in the order of the phrase."""
    rows = await deps.state.items(PEOPLE)
    return mentioned(phrase, {key: {**row, "aliases": [*_given(row)]} for key, row in rows.items()})


async def everyone_named(deps: TurnDeps, phrase: str) -> list[Keyed]:
    """Everyone the phrase names; a typing slip or a family name alone is enough when nobody is named outright and one fits."""
    named = await people_named(deps, phrase)
    if named:
        return named
    near = find(phrase, await deps.state.items(PEOPLE))
    return near if len(near) == 1 else []


async def person_named(deps: TurnDeps, phrase: str) -> Keyed | None:
    """The first person the phrase names."""
    named = await everyone_named(deps, phrase)
    return named[0] if named else None


async def unknown_person(deps: TurnDeps, phrase: str) -> Outcome:
    """The answer when nobody fits: names the team."""
    rows = await deps.state.items(PEOPLE)
    team = names_of(list(rows.items())) or "nobody yet"
    return not_found(f"I found no team member that fits {phrase!r}. The team: {team}.")


async def name_of(deps: TurnDeps, key: str) -> str:
    """The person's name; the key itself for somebody who is not on the team."""
    return text(await deps.state.get(PEOPLE, key) or {}, "name", key)


def _given(row: Row) -> list[str]:
    return text(row, "name").split()[:1]
