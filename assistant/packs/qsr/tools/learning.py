"""Learning paths and how far each person is on them."""

from __future__ import annotations

from pydantic_ai import RunContext

from assistant.packs.qsr.deps import TrainingDeps
from assistant.packs.qsr.tools.matching import best_text, find
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import listing, names_of
from assistant.packs.qsr.tools.rows import Keyed, Row, text, texts
from assistant.packs.qsr.tools.whom import person_meant

PATHS = "learning_paths"
PROGRESS = "learning_progress"


async def list_learning_paths(ctx: RunContext[TrainingDeps], topic: str = "all") -> Outcome:
    """List the learning paths and their modules.

    Use for: "which learning paths do we have"; "what does the shift lead path include"; "which modules are in crew basics"; "what training is there for baristas"

    Args:
        topic: path or role to narrow the list to, or `all`.
    """
    rows = await ctx.deps.state.items(PATHS)
    found = find(topic, rows) or list(rows.items())
    if not found:
        return not_found("No learning paths are set up.")
    lines = [f"{text(row, 'name')}: {listing(texts(row, 'modules'))}" for _, row in found]
    return told(f"Learning paths. {'. '.join(lines)}.", found)


async def get_learning_progress(ctx: RunContext[TrainingDeps], person: str) -> Outcome:
    """Show a person's progress on their learning paths: modules done and left.

    Use for: "how far is Jamal with his learning path"; "what modules does Chloe still need"; "my training progress"; "is Devon done with the shift lead path"

    Args:
        person: name of the team member. Their own words, such as `my` or `his`, when nobody is named.
    """
    who = await person_meant(ctx.deps, person, "get_learning_progress")
    if not isinstance(who, tuple):
        return who
    rows = await ctx.deps.state.items(PROGRESS)
    own = [item for item in rows.items() if text(item[1], "person") == who[0]]
    name = text(who[1], "name")
    paths = await ctx.deps.state.items(PATHS)
    if not own:
        return not_found(f"{name} is not on a learning path yet. Paths: {names_of(list(paths.items())) or 'none'}.")
    said = [_progress(paths.get(text(row, "path"), {}), row) for _, row in own]
    return told(f"{name}: {'. '.join(said)}.", own)


async def complete_module(ctx: RunContext[TrainingDeps], person: str, module: str) -> Outcome:
    """Record that a person completed a module of a learning path.

    Use for: "Jamal finished the cash handling module"; "mark fryer station as completed for Chloe"; "I completed the food safety module"
    "Devon has done conflict handling, update his learning path"

    Args:
        person: name of the team member. Their own words, such as `my` or `his`, when nobody is named.
        module: module that was completed, in the user's words.
    """
    deps = ctx.deps
    who = await person_meant(deps, person, "complete_module")
    if not isinstance(who, tuple):
        return who
    paths = await deps.state.items(PATHS)
    rows = await deps.state.items(PROGRESS)
    own = [item for item in rows.items() if text(item[1], "person") == who[0]]
    open_paths = [text(row, "path") for _, row in own] or list(paths)
    modules = {name: key for key in reversed(open_paths) for name in texts(paths.get(key, {}), "modules")}
    named = best_text(module, modules)
    name = text(who[1], "name")
    if named is None:
        question = f"Which module did {name} complete: {listing(list(modules), 'or')}?"
        ask = NextQuestion(tool="complete_module", argument="module", question=question)
        return not_found("I could not tell the module.", ask=ask) if modules else not_found("No learning paths are set up.")
    path = modules[named]
    key, row = _row(own, who[0], path)
    done = texts(row, "done")
    row |= {"done": [*done, *([] if named in done else [named])], "updated_on": deps.now().date().isoformat()}
    await deps.state.put(PROGRESS, key, row)
    return told(f"I recorded that {name} completed {named}. {_progress(paths[path], row)}.", [(key, row)])


def _row(own: list[Keyed], person: str, path: str) -> Keyed:
    new: Row = {"person": person, "path": path, "done": []}
    return next((item for item in own if text(item[1], "path") == path), (f"{person}-{path}", new))


def _progress(path: Row, row: Row) -> str:
    modules, done = texts(path, "modules"), texts(row, "done")
    left = [module for module in modules if module not in done]
    said = f"{len(modules) - len(left)} of {len(modules)} modules of {text(path, 'name', text(row, 'path'))} are done"
    return f"{said}; still to do: {listing(left)}" if left else f"{said}; the path is complete"
