"""The suite tested by mutants: for each planted fault, do the cards that meet it notice?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evals.cards import Card
from evals.experiment import judge
from evals.mutation import Mutant, cards_meeting, mutants
from evals.plan import PlannedPlay, plan_cards
from evals.suites import Progress
from evals.targets.inprocess import InProcessTarget, PackSource, load_pack
from evals.targets.opening import CARD_CLOCK, private_environ
from evals.transcript import Transcript

Fate = Literal["caught", "survived", "idle"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """`noticed_by` names the first card and check that failed."""

    mutant: str
    kind: str
    fate: Fate
    cards: int
    noticed_by: str = ""


async def run_mutants(cards: Sequence[Card], pack: str, environ: Mapping[str, str], progress: Progress) -> list[Trial]:
    """Play the cards as they are, then each mutant on the cards that meet it, until one notices."""
    with tempfile.TemporaryDirectory(prefix="assay-mutants-") as scratch:
        folder = Path(scratch)
        source = load_pack(pack, private_environ(environ, folder / "store"), now=CARD_CLOCK)
        plan = plan_cards(cards, repeats=1, visible=InProcessTarget.visible, llm=False)
        async with source.target(source.pack) as target:
            transcripts = [await target.play(play.card, 0) for play in plan.plays]
        sound = {p.card.id: p for p, t in zip(plan.plays, transcripts, strict=True) if _noticed(p, t) == ""}
        kept = [transcript for transcript in transcripts if transcript.card in sound]
        planned = mutants(source.pack, kept)
        trials: list[Trial] = []
        for number, mutant in enumerate(planned, start=1):
            meeting = [sound[card] for card in sorted(cards_meeting(mutant, kept))]
            trials.append(await _try(mutant, meeting, source, folder / str(number)))
            progress("mutants", number, len(planned))
    return trials


async def _try(mutant: Mutant, plays: Sequence[PlannedPlay], source: PackSource, folder: Path) -> Trial:
    fired = False

    def fire() -> None:
        nonlocal fired
        fired = True

    folder.mkdir()
    noticed = ""
    async with source.target(mutant.plant(source.pack, folder, fire)) as target:
        for play in plays:
            noticed = _noticed(play, await target.play(play.card, 0))
            if noticed:
                break
    fate: Fate = "caught" if noticed else "survived" if fired else "idle"
    return Trial(mutant=mutant.name, kind=mutant.kind, fate=fate, cards=len(plays), noticed_by=noticed)


def _noticed(play: PlannedPlay, transcript: Transcript) -> str:
    return next((f"{slot.card} {slot.evaluator}" for slot in judge(play, transcript) if slot.state != "pass"), "")
