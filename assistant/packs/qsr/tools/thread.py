"""What a conversation is about: who was spoken of last, who is speaking, and what was told but is not on record yet.

One row per thread in the collection `threads`. Losing it only costs a question, so a state that is read-only is no fault here.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from assistant.deps import TurnDeps
from assistant.errors import StateReadOnly
from assistant.packs.qsr.tools.rows import Row, text, texts

THREADS = "threads"


async def recall(deps: TurnDeps) -> Row:
    """The row of this thread; empty when nothing was kept."""
    return await deps.state.get(THREADS, deps.thread_id) or {}


async def keep(deps: TurnDeps, **facts: JsonValue) -> None:
    """Keep facts of this thread; a null removes one. Nothing is written when nothing changes."""
    before = await recall(deps)
    after = {name: value for name, value in {**before, **facts}.items() if value is not None}
    if after == before:
        return
    try:
        await deps.state.put(THREADS, deps.thread_id, after)
    except StateReadOnly:
        return


async def last_people(deps: TurnDeps) -> list[str]:
    """Keys of those named together most recently: one when it is clear who a pronoun means."""
    return texts(await recall(deps), "people")


async def speak_of(deps: TurnDeps, people: Sequence[str]) -> None:
    """From now on a pronoun means one of `people`, when there are any."""
    if people:
        await keep(deps, people=[*people])


async def speaker(deps: TurnDeps) -> str:
    """Key of the person whom the user said they are; empty when they did not say."""
    return text(await recall(deps), "speaker")
