"""Guided diagnosis of a machine, one question at a time; the place in the tree is kept in the collection `diagnoses`, by thread."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import EquipmentDeps
from assistant.packs.qsr.tools.diagnosis_trees import FIXED, MAKE_SAFE, End, Kind, Tree, kinds, read_answer, symptom_in, target_of
from assistant.packs.qsr.tools.machines import machines_meant
from assistant.packs.qsr.tools.matching import says
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import listing, sentence
from assistant.packs.qsr.tools.rows import Keyed, Row, number, records, text

DIAGNOSES = "diagnoses"


async def start_diagnosis(ctx: RunContext[EquipmentDeps], problem: str) -> Outcome:
    """Start a guided diagnosis of a faulty machine, one step at a time, with the safety step first.

    Use for: "the left soft-serve is too runny"; "fryer 1 pilot won't stay lit"; "our Hobart mixer won't start"
    "the cooler is at 48 degrees and not getting colder"; "fryer oil keeps foaming"; "MIX OUT light is on"
    "help me troubleshoot the freezer"; "the ice cream machine is in lock-out"

    Args:
        problem: machine and its problem, in the user's words.
    """
    deps = ctx.deps
    open_row = await deps.state.get(DIAGNOSES, deps.thread_id)
    machines = await machines_meant(deps, problem)
    kind = _kind_meant(problem, machines)
    if kind is None and open_row is not None and text(open_row, "status") == "choosing":
        kind = kinds().get(text(open_row, "kind"))
        machines = _remembered(open_row)
    if kind is None:
        return _no_kind(machines)
    row = _new_row(deps, problem, kind, machines)
    name = text(row, "machine_name")
    symptom = symptom_in(problem, kind)
    if symptom is None:
        await deps.state.put(DIAGNOSES, deps.thread_id, row | {"status": "choosing"})
        choices = listing([tree.symptom for tree in kind.trees.values()], "or")
        ask = NextQuestion(tool="start_diagnosis", argument="problem", question=f"What does it do: {choices}?")
        return told(f"I can guide you through {name}.", ask=ask)
    tree = kind.trees[symptom]
    row |= {
        "symptom": symptom,
        "symptom_name": tree.symptom,
        "step": tree.first,
        "step_number": 1,
        "status": "open",
        "unclear": 0,
    }
    await deps.state.put(DIAGNOSES, deps.thread_id, row)
    return _ask(f"Let's look at {name}: {tree.symptom}. Safety first. {_step_words(tree, tree.first)}", tree, row, deps.thread_id)


async def continue_diagnosis(ctx: RunContext[EquipmentDeps], answer: str) -> Outcome:
    """Record the user's answer to the last question of the open diagnosis and give the next step.

    Use for: "yes, it is in AUTO"; "no, still the same"; "done, what's next"; "that fixed it"; "I cleaned the filter but it is still soft"

    Args:
        answer: answer to the last question, in the user's words.
    """
    deps = ctx.deps
    row = await deps.state.get(DIAGNOSES, deps.thread_id)
    if row is None or text(row, "status") == "choosing":
        if row is not None:
            return await start_diagnosis(ctx, answer)
        return not_found("No diagnosis is open in this conversation. Tell me the machine and what it does, and I will start one.")
    if text(row, "status") != "open":
        return not_found(
            f"The diagnosis of {text(row, 'machine_name')} has ended: {text(row, 'result')} Tell me a new problem to start again."
        )
    tree = kinds()[text(row, "kind")].trees[text(row, "symptom")]
    step_id = text(row, "step")
    reading = read_answer(answer, tree.steps[step_id], tree.gone)
    row["answers"] = [*records(row, "answers"), {"step": step_id, "answer": answer, "read_as": reading}]
    if reading == "danger":
        return await _finish(deps, row, _DANGER_END)
    target = target_of(tree, step_id, reading)
    if target is None:
        return await _ask_again(deps, row, tree)
    if target == MAKE_SAFE:
        await deps.state.put(DIAGNOSES, deps.thread_id, row)
        return _ask(f"Do that first, it keeps you safe. {_step_words(tree, step_id)}", tree, row, deps.thread_id)
    end = tree.end(target)
    if end is not None:
        return await _finish(deps, row, end, fixed=target == FIXED)
    row |= {"step": target, "step_number": int(number(row, "step_number") or 1) + 1, "unclear": 0}
    await deps.state.put(DIAGNOSES, deps.thread_id, row)
    return _ask(f"Step {text(row, 'step_number')}. {_step_words(tree, target)}", tree, row, deps.thread_id)


async def show_diagnosis(ctx: RunContext[EquipmentDeps]) -> Outcome:
    """Show where the diagnosis of this conversation stands: machine, symptom, step and its open question.

    Use for: "where were we with the fryer"; "what was the last step again"; "repeat the question"; "what have we tried so far"
    """
    deps = ctx.deps
    row = await deps.state.get(DIAGNOSES, deps.thread_id)
    if row is None:
        return not_found("No diagnosis is open in this conversation.")
    name = text(row, "machine_name")
    if text(row, "status") == "choosing":
        question = "What does the machine do?"
        ask = NextQuestion(tool="start_diagnosis", argument="problem", question=question)
        return told(f"We are about to diagnose {name}.", [(deps.thread_id, row)], ask=ask)
    if text(row, "status") != "open":
        return told(
            f"The diagnosis of {name} ({text(row, 'symptom_name')}) has ended: {text(row, 'result')}", [(deps.thread_id, row)]
        )
    tree = kinds()[text(row, "kind")].trees[text(row, "symptom")]
    lead = f"We are at step {text(row, 'step_number')} with {name} ({tree.symptom}). {_step_words(tree, text(row, 'step'))}"
    return _ask(lead, tree, row, deps.thread_id)


async def finish_diagnosis(ctx: RunContext[EquipmentDeps], result: str = "stopped by the user") -> Outcome:
    """Finish the open diagnosis early and record its result.

    Use for: "stop the diagnosis"; "forget the troubleshooting, the technician is here"; "it is working again, close the diagnosis"
    "cancel the guided steps"

    Args:
        result: outcome of the diagnosis, in the user's words.
    """
    deps = ctx.deps
    row = await deps.state.get(DIAGNOSES, deps.thread_id)
    if row is None or text(row, "status") not in ("open", "choosing"):
        return not_found("No diagnosis is open in this conversation, so there is nothing to finish.")
    tree = _tree(row)
    fixed = read_answer(result, gone=tree.gone if tree else ()) == "fixed"
    row |= {"status": "fixed" if fixed else "stopped", "result": sentence(result)}
    await deps.state.put(DIAGNOSES, deps.thread_id, row)
    how = "as fixed" if fixed else "without a repair"
    return told(
        f"I closed the diagnosis of {text(row, 'machine_name')} {how} and noted: {sentence(result)}", [(deps.thread_id, row)]
    )


_DANGER_END = End(
    say="Stop here: leave the machine, keep everyone away and, if you smell gas or see fire, get everyone out and call 911 from outside. "
    "Do not touch the machine again until a technician has checked it.",
    service=True,
    urgent=True,
)


def _new_row(deps: TurnDeps, problem: str, kind: Kind, machines: Sequence[Keyed]) -> Row:
    known = machines[0] if len(machines) == 1 else ("", {"name": f"the {kind.label}"})
    row: Row = {"kind": kind.kind, "machine": known[0], "machine_name": text(known[1], "name"), "problem": problem, "answers": []}
    return row | {"started_at": deps.now().isoformat(timespec="minutes"), "started_by": deps.user_id}


def _kind_meant(problem: str, machines: Sequence[Keyed]) -> Kind | None:
    found = {text(row, "kind") for _, row in machines}
    if len(found) == 1:
        return kinds().get(found.pop())
    named = [kind for kind in kinds().values() if says(problem, (*kind.words, *(f"{word}s" for word in kind.words)))]
    return named[0] if len(named) == 1 else None


def _tree(row: Row) -> Tree | None:
    """The tree of a diagnosis; None while its symptom is not known."""
    return kinds()[text(row, "kind")].trees.get(text(row, "symptom"))


def _remembered(open_row: Row) -> list[Keyed]:
    """The machine of a diagnosis that still waits for its symptom."""
    key = text(open_row, "machine")
    return [(key, {"name": text(open_row, "machine_name")})] if key else []


def _no_kind(machines: Sequence[Keyed]) -> Outcome:
    guided = listing([kind.label for kind in kinds().values()])
    if len(machines) == 1:
        question = "Tell me the problem in your own words and I will open a service ticket."
        lead = f"I have no guided steps for the {text(machines[0][1], 'name')}; I have them for the {guided}."
        return not_found(lead, ask=NextQuestion(tool="create_service_ticket", argument="problem", question=question))
    question = "Which machine is it, and what does it do?"
    return not_found(
        f"I have guided steps for the {guided}.", ask=NextQuestion(tool="start_diagnosis", argument="problem", question=question)
    )


def _step_words(tree: Tree, step_id: str) -> str:
    return tree.steps[step_id].do


def _ask(lead: str, tree: Tree, row: Row, thread_id: str) -> Outcome:
    question = tree.steps[text(row, "step")].ask
    return told(lead, [(thread_id, row)], ask=NextQuestion(tool="continue_diagnosis", argument="answer", question=question))


async def _ask_again(deps: TurnDeps, row: Row, tree: Tree) -> Outcome:
    """A second unclear answer in a row ends with a call for service: guessing on would not be a diagnosis."""
    if number(row, "unclear"):
        return await _finish(deps, row, End(say=f"This step cannot be settled from here. {tree.service}", service=True))
    row["unclear"] = 1
    await deps.state.put(DIAGNOSES, deps.thread_id, row)
    return _ask(f"I need a yes or a no to go on. {_step_words(tree, text(row, 'step'))}", tree, row, deps.thread_id)


async def _finish(deps: TurnDeps, row: Row, end: End, *, fixed: bool = False) -> Outcome:
    status = "fixed" if fixed else "service" if end.service else "advised"
    row |= {"status": status, "result": end.say, "urgent": end.urgent, "ended_at": deps.now().isoformat(timespec="minutes")}
    await deps.state.put(DIAGNOSES, deps.thread_id, row)
    if not end.service:
        return told(end.say, [(deps.thread_id, row)])
    question = "Shall I open a service ticket? Answer yes, or tell me the problem in your own words."
    return told(
        end.say, [(deps.thread_id, row)], ask=NextQuestion(tool="create_service_ticket", argument="problem", question=question)
    )
