"""Schedules are seeded, exact in rate, and shared by workers without overlap."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import fmean, pstdev

import pytest

from loadtests.schedule import Session, arrival_times, plan_sessions, planned_turns, think_times, worker_slice
from loadtests.script import Conversation, ScriptTurn, mean_turns
from loadtests.traffic import TrafficProfile


def profile(**changes: object) -> TrafficProfile:
    fields: dict[str, object] = {
        "name": "t",
        "model": "paced:",
        "arrivals": {"pattern": "poisson", "rate_per_s": 12, "duration_s": 30},
        "warmup_s": 5,
        "max_in_flight": 50,
        "turn_timeout_s": 10,
        "drain_s": 10,
        "objectives": {"response_s": 2, "ttft_s": 1},
        "seed": 7,
    }
    return TrafficProfile.model_validate(fields | changes)


def script(*turns: int, weights: tuple[float, ...] | None = None) -> list[Conversation]:
    return [
        Conversation(id=f"c{i}", weight=(weights or (1.0,) * len(turns))[i], user_id="u", turns=[ScriptTurn(text="hi")] * n)
        for i, n in enumerate(turns)
    ]


@pytest.mark.parametrize("pattern", ["constant", "poisson", "gamma"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_last_arrival_lands_on_n_over_rate_whatever_the_seed(pattern, seed):
    times = arrival_times(pattern, 8.0, 200, burstiness=0.3, seed=seed)
    assert len(times) == 200
    assert times[-1] == 25.0
    assert all(before < after for before, after in pairwise(times))
    assert times[0] > 0


def test_no_arrivals_are_no_arrivals():
    assert arrival_times("poisson", 5.0, 0) == []


def test_one_seed_gives_one_schedule_and_another_seed_another():
    assert arrival_times("poisson", 5.0, 20, seed=1) == arrival_times("poisson", 5.0, 20, seed=1)
    assert arrival_times("poisson", 5.0, 20, seed=1) != arrival_times("poisson", 5.0, 20, seed=2)


def spread(pattern, burstiness=1.0):
    times = arrival_times(pattern, 10.0, 4000, burstiness=burstiness, seed=5)
    gaps = [after - before for before, after in pairwise(times)]
    return pstdev(gaps) / fmean(gaps)


def test_gaps_spread_as_their_pattern_says():
    assert spread("constant") == pytest.approx(0.0, abs=1e-9)
    assert spread("poisson") == pytest.approx(1.0, abs=0.06)
    assert spread("gamma", 0.25) == pytest.approx(2.0, abs=0.2)


def test_smoke_rate_gives_the_turns_it_promises():
    sessions = plan_sessions(profile(), script(3, 5), seed=7)
    assert planned_turns(sessions) >= 320
    steady = [session for session in sessions if session.phase == "steady"]
    assert len(steady) == 90
    assert all(5 < session.t_plan <= 35 for session in steady)


def test_phases_follow_each_other_and_cooldown_lasts_as_long_as_the_drain():
    sessions = plan_sessions(profile(), script(4), seed=7)
    assert [session.session for session in sessions] == list(range(len(sessions)))
    assert [session.t_plan for session in sessions] == sorted(session.t_plan for session in sessions)
    assert Counter(session.phase for session in sessions) == {"warmup": 15, "steady": 90, "cooldown": 30}


def test_a_rate_too_low_for_one_conversation_still_plays_one():
    low = profile(arrivals={"pattern": "constant", "rate_per_s": 0.01, "duration_s": 1}, warmup_s=0)
    sessions = plan_sessions(low, script(4), seed=7)
    assert [session.phase for session in sessions] == ["steady"]
    assert sessions[0].t_plan == 1.0


def test_conversations_are_played_as_often_as_their_weight_says():
    sessions = plan_sessions(profile(warmup_s=0), script(4, 4, weights=(3.0, 1.0)), seed=7)
    counts = Counter(session.conversation.id for session in sessions if session.phase == "steady")
    assert abs(counts["c0"] - 3 * counts["c1"]) <= 3
    assert counts.total() == 90


def test_a_script_longer_than_the_run_is_played_from_all_over_not_from_its_start():
    short = profile(arrivals={"pattern": "constant", "rate_per_s": 1, "duration_s": 20}, warmup_s=0, drain_s=0.1)
    numbers = [int(s.conversation.id[1:]) for s in plan_sessions(short, script(*[1] * 200), seed=7)]
    assert len(set(numbers)) == 20
    assert max(numbers) > 150


def test_slices_of_workers_are_the_whole_schedule_once():
    sessions = plan_sessions(profile(), script(2, 3), seed=7)
    slices = [worker_slice(sessions, worker=worker, workers=3) for worker in range(3)]
    assert sorted(session.session for part in slices for session in part) == [session.session for session in sessions]
    assert max(map(len, slices)) - min(map(len, slices)) <= 1


def test_mean_turns_weighs_conversations():
    assert mean_turns(script(2, 6, weights=(3.0, 1.0))) == 3.0


def test_thought_is_none_by_default_and_seeded_by_session():
    session = Session(session=4, phase="steady", t_plan=1.0, conversation=script(3)[0])
    other = Session(session=5, phase="steady", t_plan=1.0, conversation=script(3)[0])
    thinking = profile(think={"median_s": 8, "sigma": 0.5})
    assert think_times(profile(), session, seed=1) == [0.0, 0.0, 0.0]
    assert think_times(thinking, session, seed=1) == think_times(thinking, session, seed=1)
    assert think_times(thinking, session, seed=1) != think_times(thinking, other, seed=1)
    assert all(value > 0 for value in think_times(thinking, session, seed=1))
