"""The suite tested by mutants: for each planted fault, do the cards that meet it notice?"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evals.cards import Card
from evals.catalog import nearest
from evals.errors import UsageError
from evals.experiment import judge
from evals.mutation import Mutant, cards_meeting, mutants
from evals.plan import PlannedPlay, plan_cards
from evals.simulation.users import SimulatedUser
from evals.suites import Progress
from evals.targets.inprocess import InProcessTarget, PackSource, load_pack
from evals.targets.opening import CARD_CLOCK, private_environ
from evals.targets.simulated import SimulatedTarget
from evals.transcript import Transcript, Turn

Fate = Literal["caught", "survived", "idle"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """`noticed_by` names the first card and check that failed; `shows` is the first change in what a user met that no check noticed."""

    mutant: str
    kind: str
    fate: Fate
    cards: int
    noticed_by: str = ""
    shows: str = ""


async def run_mutants(
    cards: Sequence[Card], pack: str, environ: Mapping[str, str], progress: Progress, *, faults: Sequence[str] = ()
) -> list[Trial]:
    """Play the cards as they are, then each mutant on the cards that meet it, until one notices.

    `faults` names the mutants to plant; none named, all are. Raises `UsageError` for a name that these cards do not meet.
    """
    with tempfile.TemporaryDirectory(prefix="assay-mutants-") as scratch:
        folder = Path(scratch)
        source = load_pack(pack, private_environ(environ, folder / "store"), now=CARD_CLOCK)
        plan = plan_cards(_scripted(cards), repeats=1, visible=InProcessTarget.visible, llm=False)
        async with source.target(source.pack) as opened:
            target = SimulatedTarget(opened, SimulatedUser())
            transcripts = [await target.play(play.card, 0) for play in plan.plays]
        sound = {p.card.id: p for p, t in zip(plan.plays, transcripts, strict=True) if _noticed(p, t) == ""}
        kept = [transcript for transcript in transcripts if transcript.card in sound]
        planned = _chosen(mutants(source.pack, kept), faults)
        before = {transcript.card: transcript for transcript in kept}
        trials: list[Trial] = []
        for number, mutant in enumerate(planned, start=1):
            meeting = [(sound[card], before[card]) for card in sorted(cards_meeting(mutant, kept))]
            trials.append(await _try(mutant, meeting, source, folder / str(number)))
            progress("mutants", number, len(planned))
    return trials


def _chosen(planned: list[Mutant], faults: Sequence[str]) -> list[Mutant]:
    known = [mutant.name for mutant in planned]
    unknown = [name for name in faults if name not in known]
    if unknown:
        raise UsageError("\n".join(f"no planted fault `{name}`{nearest(name, known)}" for name in unknown))
    return [mutant for mutant in planned if not faults or mutant.name in faults]


def _scripted(cards: Sequence[Card]) -> list[Card]:
    """Cards whose user needs no model."""
    return [card for card in cards if card.goal is None or card.goal.tree is not None]


async def _try(mutant: Mutant, plays: Sequence[tuple[PlannedPlay, Transcript]], source: PackSource, folder: Path) -> Trial:
    folder.mkdir()
    noticed, shows = "", ""
    async with source.target(mutant.plant(source.pack, folder)) as opened:
        target = SimulatedTarget(opened, SimulatedUser())
        for play, before in plays:
            after = await target.play(play.card, 0)
            noticed = _noticed(play, after)
            if noticed:
                break
            shows = shows or first_change(before, after)
    fate: Fate = "caught" if noticed else "survived" if shows else "idle"
    return Trial(mutant=mutant.name, kind=mutant.kind, fate=fate, cards=len(plays), noticed_by=noticed, shows=shows)


def first_change(before: Transcript, after: Transcript) -> str:
    """Where the two plays of one card differ for the user or the store, in words; empty when they do not.

    Compared are the words, the specialist, the outcome and the citations of each turn, the calls with their arguments, and the end state: what
    a tool returned and nobody told is not.
    """
    for number, (old, new) in enumerate(zip(before.turns, after.turns, strict=False), start=1):
        for name, one, other in zip(_MET, _met(old), _met(new), strict=True):
            if one != other:
                return f"{before.card} turn {number} {name}: {one!r} became {other!r}"
    if len(before.turns) != len(after.turns) or before.fault != after.fault:
        return f"{before.card} broke off: {after.fault_reason or after.fault}"
    return next((f"{before.card} end state, {change}" for change in _state_changes(before, after)), "")


def _state_changes(before: Transcript, after: Transcript) -> Iterator[str]:
    old, new = _state(before), _state(after)
    for collection in sorted({*old, *new}):
        rows, others = old.get(collection, {}), new.get(collection, {})
        for key in sorted({*rows, *others}):
            if rows.get(key) != others.get(key):
                yield f"{collection} {key}: {rows.get(key)!r} became {others.get(key)!r}"


def _state(transcript: Transcript) -> dict[str, dict[str, object]]:
    """The end state with the thread's own id, which no two plays share, named `thread`."""
    written = json.dumps(transcript.state or {})
    return json.loads(written.replace(transcript.thread_id, "thread") if transcript.thread_id else written)


_MET = ("text", "agent", "outcome", "calls", "citations")


def _met(turn: Turn) -> tuple[object, ...]:
    calls = [(call.tool, call.arguments, call.ok) for call in turn.tool_calls]
    return turn.text, turn.agent, turn.outcome, calls, [(c.document, c.passage) for c in turn.citations]


def _noticed(play: PlannedPlay, transcript: Transcript) -> str:
    return next((f"{slot.card} {slot.evaluator}" for slot in judge(play, transcript) if slot.state != "pass"), "")
