"""A target whose plays are judged by a model as soon as they end, so that a journal line is complete and an evaluator needs no network."""

from __future__ import annotations

from dataclasses import replace

from evals.cards import Card
from evals.judging.jury import Jury, with_verdicts
from evals.targets.target import Target
from evals.transcript import Transcript


class JudgedTarget:
    """`deterministic` stays the inner target's: the judge's own noise is measured by calibration, not by playing again."""

    def __init__(self, inner: Target, jury: Jury) -> None:
        self._inner = inner
        self._jury = jury
        self.visible = replace(inner.visible, judge=True)
        self.deterministic = inner.deterministic

    async def play(self, card: Card, repeat: int) -> Transcript:
        return replace(await with_verdicts(self._jury, card, await self._inner.play(card, repeat)), visible=self.visible)
