"""Waits end at their moment, and the process does not sleep through the last part of one."""

from __future__ import annotations

import time

import gevent

from loadtests.waiting import AWAKE_S, MOST_AWAKE_PER_S, awake_s, sleep_until


class Clock:
    """Stands still but for looks at it; each takes a tenth of a millisecond."""

    def __init__(self) -> None:
        self.now = 5.0
        self.looks = 0

    def read(self) -> float:
        self.looks += 1
        self.now += 0.0001
        return self.now


def test_a_moment_that_is_past_is_waited_for_no_longer():
    clock = Clock()
    sleep_until(4.0, clock.read, 0.001)
    assert clock.looks == 2


def test_the_last_part_is_spent_awake_and_others_go_on():
    clock, went_on = Clock(), list[int]()
    other = gevent.spawn(lambda: [went_on.append(number) or gevent.sleep(0) for number in range(5)])
    sleep_until(5.001, clock.read, 0.001)
    assert clock.read() >= 5.001 and clock.looks > 5
    assert went_on
    other.kill()


def test_a_wait_ends_at_its_moment_and_not_before():
    moment = time.monotonic() + 0.05
    sleep_until(moment, time.monotonic, AWAKE_S)
    assert 0 <= time.monotonic() - moment < 1.0


def test_a_process_of_many_turns_never_stays_awake_for_one():
    assert awake_s(MOST_AWAKE_PER_S) == AWAKE_S
    assert awake_s(MOST_AWAKE_PER_S + 1) == 0.0
