"""Resources of a process tree: children count, the dead do not."""

from __future__ import annotations

import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from loadtests import resources
from loadtests.resources import Sampler, alive

BUSY = "import subprocess,sys,time; subprocess.Popen([sys.executable,'-c','import time; time.sleep(30)']);\nwhile True: pass"


@pytest.fixture
def busy_tree():
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    deadline = time.monotonic() + 5
    while not psutil.Process(process.pid).children() and time.monotonic() < deadline:
        time.sleep(0.02)
    yield process
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    process.wait()


def test_a_tree_is_sampled_with_its_children_and_its_work(busy_tree, monkeypatch):
    monkeypatch.setattr(resources, "INTERVAL_S", 0.1)
    with Sampler([busy_tree.pid], zero=time.monotonic()) as sampler:
        time.sleep(0.5)
    assert len(sampler.usages) >= 3
    last = sampler.usages[-1]
    assert last.processes == 2
    assert last.memory_bytes > 1_000_000
    assert last.fds > 0
    assert last.cpu > 0.02, "an idle tree has none"
    assert 0.0 <= sampler.usages[0].t_s < last.t_s


def test_a_process_that_is_gone_has_no_samples():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with Sampler([process.pid], zero=0.0) as sampler:
        time.sleep(0.05)
    assert sampler.usages == []
    assert not alive(process.pid)


def test_a_dead_process_that_nobody_collected_does_not_run():
    process = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 5
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(process.pid)
    process.wait()


class Hidden:
    """A process whose proportional memory the system does not show."""

    pid = 5

    def __init__(self, denied: type[psutil.Error] | None) -> None:
        self.denied = denied

    def memory_full_info(self):
        if self.denied:
            raise self.denied(self.pid)
        return SimpleNamespace(rss=70)

    def memory_info(self):
        return SimpleNamespace(rss=80)

    def cpu_times(self):
        return SimpleNamespace(user=1.0, system=1.0)

    def num_fds(self):
        return 3


@pytest.mark.parametrize(("denied", "size"), [(psutil.AccessDenied, 80), (None, 70)])
def test_where_pss_is_hidden_the_resident_size_is_taken_and_named(monkeypatch, denied, size):
    monkeypatch.setattr(resources, "_tree", lambda pids: [Hidden(denied)])
    with Sampler([5], zero=0.0) as sampler:
        time.sleep(0.05)
    assert (sampler.usages[0].memory_bytes, sampler.usages[0].memory_kind) == (size, "rss")


def test_a_process_that_ends_while_it_is_looked_at_is_left_out(monkeypatch):
    monkeypatch.setattr(resources, "_tree", lambda pids: [Hidden(psutil.NoSuchProcess)])
    with Sampler([5], zero=0.0) as sampler:
        time.sleep(0.05)
    assert sampler.usages == []
