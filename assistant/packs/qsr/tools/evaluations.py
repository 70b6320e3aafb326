"""How good a person is at the job: evaluations with evidence, and coaching notes."""

from __future__ import annotations

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import TrainingDeps
from assistant.packs.qsr.tools.evidence import LEAST_FACTS, dated, facts_in, from_first_fact
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.people import name_of, person_named
from assistant.packs.qsr.tools.phrases import say_day, say_number, sentence
from assistant.packs.qsr.tools.rows import Keyed, Row, day, next_id, number, text
from assistant.packs.qsr.tools.thread import keep, recall
from assistant.packs.qsr.tools.whom import other_meant, someone_meant

EVALUATIONS = "evaluations"
NOTES = "coaching_notes"
RATINGS = {1: "well below standard", 2: "below standard", 3: "meets the standard", 4: "above the standard", 5: "outstanding"}


async def record_evaluation(ctx: RunContext[TrainingDeps], person: str, rating: int, evidence: str) -> Outcome:
    """Record a performance evaluation of a person: a rating from 1 to 5 with the evidence for it.

    Use for: "rate Devon 4 out of 5, he handled the rush alone"; "evaluate Priya with 5, perfect order accuracy all week"
    "performance review for Jamal, 3, he is still slow on the register"; "give Chloe a 2, she skipped the hand washing twice"

    Args:
        person: name of the team member.
        rating: rating from 1 (well below standard) to 5 (outstanding).
        evidence: evidence for the rating: at least two facts with dates, in the user's words.
    """
    deps = ctx.deps
    who = await other_meant(deps, person, "record_evaluation")
    if not isinstance(who, tuple):
        return who
    if rating not in RATINGS:
        return not_found(f"A rating is a whole number from 1 to 5, so I did not record {rating}.")
    name = text(who[1], "name")
    told_before = text(await _unfinished(deps, who[0], rating), "evidence")
    evidence = evidence if not told_before or told_before in evidence else f"{told_before}; {evidence}"
    facts = facts_in(evidence, f"{name} {rating}")
    evidence = from_first_fact(evidence, facts)
    if len(facts) < LEAST_FACTS:
        await keep(deps, evaluation={"person": who[0], "rating": rating, "evidence": evidence} if facts else None)
        return not_found(_too_few(facts), ask=NextQuestion(tool="record_evaluation", argument="evidence", question=_which(facts)))
    await keep(deps, evaluation=None)
    key = next_id(await deps.state.items(EVALUATIONS), "EVL")
    row: Row = {"person": who[0], "rating": rating, "evidence": evidence}
    row |= {"given_on": deps.now().date().isoformat(), "given_by": deps.user_id}
    await deps.state.put(EVALUATIONS, key, row)
    said = f"I recorded evaluation {key}: {name}, {rating} of 5 ({RATINGS[rating]}). Evidence: {sentence(evidence)}"
    undated = "" if all(dated(fact) for fact in facts) else " Not every fact has a date; a rating should rest on dated facts."
    return told(said + undated, [(key, row)])


async def get_evaluation(ctx: RunContext[TrainingDeps], person: str) -> Outcome:
    """Show how a person performs: latest rating with its evidence, strengths, average and coaching notes.

    Use for: "how is Devon doing at work"; "show Priya's last evaluation"; "what are Jamal's strengths"; "who is Chloe as a worker, any feedback so far"
    "is Maria ready to be promoted"

    Args:
        person: name of the team member.
    """
    deps = ctx.deps
    who = await other_meant(deps, person, "get_evaluation")
    if not isinstance(who, tuple):
        return who
    own = _newest(await deps.state.items(EVALUATIONS), who[0])
    notes = _newest(await deps.state.items(NOTES), who[0])
    name = text(who[1], "name")
    if not own and not notes:
        return not_found(f"{name} has no evaluation and no coaching note yet.")
    said = [_latest(name, own)] if own else [f"{name} has no evaluation yet."]
    strengths = [text(row, "evidence") for _, row in own if (number(row, "rating") or 0) >= 4]
    if strengths:
        said.append(f"Strengths: {'; '.join(words.rstrip('.') for words in strengths)}.")
    if notes:
        said.append(f"Latest coaching note: {sentence(text(notes[0][1], 'note'))}")
    return told(" ".join(said), [*own, *notes])


