"""The judge of a run: which of its verdicts may gate, what it says of each play, and what its pass rates are worth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evals.cards import Card
from evals.errors import UsageError
from evals.evaluators.judged import Judged
from evals.evaluators.table import Check
from evals.judging.asking import Judge, rule
from evals.judging.rubrics import Rubric, harness, read_rubrics, rubric_faults, rubric_of
from evals.judging.trust import CalibrationFile, read_calibrations, standing
from evals.plan import Plan
from evals.transcript import Transcript, Turn, Verdict
from reports.records import Estimate, Slot
from reports.statistics.proportions import clustered_rate
from reports.statistics.rogan_gladen import corrected_rate


@dataclass(frozen=True, kw_only=True)
class Jury:
    """A judge with a pack's rubrics and calibrations. `digests` are those of the files, for a record's provenance."""

    judge: Judge
    rubrics: Mapping[str, Rubric]
    calibrations: Sequence[CalibrationFile]

    def plan(self, plan: Plan) -> Plan:
        """The plan with this judge's name and rubric on its checks; those it is calibrated for are no longer advisory."""
        plays = [replace(play, checks=[self._check(check, play.card) for check in play.checks]) for play in plan.plays]
        return replace(plan, plays=plays)

    async def verdicts(self, card: Card, turns: Sequence[Turn]) -> list[Verdict]:
        """One verdict per expectation of `card`. Of a conversation with a simulated user the last answer is judged, after all the others."""
        found: list[Verdict] = []
        for number, spec in enumerate(card.turns[: len(turns)], start=1):
            judged = number if card.goal is None else len(turns)
            for asked in spec.expect.judge:
                rubric = rubric_of(asked, self.rubrics)
                ruling = await rule(self.judge, rubric, _before(turns, judged), turns[judged - 1].text)
                found.append(
                    Verdict(
                        check=asked.check,
                        turn=number,
                        said=ruling.said,
                        score=ruling.score,
                        reason=ruling.reason,
                        error=ruling.error,
                        rubric=rubric.label,
                        judge=self.judge.name,
                    )
                )
        return found

    def metrics(self, slots: Sequence[Slot]) -> dict[str, Estimate | None]:
        """Per rubric the share judged `pass`, and the share that is good after correcting for the judge's own errors.

        The corrected share counts the first repeat of each card, and is null for an uncalibrated judge.
        """
        metrics: dict[str, Estimate | None] = {}
        for name in sorted({slot.evaluator for slot in slots if slot.evaluator.startswith("judge:")}):
            own = [slot for slot in slots if slot.evaluator == name]
            stem = f"judge.{name.removeprefix('judge:')}"
            metrics[f"{stem}.pass_rate"] = _pass_rate(own)
            metrics[f"{stem}.corrected_pass_rate"] = self._corrected(own)
        return metrics

    def table(self, plan: Plan) -> dict[str, Any]:
        """Who judged by what, for the record: a row per rubric in use, and why it only advises."""
        rows: dict[str, dict[str, Any]] = {}
        for play in plan.plays:
            for check in play.checks:
                if check.needs == "judge":
                    rubric = self._rubric(check, play.card)
                    _, doubt = standing(self.calibrations, self.judge.name, rubric)
                    rows[f"{check.name} {rubric.digest}"] = {
                        "check": check.name,
                        "rubric": rubric.name,
                        "version": rubric.version,
                        "digest": rubric.digest,
                        "advisory": check.advisory,
                        "doubt": doubt,
                    }
        return {"judge": self.judge.name, "harness": harness(), "rubrics": [rows[key] for key in sorted(rows)]}

    def digests(self, plan: Plan) -> dict[str, str]:
        """A digest per rubric in use and one of the judge's name: a record with another judge is another measurement."""
        rows = self.table(plan)["rubrics"]
        named = hashlib.sha256(f"{self.judge.name} {harness()}".encode()).hexdigest()
        return {"judge": f"sha256:{named}", **{f"rubric.{row['rubric']}": row["digest"] for row in rows}}

    def _check(self, check: Check, card: Card) -> Check:
        if check.needs != "judge":
            return check
        rubric = self._rubric(check, card)
        proof, _ = standing(self.calibrations, self.judge.name, rubric)
        labels = {"rubric": rubric.label, "judge": self.judge.name}
        return replace(check, evaluator=Judged(check.name, rubric.label), advisory=proof is None, labels=labels)

    def _rubric(self, check: Check, card: Card) -> Rubric:
        asked = next(judge for turn in card.turns for judge in turn.expect.judge if judge.check == check.name)
        return rubric_of(asked, self.rubrics)

    def _corrected(self, slots: Sequence[Slot]) -> Estimate | None:
        """Null unless every card was judged by the same wording and that wording is calibrated."""
        labels = {slot.labels.get("rubric") for slot in slots}
        rubric = self.rubrics.get(slots[0].evaluator.removeprefix("judge:"))
        if rubric is None or labels != {rubric.label}:
            return None
        proof, _ = standing(self.calibrations, self.judge.name, rubric)
        if proof is None:
            return None
        first = [slot.state == "pass" for slot in slots if slot.repeat == 0 and slot.state in {"pass", "fail"}]
        planned = sum(slot.repeat == 0 for slot in slots)
        return corrected_rate(sum(first), len(first), proof.counts, planned=planned)


def load_jury(judge: Judge, folder: Path, cards: Sequence[Card]) -> Jury:
    """A judge with the rubrics and calibrations of a pack's `judge` folder. Raises `UsageError` when a card names a rubric it lacks."""
    rubrics = read_rubrics(folder / "rubrics")
    if faults := rubric_faults(cards, rubrics):
        raise UsageError("\n".join(faults))
    return Jury(judge=judge, rubrics=rubrics, calibrations=read_calibrations(folder / "calibrations"))


async def with_verdicts(jury: Jury, card: Card, transcript: Transcript) -> Transcript:
    """The transcript with what the judge says of it. A play that broke off is not judged."""
    if transcript.fault is not None or not any(turn.expect.judge for turn in card.turns):
        return transcript
    return replace(transcript, verdicts=await jury.verdicts(card, transcript.turns))


def _before(turns: Sequence[Turn], number: int) -> list[str]:
    """The conversation up to the user's message of turn `number` (1-based), one line a message."""
    lines: list[str] = []
    for turn in turns[: number - 1]:
        lines += [f"User: {turn.user}", f"Assistant: {turn.text}"]
    return [*lines, f"User: {turns[number - 1].user}"]


def _pass_rate(slots: Sequence[Slot]) -> Estimate:
    groups: dict[str, tuple[int, int]] = {}
    for slot in slots:
        k, n = groups.get(slot.card, (0, 0))
        if slot.state in {"pass", "fail"}:
            groups[slot.card] = (k + (slot.state == "pass"), n + 1)
    return clustered_rate(list(groups.values()), planned=len(slots), most=len(groups) or 1)
