"""Metrics have everything planned in their denominator, and failing fast never looks fast."""

from __future__ import annotations

import json

import pytest

from loadtests.slo import attainment, is_good
from loadtests.summary import metrics
from loadtests.tables import series, tables
from loadtests.timing import response_s, send_delay_s, service_s, tpot_s, ttft_s


def test_every_metric_of_a_good_run(planted):
    found = metrics(planted.evidence())
    values = {name: None if estimate is None else estimate.value for name, estimate in found.items()}
    assert values == {
        "load.response.p95_s": pytest.approx(0.5),
        "load.ttft.p95_s": pytest.approx(0.2),
        "load.error_rate": 0.0,
        "load.throughput_per_s": pytest.approx(9.4),
        "load.sched_lag.p50_s": pytest.approx(0.001),
        "load.server.peak_pss_bytes": 1000.0,
        "load.lost_turns": 0.0,
        "target.survived": 1.0,
    }
    error_rate = found["load.error_rate"]
    assert error_rate is not None
    assert (error_rate.k, error_rate.n, error_rate.planned) == (0, 100, 100)


def test_turns_that_fail_at_once_make_the_percentile_infinite_not_small(planted):
    failed = [planted.sample(n, outcome="http_5xx", t_done=planted.sample(n).t_plan + 0.001) for n in range(10)]
    found = metrics(planted.evidence(samples=failed + [planted.sample(n) for n in range(10, 100)]))
    response, rate = found["load.response.p95_s"], found["load.error_rate"]
    assert response is not None
    assert (response.value, response.high, response.n) == (None, None, 100)
    assert rate is not None
    assert (rate.k, rate.n) == (10, 100)


def test_missing_turns_count_as_errors_and_as_infinitely_slow(planted):
    found = metrics(planted.evidence(samples=[planted.sample(n) for n in range(90)]))
    lost, rate, response = (found[name] for name in ("load.lost_turns", "load.error_rate", "load.response.p95_s"))
    assert lost is not None
    assert (lost.value, lost.k, lost.n, lost.planned) == (10.0, 10, 100, 100)
    assert rate is not None
    assert rate.k == 10
    assert response is not None
    assert response.value is None


def test_warm_up_and_cool_down_are_not_measured(planted):
    beside = [planted.sample(200 + n, phase=phase, outcome="timeout") for n, phase in enumerate(["warmup", "cooldown"])]
    found = metrics(planted.evidence(samples=[*planted.evidence().samples, *beside]))
    rate = found["load.error_rate"]
    assert rate is not None
    assert (rate.k, rate.n) == (0, 100)


def test_what_was_not_measured_is_null(planted):
    found = metrics(planted.evidence(server=[], survived=None, reports=[planted.report(sessions=[])]))
    assert found["load.server.peak_pss_bytes"] is None
    assert found["target.survived"] is None
    assert found["load.sched_lag.p50_s"] is None


def test_a_target_that_died_has_survived_zero_of_one(planted):
    survived = metrics(planted.evidence(survived=False))["target.survived"]
    assert survived is not None
    assert (survived.value, survived.k, survived.n) == (0.0, 0, 1)


def test_hidden_pss_is_named(planted):
    peak = metrics(planted.evidence(server=[planted.usage(1.0, memory_kind="rss")]))["load.server.peak_pss_bytes"]
    assert peak is not None
    assert "RSS" in peak.method


def test_tables_are_plain_json_and_carry_their_definitions(planted):
    samples = [planted.sample(n) for n in range(98)] + [planted.sample(98, outcome="timeout", t_first=None)]
    found = tables(planted.evidence(samples=samples))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    load = found["load"]
    assert load["errors"] == {"timeout": 1}
    assert load["turns"] == {"planned": 100, "played": 99, "answered": 98}
    assert load["objectives"]["share"] == pytest.approx(0.98)
    assert load["objectives"]["good_by_session"]["k"] == 98
    assert load["open_conversations"] == pytest.approx(4.85)
    assert set(load["definitions"]) >= {"response_s", "ttft_s", "error_rate"}
    assert found["latency"]["response_s"]["infinite"] == 1
    assert found["latency"]["response_s"]["count"] == 99


def test_the_series_has_one_row_a_second_and_shows_where_errors_were(planted):
    samples = [planted.sample(n) for n in range(100) if n != 34]
    samples.append(planted.sample(34, outcome="http_5xx"))
    rows = series(planted.evidence(samples=samples))
    assert [row["t_s"] for row in rows] == list(range(11))
    assert [row["errors"] for row in rows] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert rows[0]["response_p95_s"] == pytest.approx(0.5)
    assert rows[5]["in_flight"] == pytest.approx(5.0)


def test_without_workers_the_tables_are_still_there(planted):
    found = tables(planted.evidence(samples=[], reports=[None]))
    assert found["load"]["open_conversations"] is None
    assert found["load"]["service_s"]["mean"] is None
    assert [row["response_p50_s"] for row in found["load_series"]] == [None]


def test_latencies_start_at_the_intended_start(planted):
    late = planted.sample(0, t_plan=1.0, t_send=3.0, t_first=3.2, t_last=3.6, t_done=4.0)
    assert (response_s(late), ttft_s(late)) == (3.0, pytest.approx(2.2))
    assert (service_s(late), send_delay_s(late)) == (1.0, 2.0)
    assert tpot_s(late) == pytest.approx(0.1)


def test_what_never_happened_has_no_duration(planted):
    failed = planted.sample(0, outcome="connect", t_send=None, t_first=None)
    assert (response_s(failed), ttft_s(failed)) == (float("inf"), float("inf"))
    assert (service_s(failed), send_delay_s(failed), tpot_s(failed)) == (None, None, None)
    assert tpot_s(planted.sample(0, output_tokens=1)) is None


def test_good_turns_keep_every_objective(planted):
    objectives = planted.profile.objectives
    late = planted.sample(1, t_done=9.0)
    slow_start = planted.sample(2, t_first=1.4, t_done=1.5)
    assert [is_good(item, objectives) for item in (planted.sample(0), late, slow_start)] == [True, False, False]
    found = attainment([planted.sample(0), late, slow_start], objectives, planned=4)
    assert (found.good, found.late, found.late_first_word, found.share) == (1, 1, 1, 0.25)
    assert attainment([], objectives, planned=0).share == 0.0
