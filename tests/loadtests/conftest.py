"""Planted evidence, and a small real server, for the tests of the load engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadtests import generators
from loadtests.campaign import WorkerReport
from loadtests.evidence import Evidence
from loadtests.resources import Usage
from loadtests.samples import Sample
from loadtests.schedule import Session
from loadtests.script import Conversation, ScriptTurn
from loadtests.traffic import TrafficProfile

PROFILE = TrafficProfile.model_validate(
    {
        "name": "t",
        "model": "paced:",
        "arrivals": {"pattern": "constant", "rate_per_s": 10, "duration_s": 10},
        "warmup_s": 0,
        "max_in_flight": 50,
        "turn_timeout_s": 10,
        "drain_s": 10,
        "objectives": {"response_s": 2, "ttft_s": 1},
        "seed": 7,
    }
)
TALK = Conversation(id="talk", user_id="u", turns=[ScriptTurn(text="hi")])
RESPONSE_S = 0.5


def sample(session: int = 0, turn: int = 1, **changes: Any) -> Sample:
    t_plan = changes.pop("t_plan", 0.1 * (session + 1))
    fields: dict[str, Any] = {
        "sample": f"{session}-{turn}",
        "session": session,
        "conversation": "talk",
        "turn": turn,
        "phase": "steady",
        "t_plan": t_plan,
        "t_send": t_plan + 0.001,
        "t_first": t_plan + 0.2,
        "t_last": t_plan + 0.4,
        "t_done": t_plan + RESPONSE_S,
        "outcome": "ok",
        "status": 200,
        "agent": "menu",
        "output_tokens": 5,
        "text": "hello",
        "events": [],
        "sandbox": None,
    }
    return Sample(**fields | changes)


def usage(t_s: float, **changes: Any) -> Usage:
    fields: dict[str, Any] = {"memory_bytes": 1000, "memory_kind": "pss", "cpu": 0.2, "fds": 9, "processes": 1}
    return Usage(t_s=t_s, **fields | changes)


def row(session: int, **changes: Any) -> dict[str, Any]:
    t_plan = 0.1 * (session + 1)
    fields = {"session": session, "phase": "steady", "t_plan": t_plan, "waited": False}
    return fields | {"t_taken": t_plan + 0.001, "t_ready": t_plan + 0.001} | changes


def report(**changes: Any) -> WorkerReport:
    calibration = {"n": 40, "failed": 0, "response_p50_s": 0.001, "response_p99_s": 0.004}
    fields: dict[str, Any] = {
        "worker": 0,
        "sandboxes": True,
        "sessions": [row(session) for session in range(100)],
        "gauge": [(step / 10, min(5, step), min(5, step)) for step in range(105)],
        "turn_seconds": 50.0,
        "calibration": calibration,
        "histograms": {"stutter_s": {"unit_s": 1e-6, "sub_buckets": 64, "infinite": 0, "counts": {}}},
    }
    return WorkerReport(**fields | changes)


def evidence(**changes: Any) -> Evidence:
    """A hundred turns, ten a second, half a second each: everything is well."""
    fields: dict[str, Any] = {
        "profile": PROFILE,
        "sessions": [Session(session=n, phase="steady", t_plan=0.1 * (n + 1), conversation=TALK) for n in range(100)],
        "samples": [sample(session) for session in range(100)],
        "reports": [report()],
        "server": [usage(t_s / 2) for t_s in range(20)],
        "generator": [usage(t_s / 2) for t_s in range(20)],
        "survived": True,
    }
    return Evidence(**fields | changes)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a second need no third of a second to see their start; a worker looks for it fifty times a second."""
    monkeypatch.setattr(generators, "HEAD_START_S", 0.1)


@pytest.fixture
def planted() -> SimpleNamespace:
    """Builders: `evidence()` of a run in which everything is well, and of its parts, each with changes by name."""
    return SimpleNamespace(evidence=evidence, report=report, row=row, sample=sample, usage=usage, profile=PROFILE)


@contextmanager
def _wire_server(**options: Any) -> Iterator[SimpleNamespace]:
    command = [sys.executable, str(Path(__file__).with_name("wire_server.py")), json.dumps(options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield SimpleNamespace(url=f"http://127.0.0.1:{int(process.stdout.readline())}", pid=process.pid)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def wire_server() -> Iterator[Callable[..., SimpleNamespace]]:
    """Starts a small server that speaks the wire, with faults on request; gives its `url` and `pid`."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(_wire_server(**options))
