"""A policy file is read whole or refused with every fault, its line and the nearest name."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from reports.gates.metrics import METRICS, describe_metric, find_metric
from reports.gates.policy import PolicyError, read_policy

ROOT = Path(__file__).resolve().parents[2]
Write = Callable[..., Path]

FAULTY = """\
name: broken
lines:
  - metric: routing.acuracy
    at_least: 0.95
  - metric: cards.pass_rate
    atleast: 0.9
  - metric: load.error_rate
    at_most: 0.01
    at_least: 0.5
  - metric: load.lost_turns
    at_most: 0
    tiers: [daily]
"""


def test_all_faults_come_at_once_with_line_field_and_remedy(write_policy: Write) -> None:
    path = write_policy(FAULTY)
    with pytest.raises(PolicyError) as caught:
        read_policy(path)
    assert str(caught.value).splitlines() == [
        f"{path}:3: lines[0].metric: unknown metric 'routing.acuracy'; did you mean 'routing.accuracy'?",
        f"{path}:6: lines[1].atleast: unknown field; did you mean 'at_least'?",
        f"{path}:7: lines[2]: give exactly one of at_least, at_most, max_drop, max_rise; got at_least, at_most",
        f"{path}:12: lines[3].tiers[0]: Input should be 'pr', 'nightly' or 'release'",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: x\nlines: []\n", "lines: empty"),
        ("[1, 2]\n", "not a policy"),
        ("name: [\n", "not YAML"),
        ("", "not a policy"),
        ("name: x\nzzz: 1\n", "unknown field; use one of"),
        ("name: x\nlines:\n - {metric: load.lost_turns, at_most: 0}\n - {metric: load.lost_turns, at_most: 1}\n", "second line"),
        ("name: x\nlines:\n - {metric: cards.pass_rate, max_drop: 0.1, baseline: none}\n", "compares with a baseline"),
        ("name: x\nlines:\n - {metric: cards.pass_rate, at_least: 0.1, baseline: required}\n", "needs no baseline"),
        ("name: x\nlines:\n - {metric: qqqqq, at_least: 0.1}\n", "unknown metric 'qqqqq'"),
        ("name: x\nextends: policy.yaml\n", "leads back to itself"),
        ("name: x\nextends: gone.yaml\n", "cannot be read"),
        ("name: x\nlines: 3\n", "lines: Input should be a valid list"),
    ],
)
def test_a_faulty_policy_is_refused(text: str, fault: str, write_policy: Write) -> None:
    with pytest.raises(PolicyError, match=r"policy\.yaml|gone\.yaml") as caught:
        read_policy(write_policy(text))
    assert fault in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"cannot be read .*; give the path of a policy file"):
        read_policy(tmp_path / "none.yaml")


def test_a_line_replaces_the_inherited_one_of_its_name(write_policy: Write) -> None:
    write_policy(
        "name: base\nmax_unjudged: 0.2\nlines:\n - {metric: cards.pass_rate, at_least: 0.5}\n - {metric: load.lost_turns, at_most: 0}\n",
        "base.yaml",
    )
    policy = read_policy(write_policy("name: top\nextends: base.yaml\nlines:\n - {metric: cards.pass_rate, at_least: 0.8}\n"))
    assert (policy.name, policy.max_unjudged) == ("top", 0.2)
    assert [(line.metric, line.threshold) for line in policy.lines] == [("cards.pass_rate", 0.8), ("load.lost_turns", 0.0)]


@pytest.mark.parametrize("tier", ["pr", "nightly", "release"])
def test_shipped_policies_carry_every_documented_promise(tier: str) -> None:
    policy = read_policy(ROOT / f"datasets/gates/{tier}.yaml")
    promised = {
        "routing.accuracy": 0.95,
        "load.response.p95_s": 2.0,
        "load.error_rate": 0.01,
        "cards.tool_success": 0.99,
        "cache.hit_rate": 0.8,
        "cache.hit_share_of_possible": 0.95,
        "turn.overhead.p95_s": 0.02,
        "turn.overhead.mean_s": 0.5,
        "turn.switch.p95_s": 0.02,
        "turn.switch.p99_s": 0.04,
        "store.query.p95_s": 0.1,
        "store.load.p95_s": 0.1,
        "voice.ttft.p95_s": 2.0,
        "soak.availability": 0.999,
        "websockets.held": 1000,
        "load.lost_turns": 0,
        "target.survived": 1,
    }
    found = {line.key: line.threshold for line in policy.lines}
    assert {name: found.get(name) for name in promised} == promised
    assert policy.critical_cards == "all_repeats"


def test_a_later_policy_is_never_looser() -> None:
    policies = [read_policy(ROOT / f"datasets/gates/{tier}.yaml") for tier in ("pr", "nightly", "release")]
    for early, late in pairwise(policies):
        assert late.max_unjudged <= early.max_unjudged
        assert early.guards and late.guards and (early.guards.mean_drop_margin or 1) >= (late.guards.mean_drop_margin or 1)
        before = {line.key: line for line in early.lines}
        for line in late.lines:
            sign = 1 if line.limit == "at_least" else -1
            assert sign * line.threshold >= sign * before[line.key].threshold


def test_names_with_placeholders_are_known_and_described() -> None:
    assert describe_metric("routing.recall.safety").title == "Requests for safety that reach it"
    assert describe_metric("cards.agent.safety.pass_rate").title == "Cards that pass, agent safety"
    assert describe_metric("other.thing.p95_s").unit == "seconds"
    assert describe_metric("other.thing").unit == "share"
    assert find_metric("routing.recall.") is None
    assert len({metric.name for metric in METRICS}) == len(METRICS)
