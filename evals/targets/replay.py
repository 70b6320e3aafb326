"""A target that plays a finished run again: `replay:RUN`. No key, no model, no network, and the same bytes every time.

What the run does not hold is never made up: a card or repeat it did not play, a changed user message and a missing turn end the play
with `infra_error` and name the card and the turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from evals.cards import Card
from evals.errors import EvidenceError
from evals.runfiles import read_transcripts
from evals.transcript import Transcript, Visible


class ReplayTarget:
    """`visible` is what every recorded play shows, but times. A run of one repeat is `deterministic`: its repeats count once."""

    def __init__(self, run: str, transcripts: Iterable[Transcript]) -> None:
        self._run = run
        self._plays: dict[tuple[str, int], Transcript] = {}
        for transcript in transcripts:
            if self._plays.setdefault((transcript.card, transcript.repeat), transcript) is not transcript:
                raise EvidenceError(
                    f"{run}: holds two plays of {transcript.card} repeat {transcript.repeat}; it cannot be replayed"
                )
        if not self._plays:
            raise EvidenceError(f"{run}: holds no play; there is nothing to replay")
        self.visible = _shown([play.visible for play in self._plays.values()])
        self.deterministic = all(repeat == 0 for _, repeat in self._plays)

    async def play(self, card: Card, repeat: int) -> Transcript:
        recorded = self._plays.get((card.id, repeat))
        if recorded is None:
            return self._unusable(
                card, repeat, f"the run {self._run} holds no play of card {card.id} repeat {repeat}; record it again"
            )
        reason = self._difference(card, recorded)
        return recorded if reason is None else self._unusable(card, repeat, reason)

    def _difference(self, card: Card, recorded: Transcript) -> str | None:
        """Why the recording is not of this card as it is now; null when it is."""
        remedy = f"record it again, {self._run} is of an older card"
        if card.goal is not None:
            begun = recorded.turns[0].user if recorded.turns else card.turns[0].user
            return None if begun == card.turns[0].user else f"card {card.id}: the user begins otherwise now; {remedy}"
        for number, (spec, turn) in enumerate(zip(card.turns, recorded.turns, strict=False), start=1):
            if spec.user != turn.user:
                return f"card {card.id} turn {number}: the user now says {_short(spec.user)}, recorded is {_short(turn.user)}; {remedy}"
        if len(recorded.turns) > len(card.turns):
            return f"card {card.id} turn {len(card.turns) + 1}: recorded, but no longer in the card; {remedy}"
        if len(recorded.turns) < len(card.turns) and recorded.fault is None:
            return f"card {card.id} turn {len(recorded.turns) + 1}: not recorded; {remedy}"
        return None

    def _unusable(self, card: Card, repeat: int, reason: str) -> Transcript:
        return Transcript(
            card=card.id, repeat=repeat, turns=[], visible=self.visible, fault="infra_error", fault_reason=f"replay: {reason}"
        )


def open_replay(rest: str) -> ReplayTarget:
    """Raises `UsageError` when there is no run, `EvidenceError` when it is damaged."""
    folder = Path(rest)
    return ReplayTarget(folder.name or rest, read_transcripts(folder))


def _shown(seen: list[Visible]) -> Visible:
    """Times are never shown: they are those of another day and machine."""
    shown = {name: all(getattr(visible, name) for visible in seen) for name in asdict(Visible())}
    return Visible(**{**shown, "timings": False})


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
