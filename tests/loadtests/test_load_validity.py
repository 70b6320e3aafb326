"""A generator that was the bottleneck is named; a target that is slow is never excused by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loadtests.traffic import ThinkTime, Users
from loadtests.validity import broken, generator_cpu, little, own_lags


@pytest.fixture
def reasons(planted) -> Callable[..., list[str]]:
    return lambda **changes: broken(planted.evidence(**changes))


def with_rows(planted, **changes: Any) -> dict[str, Any]:
    rows = [planted.row(n) for n in range(100)]
    return {"reports": [planted.report(sessions=[row | {k: v(row) for k, v in changes.items()} for row in rows])]}


def test_a_calm_run_can_be_used(planted, reasons):
    assert reasons() == []
    assert own_lags(planted.evidence()) == [pytest.approx(0.001, abs=1e-9)] * 100


def test_a_median_lag_of_ten_milliseconds_is_refused(planted, reasons):
    (reason,) = reasons(
        **with_rows(planted, t_taken=lambda row: row["t_plan"] + 0.011, t_ready=lambda row: row["t_plan"] + 0.011)
    )
    assert "late in the median" in reason


def test_a_tail_of_lags_is_refused(planted, reasons):
    late = lambda row: row["t_plan"] + (0.2 if row["session"] in {50, 51} else 0.001)  # noqa: E731
    (reason,) = reasons(**with_rows(planted, t_taken=late, t_ready=late))
    assert "99th percentile" in reason


def test_a_late_send_after_slot_and_sandbox_were_there_is_the_clients_lag(planted, reasons):
    slow = [planted.sample(n, t_send=planted.row(n)["t_ready"] + 0.02) for n in range(100)]
    (reason,) = reasons(samples=slow)
    assert "late in the median" in reason


def test_waiting_for_a_slot_is_the_targets_doing_and_no_reason(planted, reasons):
    samples = [planted.sample(n, t_send=0.1 * (n + 1) + 0.3) for n in range(100)]
    assert reasons(samples=samples, **with_rows(planted, waited=lambda row: True, t_ready=lambda row: row["t_plan"] + 0.3)) == []


def test_conversations_that_were_never_started_are_refused(planted, reasons):
    (reason,) = reasons(reports=[planted.report(sessions=[planted.row(n) for n in range(97)])])
    assert "never started 3 of 100" in reason


def test_a_rate_off_by_more_than_a_percent_is_refused(planted, reasons):
    stretched = lambda row: row["t_plan"] * 1.012  # noqa: E731
    found = reasons(**with_rows(planted, t_taken=stretched, t_ready=stretched))
    assert any("98.8% of the planned rate" in reason for reason in found)


def test_a_busy_generator_is_refused(planted, reasons):
    (reason,) = reasons(generator=[planted.usage(t, cpu=0.95) for t in range(10)])
    assert "0.95 processors" in reason
    assert generator_cpu(planted.evidence(generator=[])) is None


def test_turns_in_flight_that_do_not_add_up_are_refused(planted, reasons):
    (reason,) = reasons(reports=[planted.report(turn_seconds=90.0)])
    assert "9.00 were counted" in reason and "Little's law" in reason
    (reason,) = reasons(samples=[planted.sample(n) for n in range(85)])
    assert "the samples imply 4.25" in reason
    (reason,) = reasons(reports=[planted.report(turn_seconds=None)])
    assert "none were counted" in reason


def test_a_censored_turn_is_in_flight_to_the_end_of_the_window(planted, reasons):
    law = little(planted.evidence(samples=[planted.sample(0, t_plan=4.0, outcome="censored", t_done=None)]))
    assert law.implied == pytest.approx(0.6)


def test_a_client_that_adds_too_much_is_refused(planted, reasons):
    slow = {"n": 40, "failed": 0, "response_p50_s": 0.001, "response_p99_s": 0.06}
    (reason,) = reasons(reports=[planted.report(calibration=slow)])
    assert "client alone adds 0.060 s" in reason
    (reason,) = reasons(reports=[planted.report(calibration=slow | {"n": 0, "response_p99_s": None})])
    assert "calibration brought no answer" in reason
    assert reasons(reports=[planted.report(calibration=None)]) == []


def test_a_target_that_never_answered_proves_nothing(planted, reasons):
    (reason,) = reasons(survived=None)
    assert "never answered" in reason


def test_a_target_that_died_later_is_judged(planted, reasons):
    assert reasons(survived=False) == []


def test_a_worker_without_a_report_or_with_a_bad_end_proves_nothing(planted, reasons):
    (reason,) = reasons(reports=[planted.report(), None])
    assert "ended before its campaign" in reason
    assert reasons(ended_early="It fell over.") == ["It fell over."]


def test_no_measured_turn_proves_nothing(planted, reasons):
    found = reasons(samples=[planted.sample(0, phase="warmup")])
    assert "No measured turn was played." in found


def test_one_conversation_has_no_rate_to_check(planted, reasons):
    alone = planted.evidence().sessions[:1]
    changes: dict[str, Any] = {"sessions": alone, "samples": [planted.sample(0)]}
    assert reasons(reports=[planted.report(sessions=[planted.row(0)], turn_seconds=0.5)], **changes) == []


def closed(planted, late_s: float):
    arrivals = Users(pattern="closed", users=10, duration_s=10)
    profile = planted.profile.model_copy(update={"arrivals": arrivals, "think": ThinkTime(median_s=1)})
    samples = [planted.sample(n, turn=2, t_send=0.1 * (n + 1) + late_s) for n in range(100)]
    report = planted.report(sessions=[], due=100)
    return planted.evidence(profile=profile, sessions=[], samples=samples, reports=[report])


def test_users_of_a_closed_loop_have_no_rate_to_keep_but_a_lag(planted):
    assert broken(closed(planted, 0.001)) == []
    (reason, *_) = broken(closed(planted, 0.08))
    assert "late in the median" in reason
