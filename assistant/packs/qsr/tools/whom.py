"""Whom a message speaks of: somebody named, the one spoken of last, or the user. It asks rather than take one person for another."""

from __future__ import annotations

import re
from typing import Literal

from assistant.deps import TurnDeps
from assistant.packs.qsr.tools.days import MONTHS, WEEKDAYS
from assistant.packs.qsr.tools.matching import alike, says, words
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found
from assistant.packs.qsr.tools.people import PEOPLE, everyone_named, unknown_person
from assistant.packs.qsr.tools.phrases import names_of
from assistant.packs.qsr.tools.rows import Keyed, text, texts
from assistant.packs.qsr.tools.thread import keep, last_people, recall, speak_of, speaker

NAME_ONLY = "person"
"""The argument that holds nothing but who is meant; other arguments hold a day or a subject as well."""
NAME_QUESTION = "What is your name?"
_OWN = ("my", "mine", "myself")
_SELF = ("i", "im", "ive", "me")
_HE_OR_SHE = (
    "he",
    "hes",
    "his",
    "him",
    "himself",
    "she",
    "shes",
    "her",
    "hers",
    "herself",
    "that person",
    "this person",
    "same person",
)
_THEY = ("they", "theyre", "theyve", "them", "their", "theirs")
_SOMEBODY = re.compile(
    r"\b(?:the|that|this|our|my|a)\s+(?:\w+\s+)?(?:hire|guy|girl|person|employee|coworker|colleague|trainee|cook|cashier|lead|kid|team member)\b"
)
_ASKING = re.compile(
    r"\b(?:show|tell|give|send|get|let|remind) me\b|\bi(?: would|'d)? (?:need|want|like|have) to (?:see|know|check|look)\b",
    re.IGNORECASE,
)
_POSSESSIVE = re.compile(r"\b([A-Za-z]{2,})['’]s\b")
_CAPITAL = re.compile(r"(?<=[a-z,] )([A-Z][a-z]+)\b")
_NO_NAMES = frozenset(
    words(
        "everyone everybody all anyone anybody nobody someone somebody team staff user current self same new hire guy girl person people employee member "
        "coworker colleague trainee cook cashier lead leads kid manager boss guest customer trainer store shift certificate certification cert card permit "
        "training progress status onboarding plan task quiz test exam score result evaluation evaluate review rating note coaching module path learning food "
        "safety latest last expire valid today tomorrow yesterday let here he she yes no ok okay sure thing"
    )
) | {*WEEKDAYS, *MONTHS}
_SUBJECTS = {"certificate_types": "name", "quizzes": "name", "learning_paths": "modules", "onboarding_templates": "name"}
"""Collections of things that are written like names, with the field beside `aliases` that says what they are called."""


async def person_meant(deps: TurnDeps, phrase: str, tool: str) -> Keyed | Outcome:
    """Who is meant, the user when nobody else is; else the question or answer to give instead."""
    return await someone_meant(deps, phrase, tool) or await user_meant(deps, tool)


async def other_meant(deps: TurnDeps, phrase: str, tool: str) -> Keyed | Outcome:
    """Who is meant where it must be said; else the question or answer to give instead."""
    return await someone_meant(deps, phrase, tool) or await unknown_person(deps, phrase)


async def someone_meant(deps: TurnDeps, phrase: str, tool: str, argument: str = NAME_ONLY) -> Keyed | Outcome | None:
    """Who is meant, None when the phrase speaks of nobody; an outcome when it speaks of somebody who cannot be told."""
    named = await everyone_named(deps, phrase)
    if named:
        await _name_heard(deps, [key for key, _ in named], tool)
        return named[0]
    spoken = whose(phrase, only_names=argument == NAME_ONLY)
    if spoken == "other":
        return await _last(deps, tool, argument)
    if spoken == "self":
        return await user_meant(deps, tool, argument)
    stranger = await _stranger(deps, phrase, alone=argument == NAME_ONLY)
    return await unknown_person(deps, stranger) if stranger else None


async def user_meant(deps: TurnDeps, tool: str, argument: str = NAME_ONLY) -> Keyed | Outcome:
    """The user as a team member; else the question for their name, which is kept for the rest of the conversation."""
    known = await user_known(deps)
    if known is not None:
        return known
    await keep(deps, name_asked_by=tool)
    return not_found("I do not have your name.", ask=NextQuestion(tool=tool, argument=argument, question=NAME_QUESTION))


async def user_known(deps: TurnDeps) -> Keyed | None:
    """The user as a team member, by the sign-in or by what they answered in this conversation."""
    people = await deps.state.items(PEOPLE)
    key = deps.user_id if deps.user_id in people else await speaker(deps)
    return (key, people[key]) if key in people else None


def whose(phrase: str, *, only_names: bool = True) -> Literal["other", "self", "nobody"]:
    """Whom the pronouns of a phrase point at. `they` may be things where more than a name is said, so it counts in names only."""
    phrase = _ASKING.sub(" ", phrase)
    somebody = _SOMEBODY.search(phrase.lower()) is not None
    own = says(phrase, _OWN) and not somebody
    if says(phrase, _HE_OR_SHE) and not own:
        return "other"
    if own or (says(phrase, _SELF) and not somebody):
        return "self"
    return "other" if only_names and (somebody or says(phrase, _THEY)) else "nobody"


async def _last(deps: TurnDeps, tool: str, argument: str) -> Keyed | Outcome:
    people = await deps.state.items(PEOPLE)
    last = [(key, people[key]) for key in await last_people(deps) if key in people]
    if len(last) == 1:
        return last[0]
    question = f"Who do you mean: {names_of(last, joint='or')}?" if last else "Who do you mean?"
    return not_found("I am not sure who that is.", ask=NextQuestion(tool=tool, argument=argument, question=question))


async def _name_heard(deps: TurnDeps, people: list[str], tool: str) -> None:
    """A name is the user's own when it answers the question for it: the same tool, next, with one name."""
    asked_by = text(await recall(deps), "name_asked_by")
    if asked_by:
        await keep(deps, name_asked_by=None, speaker=people[0] if asked_by == tool and len(people) == 1 else None)
    await speak_of(deps, people)


async def _stranger(deps: TurnDeps, phrase: str, *, alone: bool) -> str:
    """A name that is nobody's on the team: a possessive, a capital inside a sentence, or a short phrase where a name stands `alone`;
    empty when there is none."""
    said = words(phrase)
    short = phrase.strip() if alone and len(phrase.split()) <= 2 and phrase.replace(" ", "").isalpha() else ""
    candidates = [short, *_POSSESSIVE.findall(phrase), *_CAPITAL.findall(phrase)]
    if not said or phrase.strip().lower() == deps.user_id.lower() or not any(candidates):
        return ""
    subjects = await _subjects(deps)
    for candidate in candidates:
        parts = words(candidate)
        if any(part not in _NO_NAMES and not any(alike(part, known) for known in subjects) for part in parts):
            return candidate
    return ""


async def _subjects(deps: TurnDeps) -> set[str]:
    found: set[str] = set()
    for collection, field in _SUBJECTS.items():
        for row in (await deps.state.items(collection)).values():
            found.update(word for name in (*texts(row, field), *texts(row, "aliases"), text(row, "name")) for word in words(name))
    return found
