"""Cards under load: compiled into the script that `loadtests` plays, and every loaded turn scored against its card afterwards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.wire import EventAdapter
from evals.cards import Card, Solution
from evals.evaluators.table import checks_for, measurable
from evals.experiment import judge
from evals.plan import PlannedPlay
from evals.transcript import Transcript, Visible, turn_from_events
from loadtests.samples import Sample
from reports.records import Estimate, Slot
from reports.statistics.mcnemar import mcnemar_worse
from reports.statistics.proportions import clustered_rate

_UNDER_LOAD = Visible(route=True, tools=True, citations=True, outcome=True, state=False, timings=False)
_TEXT_ALONE = Visible(route=False, tools=False, citations=False, outcome=False, state=False, timings=False)


def loadable(cards: Sequence[Card], *, most_turns: int | None = None) -> list[Card]:
    """Cards that can be played by many users at once: no injected faults, no language model required, no simulated user, at most `most_turns` turns."""
    played = [card for card in cards if not card.faults and card.requires is None and card.goal is None]
    return [card for card in played if most_turns is None or len(card.turns) <= most_turns]


def switching(cards: Sequence[Card]) -> list[Card]:
    """Cards whose conversation moves from one agent to another, by their reference solution."""
    agents = {card.id: [turn.agent for turn in card.reference.turns if turn.agent is not None] for card in cards}
    return [card for card in cards if len(set(agents[card.id])) > 1]


def write_script(cards: Sequence[Card], path: Path, *, pack: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        for card in cards:
            row = {
                "id": card.id,
                "weight": card.weight,
                "user_id": card.user,
                "sandbox": {"pack": pack, "fixtures": card.fixtures, "faults": []},
                "turns": [{"text": turn.user} for turn in card.turns],
            }
            file.write(json.dumps(row) + "\n")


def score_samples(samples: Sequence[Sample], cards: Sequence[Card], *, ours: bool = True) -> list[Slot]:
    """One slot per loaded turn of a card: did it say and do what its card expects of that turn? Made-up messages have no slot, nor have
    turns of which nothing can be checked on a target that is not `ours`, which shows its words alone.
    """
    by_id = {card.id: card for card in cards}
    visible = _UNDER_LOAD if ours else _TEXT_ALONE
    scored = (_score(sample, by_id[sample.conversation], visible) for sample in samples if sample.conversation in by_id)
    return [slot for slot in scored if slot is not None]


def load_metrics(
    slots: Sequence[Slot], samples: Sequence[Sample], *, objective_s: float, window_s: float
) -> dict[str, Estimate | None]:
    """The share of attempted turns that are right, and how many a second are answered, in time and right."""
    if not slots:
        return {"load.correct_rate": None, "load.correct_goodput_per_s": None}
    sessions: dict[int, list[bool]] = {}
    good = 0
    turns = {f"load/{sample.sample}": sample for sample in samples}
    for slot in slots:
        sample = turns[slot.slot_id]
        right = slot.state == "pass"
        sessions.setdefault(sample.session, []).append(right)
        good += right and sample.t_done is not None and sample.t_done - sample.t_plan <= objective_s
    n = len(slots)
    goodput = Estimate(
        value=good / window_s,
        low=None,
        high=None,
        k=good,
        n=n,
        planned=n,
        confidence=0.95,
        method="answered, in time and right, a second",
    )
    rate = clustered_rate([(sum(members), len(members)) for members in sessions.values()], planned=n)
    return {"load.correct_rate": rate, "load.correct_goodput_per_s": goodput}


def paired_accuracy(loaded: Sequence[Slot], unloaded: Sequence[Slot]) -> dict[str, Any]:
    """Turns of cards under load against the same turns without load. The pair is a turn of a card: it is right under load when every
    loaded repeat of it was. `p_value`: McNemar's exact test, one-sided, that load breaks turns.
    """
    right: dict[str, bool] = {}
    for slot in loaded:
        key = slot.labels["turn"]
        right[key] = right.get(key, True) and slot.state == "pass"
    before = {slot.labels["turn"]: slot.state == "pass" for slot in unloaded}
    pairs = [(key, before[key], right[key]) for key in sorted(right.keys() & before.keys())]
    broke = [key for key, was, is_now in pairs if was and not is_now]
    healed = [key for key, was, is_now in pairs if is_now and not was]
    return {
        "turns": len(pairs),
        "right_unloaded": sum(was for _, was, _ in pairs),
        "right_loaded": sum(is_now for _, _, is_now in pairs),
        "broke": broke,
        "healed": healed,
        "p_value": mcnemar_worse(len(broke), len(healed)),
    }


def _score(sample: Sample, card: Card, visible: Visible) -> Slot | None:
    one = _one_turn(card, sample.turn)
    play = PlannedPlay(card=one, repeat=0, checks=[check for check in checks_for(one) if measurable(check, visible)])
    if not play.checks:
        return None
    slots = judge(play, _transcript(sample, one, visible))
    worst = next((slot for slot in slots if slot.state != "pass"), slots[0])
    return Slot(
        slot_id=f"load/{sample.sample}",
        suite="load",
        card=sample.sample,
        repeat=0,
        evaluator="correct",
        state=worst.state,
        reason="" if worst.state == "pass" else f"{card.id} turn {sample.turn}: {worst.evaluator}: {worst.reason}",
        stage=worst.stage,
        labels={"card": card.id, "area": card.area, "turn": f"{card.id}/{sample.turn}"},
    )


def _one_turn(card: Card, number: int) -> Card:
    """The card reduced to one of its turns (1-based): what a loaded turn is held to."""
    solution = Solution(turns=[card.reference.turns[number - 1]])
    return card.model_copy(
        update={"turns": [card.turns[number - 1]], "reference": solution, "expect_state": {}, "absent_state": {}}
    )


def _transcript(sample: Sample, card: Card, visible: Visible) -> Transcript:
    if not sample.ok:
        fault = "timeout" if sample.outcome in {"timeout", "censored"} else "agent_error"
        return Transcript(
            card=card.id, repeat=0, turns=[], visible=visible, fault=fault, fault_reason=f"outcome {sample.outcome}"
        )
    events = [EventAdapter.validate_python(event) for event in sample.events]
    turn = turn_from_events(card.turns[0].user, events, (sample.t_done or sample.t_plan) - sample.t_plan)
    return Transcript(card=card.id, repeat=0, turns=[turn], visible=visible)
