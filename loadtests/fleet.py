"""Fleet: the master's side of a load run whose generators sit on several hosts.

Hosts join over `links`, derive the schedule for themselves, start together and send their samples and reports, which are merged as those
of one host are. Each host's times count from its own zero on its own monotonic clock, so durations never cross a network; only the
common start does, and how far it may be off on each host is recorded.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from loadtests.campaign import WorkerConfig, WorkerReport, write_json
from loadtests.generators import OVERTIME_S, POLL_S, READY_S, Watched, length_s
from loadtests.jobs import job_of, schedule_digest
from loadtests.links import Link, LinkLost, Refused, admit, own_build
from loadtests.processes import LoadError
from loadtests.resources import Usage, mean_cpu

ROUND_TRIPS = 20
ANSWER_S = 5.0
SILENCE_S = 10.0
"""A host under way tells of itself twice a second; after so long without a word it is lost."""
CLOCK_ERROR_S = 0.05
"""How far the hosts' starts may be apart: what the first and last start of a run may be off by before its rate is."""


@dataclass(frozen=True, kw_only=True)
class Gathering:
    """Where hosts join and how many must. `per_host` generator processes run on each. `told` hears what happens, a sentence each."""

    host: str
    port: int
    expect: int
    token: str = field(repr=False)
    per_host: int = 1
    patience_s: float = 120.0
    told: Callable[[str], None] = lambda _: None


@dataclass(kw_only=True)
class Member:
    """A host that joined. `numbers` are the generators it runs; `clock_error_s` bounds how far its start is from the master's."""

    name: str
    link: Link
    numbers: list[int]
    offset_s: float = 0.0
    clock_error_s: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    reported: set[int] = field(default_factory=set)
    usages: list[Usage] = field(default_factory=list)

    def measure_clock(self) -> None:
        """Offset of the host's clock by the round trip that took least: it read its clock between the sending and the answer, so the
        offset to the middle of the two is wrong by half the round trip at most (Cristian's algorithm). Raises `LinkLost`."""
        best = float("inf")
        for _ in range(ROUND_TRIPS):
            sent = time.monotonic()
            self.link.send("ping")
            theirs = self.link.receive("pong", within_s=ANSWER_S)["t_s"]
            back = time.monotonic()
            if back - sent < best:
                best = back - sent
                self.offset_s, self.clock_error_s = float(theirs) - (sent + back) / 2, best / 2

    def as_row(self) -> dict[str, Any]:
        return {"name": self.name, "generators": self.numbers, "clock_error_s": self.clock_error_s, "cpu": mean_cpu(self.usages)}