async def add_coaching_note(ctx: RunContext[TrainingDeps], person: str, note: str) -> Outcome:
    """Record a coaching note about a person.

    Use for: "coaching note for Jamal, greet guests before taking the order"; "note that Chloe needs practice on the fryer"
    "write down that I talked to Devon about being on time"; "add feedback for Priya, great teamwork on Saturday"

    Args:
        person: name of the team member.
        note: coaching note, in the user's words.
    """
    deps = ctx.deps
    named = await person_named(deps, person) or await person_named(deps, note)
    who = await other_meant(deps, text(named[1], "name") if named else person, "add_coaching_note")
    if not isinstance(who, tuple):
        return who
    key = next_id(await deps.state.items(NOTES), "NOTE")
    row: Row = {"person": who[0], "note": note, "given_on": deps.now().date().isoformat(), "given_by": deps.user_id}
    await deps.state.put(NOTES, key, row)
    return told(f"I kept coaching note {key} for {text(who[1], 'name')}: {sentence(note)}", [(key, row)])


async def list_coaching_notes(ctx: RunContext[TrainingDeps], person: str = "everyone") -> Outcome:
    """List coaching notes, newest first.

    Use for: "which coaching notes do we have for Jamal"; "what did I coach Chloe on"; "show all coaching notes"

    Args:
        person: name of the team member, or `everyone`.
    """
    deps = ctx.deps
    who = await someone_meant(deps, person, "list_coaching_notes")
    if who is not None and not isinstance(who, tuple):
        return who
    notes = _newest(await deps.state.items(NOTES), who[0] if who else None)
    if not notes:
        return not_found(f"There is no coaching note{' for ' + text(who[1], 'name') if who else ''}.")
    lines: list[str] = []
    for key, row in notes:
        on = day(row, "given_on")
        when = f", {say_day(on)}" if on else ""
        lines.append(f"{key} for {await name_of(deps, text(row, 'person'))}{when}: {text(row, 'note').rstrip('.')}")
    return told(f"Coaching notes. {'; '.join(lines)}.", notes)


async def _unfinished(deps: TurnDeps, person: str, rating: int) -> Row:
    """What was told so far for this rating of this person, when it was too little to record."""
    row = (await recall(deps)).get("evaluation")
    mine = isinstance(row, dict) and text(row, "person") == person and number(row, "rating") == rating
    return row if isinstance(row, dict) and mine else {}


def _too_few(facts: list[str]) -> str:
    return f"A rating needs at least {LEAST_FACTS} facts, and I have {'1' if facts else 'none'} so far, so I have not recorded it yet."


def _which(facts: list[str]) -> str:
    return (
        "What else did you see that supports the rating, and when?"
        if facts
        else "What did you see that supports the rating, and when?"
    )


def _latest(name: str, own: list[Keyed]) -> str:
    _, row = own[0]
    rating, on = int(number(row, "rating") or 0), day(row, "given_on")
    when = f" on {say_day(on)}" if on else ""
    said = f"{name}'s latest rating is {rating} of 5 ({RATINGS.get(rating, 'unknown')}){when}: {sentence(text(row, 'evidence'))}"
    ratings = [value for _, each in own if (value := number(each, "rating")) is not None]
    return (
        f"{said} The average of {len(ratings)} ratings is {say_number(sum(ratings) / len(ratings))}."
        if len(ratings) > 1
        else said
    )


def _newest(rows: dict[str, Row], person: str | None) -> list[Keyed]:
    own = [item for item in rows.items() if person is None or text(item[1], "person") == person]
    return sorted(own, key=lambda item: (text(item[1], "given_on"), item[0]), reverse=True)