class Fleet:
    """Generators on other hosts; a context manager that closes their links, upon which they end what they started."""

    def __init__(self, gathering: Gathering, config: WorkerConfig) -> None:
        self.members: list[Member] = []
        self._gathering = gathering
        self._config = config
        self._stack = ExitStack()
        self._zero = 0.0

    @property
    def head_start_s(self) -> float:
        """The message that starts a host must reach it before the start does."""
        return 0.5

    @property
    def hosts(self) -> list[dict[str, Any]]:
        return [member.as_row() for member in self.members]

    @property
    def usages(self) -> list[Usage]:
        """All hosts together: their samples, taken at the same moments after the start, added up one by one."""
        return [_added(row) for row in zip(*(member.usages for member in self.members), strict=False)]

    def __enter__(self) -> Self:
        """Wait for the hosts. Raises `LoadError` when the address cannot be had or too few join."""
        gathering, build = self._gathering, own_build()
        where = f"{gathering.host}:{gathering.port}"
        try:
            listener = socket.create_server((gathering.host, gathering.port))
        except OSError as error:
            raise LoadError(
                f"--master {where}: cannot be listened on ({error.strerror}); give an address of this host"
            ) from error
        deadline = time.monotonic() + gathering.patience_s
        gathering.told(f"waiting for {gathering.expect} host(s) to join at {where}")
        with listener:
            while len(self.members) < gathering.expect:
                listener.settimeout(max(0.01, deadline - time.monotonic()))
                try:
                    sock, (address, *_) = listener.accept()
                except TimeoutError:
                    self._stack.close()
                    raise LoadError(
                        f"{len(self.members)} of {gathering.expect} hosts joined within {gathering.patience_s:g} s; "
                        f"start `assay load --join {where}` on the others"
                    ) from None
                link = Link(sock)
                try:
                    name = admit(link, gathering.token, build)
                except (LinkLost, Refused) as error:
                    gathering.told(f"{address} was not let in: {error}")
                    link.close()
                    continue
                self._stack.callback(link.close)
                first = len(self.members) * gathering.per_host
                numbers = list(range(first, first + gathering.per_host))
                self.members.append(Member(name=f"{name} ({address})", link=link, numbers=numbers))
                gathering.told(f"{name} ({address}) joined")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_ready(self) -> str:
        """Every host has the job, has derived the same schedule and has its generators ready; its clock is known."""
        schedule = schedule_digest(self._config)
        reasons = self._each(lambda member: self._prepare(member, schedule))
        return reasons[0] if reasons else ""

    def start(self, zero: float) -> None:
        """Let all begin at `zero` on the master's clock."""
        self._zero = zero
        write_json(self._config.folder / "start.json", {"zero": zero})
        for member in self.members:
            member.link.send("start", zero=zero + member.offset_s)

    def watch(self, polled: Callable[[], None]) -> Watched:
        with ThreadPoolExecutor(len(self.members)) as pool:
            under_way = [pool.submit(self._follow, member) for member in self.members]
            deadline = self._zero + length_s(self._config) + 2 * OVERTIME_S
            try:
                while not all(one.done() for one in under_way) and time.monotonic() < deadline:
                    time.sleep(POLL_S)
                    polled()
            finally:
                # Hosts that did not end are let go, and so are those of an interrupted run: their links end what waits on them.
                if not all(one.done() for one in under_way):
                    self._stack.close()
            ends = [one.result() for one in under_way]
        reasons = [end.reason for end in ends if end.reason]
        apart = max(member.clock_error_s for member in self.members)
        if apart > CLOCK_ERROR_S:
            reasons.append(f"The hosts' starts may be {apart:.3f} s off; up to {CLOCK_ERROR_S} s can be believed.")
        return Watched(reason=" ".join(reasons), lost={number: why for end in ends for number, why in end.lost.items()})

    def rows(self) -> list[dict[str, Any]]:
        return [row for member in self.members for row in member.rows]

    def _each(self, work: Callable[[Member], str]) -> list[str]:
        with ThreadPoolExecutor(len(self.members)) as pool:
            return [reason for reason in pool.map(work, self.members) if reason]

    def _prepare(self, member: Member, schedule: str) -> str:
        try:
            member.link.send("job", **job_of(self._config, member.numbers))
            ready = member.link.receive("ready", within_s=READY_S + self._config.calibration_s + OVERTIME_S)
            if ready.get("schedule") != schedule:
                return f"Host {member.name} derived another schedule than the master, so the load would not be the one asked for."
            member.measure_clock()
        except (LinkLost, Refused) as error:
            return f"Host {member.name} was lost before the start: {error}."
        return ""

    def _follow(self, member: Member) -> Watched:
        """Take what a host sends until its end. Of a host that is lost those generators are lost whose report is not here."""
        try:
            while True:
                message = member.link.receive("progress", "samples", "report", "end", within_s=SILENCE_S)
                if message["kind"] == "end":
                    member.usages = [Usage(**row) for row in message["usages"]]
                    where = f"On host {member.name}: "
                    lost = {int(number): where + why for number, why in message["lost"].items()}
                    return Watched(reason=where + message["reason"] if message["reason"] else "", lost=lost)
                self._take(member, message)
        except (LinkLost, Refused) as error:
            why = f"Host {member.name} was lost ({error}), so its share of the load was never sent; run it again."
            lost = set(member.numbers) - member.reported
            return Watched(lost=dict.fromkeys(sorted(lost), why)) if lost else Watched(reason=why)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Watched(reason=f"Host {member.name} sent what is no report ({type(error).__name__}: {error}).")

    def _take(self, member: Member, message: dict[str, Any]) -> None:
        if message["kind"] == "progress":
            member.rows = list(message["rows"])
            return
        number = message["worker"]
        if number not in member.numbers:
            raise KeyError(f"generator {number!r} is not its own")
        if message["kind"] == "report":
            WorkerReport(**message["report"]).write(self._config.folder)
            member.reported.add(number)
        else:
            with (self._config.samples / f"worker-{number}.jsonl").open("a", encoding="utf-8") as file:
                file.write(message["lines"])


def _added(usages: tuple[Usage, ...]) -> Usage:
    kinds = {usage.memory_kind for usage in usages}
    return Usage(
        t_s=usages[0].t_s,
        memory_bytes=sum(usage.memory_bytes for usage in usages),
        memory_kind="pss" if kinds == {"pss"} else "rss",
        cpu=sum(usage.cpu for usage in usages),
        fds=sum(usage.fds for usage in usages),
        processes=sum(usage.processes for usage in usages),
    )
