"""Load from several hosts: who is let in, that all play one schedule from one start, and what the loss of a host does."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from loadtests import fleet, generators
from loadtests.campaign import WorkerConfig, read_reports
from loadtests.fleet import Fleet, Gathering, Member
from loadtests.generators import Watched
from loadtests.histogram import Histogram
from loadtests.jobs import config_of, job_of, schedule_digest
from loadtests.joining import Tail, join
from loadtests.links import Build, Link, LinkLost, Refused, admit, ask_in, own_build
from loadtests.processes import ROOT, LoadError
from loadtests.runner import LoadPlan, Progress, run_load
from loadtests.schedule import plan_sessions
from loadtests.script import read_script
from loadtests.timing import response_s
from loadtests.traffic import TrafficProfile, load_profile

TOKEN = "a-secret-of-this-test"
PROFILE = """\
name: fleet
model: none
arrivals: {pattern: poisson, rate_per_s: 40, duration_s: 1.0}
warmup_s: 0.2
max_in_flight: 60
turn_timeout_s: 5
drain_s: 5
objectives: {response_s: 10, ttft_s: 10}
seed: 3
"""


@pytest.fixture
def links() -> Iterator[tuple[Link, Link]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        yield LocalLink(ours), LocalLink(theirs)


class LocalLink(Link):
    """Over a pair of local sockets, which have no packets to delay."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.most_bytes = 4096


def together(first: Any, second: Any) -> tuple[Any, Any]:
    """Both results, an exception as itself."""
    with ThreadPoolExecutor(2) as pool:
        futures = pool.submit(first), pool.submit(second)
        return tuple(future.exception() or future.result() for future in futures)  # pyright: ignore[reportReturnType]


BUILD = Build(version="1", digest="d" * 64)


def test_a_host_with_the_token_and_the_same_build_is_let_in(links):
    ours, theirs = links
    assert together(lambda: admit(ours, TOKEN, BUILD), lambda: ask_in(theirs, TOKEN, BUILD, "box")) == ("box", None)
    assert own_build() == own_build()


@pytest.mark.parametrize(
    ("token", "build", "reason"),
    [
        ("another-secret-altogether", BUILD, "the tokens differ; set the same ASSAY_LOAD_TOKEN"),
        (TOKEN, replace(BUILD, version="2"), "the worker is build 2 .*, the master is 1 .*; install the same one on both hosts"),
        (TOKEN, replace(BUILD, digest="e" * 64), "the worker is build 1 .e*., the master is 1 .d*.; install the same"),
    ],
)
def test_a_stranger_or_another_version_is_refused_with_a_sentence_on_both_sides(links, token, build, reason):
    ours, theirs = links
    for refused in together(lambda: admit(ours, TOKEN, BUILD), lambda: ask_in(theirs, token, build, "box")):
        assert isinstance(refused, Refused)
        assert re.search(reason, str(refused))


def test_a_master_that_only_echoes_the_proof_is_no_master(links):
    ours, theirs = links

    def impostor() -> None:
        ours.send("hello", nonce="n")
        told = ours.receive("join", within_s=5)
        ours.send("welcome", proof=told["proof"])

    _, refused = together(impostor, lambda: ask_in(theirs, TOKEN, BUILD, "box"))
    assert isinstance(refused, Refused) and "the master does not hold the token" in str(refused)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"GET / HTTP/1.1\r\n", "a frame of 1195725856 bytes came, 4096 are taken"),
        (b"\0\0\0\x02no", "not JSON"),
        (b"\0\0\0\x02[]", "None came where job was due"),
        (b"\0\0", "nothing came for 0.1 s"),
    ],
)
def test_what_is_no_frame_is_told_and_not_believed(links, data, fault):
    ours, theirs = links
    theirs._socket.sendall(data)
    with pytest.raises(LinkLost, match=fault):
        ours.receive("job", within_s=0.1)


def test_a_closed_link_is_lost(links):
    ours, theirs = links
    theirs.close()
    with pytest.raises(LinkLost, match="closed"):
        ours.receive("job", within_s=1)
    with pytest.raises(LinkLost, match="broke"):
        ours.send("job")


def test_the_offset_of_a_clock_is_known_within_its_bound(links):
    ours, theirs = links
    delays = [0.02, 0.001, 0.01, 0.0]

    def host() -> None:
        for number in range(fleet.ROUND_TRIPS):
            theirs.receive("ping", within_s=5)
            time.sleep(delays[number % len(delays)])
            theirs.send("pong", t_s=time.monotonic() + 1234.5)

    member = Member(name="box", link=ours, numbers=[0])
    together(host, member.measure_clock)
    assert 0 < member.clock_error_s < 0.005
    assert abs(member.offset_s - 1234.5) <= member.clock_error_s


def config(folder: Path, profile: TrafficProfile, **changes: Any) -> WorkerConfig:
    row = {"id": "talk", "user_id": "u", "turns": [{"text": "hi"}] * 2}
    (folder / "script.jsonl").write_text(json.dumps(row) + "\n")
    fields: dict[str, Any] = {
        "profile": profile, "script": folder / "script.jsonl", "base_url": "http://h", "turn_path": "/v1/turns", "seed": 3, "workers": 2,
        "folder": folder, "samples": folder, "calibration_url": None, "calibration_s": 0.0, "parent_pid": 1,
    }  # fmt: skip
    return WorkerConfig(**fields | changes)


@pytest.mark.parametrize("name", ["trace", "users-1000", "bursty"])
def test_a_job_carries_its_files_and_derives_the_same_schedule_elsewhere(tmp_path, name):
    profile = load_profile(ROOT / f"datasets/traffic/{name}.yaml")
    (tmp_path / "far").mkdir()
    ours = config(tmp_path, profile)
    theirs = config_of(json.loads(json.dumps(job_of(ours, [1]))), tmp_path / "far")
    assert schedule_digest(theirs) == schedule_digest(ours)
    assert schedule_digest(replace(ours, seed=4)) != schedule_digest(ours)
    assert schedule_digest(replace(ours, workers=3)) != schedule_digest(ours)


def test_a_tail_gives_whole_lines_only(tmp_path):
    tail = Tail(tmp_path / "rows")
    assert tail.read() == ""
    with (tmp_path / "rows").open("w") as file:
        for text, expected in (("one\ntw", "one\n"), ("o\n", "two\n"), ("", "")):
            file.write(text)
            file.flush()
            assert tail.read() == expected
    tail.close()


def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def written(folder: Path) -> Path:
    (folder / "profile.yaml").write_text(PROFILE)
    row = {"id": "talk", "user_id": "u", "turns": [{"text": "hi"}] * 2, "sandbox": {"pack": "p", "fixtures": {}, "faults": []}}
    (folder / "script.jsonl").write_text(json.dumps(row) + "\n")
    return folder


def plan(folder: Path, url: str, at: int, **changes: Any) -> LoadPlan:
    fields: dict[str, Any] = {"expect": 2, "token": TOKEN, "host": "127.0.0.1", "port": at, "patience_s": 20.0}
    gathering = Gathering(**fields | changes.pop("gathering", {}))
    profile = load_profile(folder / "profile.yaml")
    run: dict[str, Any] = {"base_url": url, "out_dir": folder, "server_pid": None, "seed": 3, "calibration_s": 0.0}
    return LoadPlan(profile=profile, script=folder / "script.jsonl", gathering=gathering, **run | changes)


def joiners(at: int, count: int) -> list[Thread]:
    def one() -> None:
        with suppress(LoadError):
            join("127.0.0.1", at, token=TOKEN, told=lambda told: None)

    threads = [Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_two_hosts_play_one_schedule_and_merge_to_what_one_would_have_kept(wire_server, tmp_path):
    at, seen, told = port(), list[Progress](), list[str]()

    def stranger_first() -> None:
        with pytest.raises(LoadError, match="refused: the tokens differ"):
            join("127.0.0.1", at, token="not-the-token-of-this-test", told=lambda told: None)
        for thread in joiners(at, 2):
            thread.join(20)

    threads = [Thread(target=stranger_first)]
    threads[0].start()
    told_to = {"gathering": {"told": told.append}}
    result = run_load(plan(written(tmp_path), wire_server(sandbox_status=201).url, at, progress=seen.append, **told_to))
    for thread in threads:
        thread.join(10)
    assert result.broken == []
    sessions = plan_sessions(load_profile(tmp_path / "profile.yaml"), read_script(tmp_path / "script.jsonl"), seed=3)
    wanted = {f"{one.session}-{turn}": one.t_plan for one in sessions if one.phase == "steady" for turn in (1, 2)}
    measured = {sample.sample: sample for sample in result.measured()}
    assert sorted(measured) == sorted(wanted)
    assert all(measured[name].t_plan == t_plan for name, t_plan in wanted.items() if name.endswith("-1"))
    merged = Histogram()
    for report in read_reports(tmp_path / "load", 2):
        assert report is not None
        merged.merge(Histogram.from_json(report.histograms["response_s"]))
    assert merged == Histogram.of(map(response_s, measured.values()))
    hosts = result.tables["load"]["hosts"]
    assert [row["generators"] for row in hosts] == [[0], [1]]
    assert all(0 < row["clock_error_s"] < 0.05 for row in hosts)
    assert seen[-1].done > 5
    assert told[0] == f"waiting for 2 host(s) to join at 127.0.0.1:{at}"
    assert told[1].startswith("127.0.0.1 was not let in: the tokens differ")


def gone_after_the_start(at: int) -> None:
    """A host that joins, makes ready, starts and is never heard of again."""
    sock: socket.socket | None = None
    while sock is None:
        with suppress(ConnectionRefusedError):
            sock = socket.create_connection(("127.0.0.1", at))
    link = Link(sock)
    ask_in(link, TOKEN, own_build(), "gone")
    with tempfile.TemporaryDirectory() as folder:
        link.send("ready", schedule=schedule_digest(config_of(link.receive("job", within_s=10), Path(folder))))
    while link.receive("ping", "start", within_s=10)["kind"] == "ping":
        link.send("pong", t_s=time.monotonic())
    link.close()


def test_a_lost_hosts_share_is_played_again_by_the_master_where_that_is_asked_for(wire_server, tmp_path):
    at = port()
    (gone := Thread(target=gone_after_the_start, args=(at,))).start()
    threads = joiners(at, 1)
    result = run_load(plan(written(tmp_path), wire_server(sandbox_status=201).url, at, replay_lost=True))
    for thread in (gone, *threads):
        thread.join(10)
    assert result.broken == []
    sessions = plan_sessions(load_profile(tmp_path / "profile.yaml"), read_script(tmp_path / "script.jsonl"), seed=3)
    wanted = [f"{one.session}-{turn}" for one in sessions if one.phase == "steady" for turn in (1, 2)]
    assert sorted(sample.sample for sample in result.measured()) == sorted(wanted)
    table = result.tables["load"]
    (lost,) = [row["generators"] for row in table["hosts"] if row["name"].startswith("gone")]
    assert (table["replayed"]["generators"], table["replayed"]["kept_turns"]) == (lost, 0)
    assert "was lost" in table["replayed"]["reasons"][0]


def followed(folder: Path, links: tuple[Link, Link], *frames: dict[str, Any]) -> Watched:
    """What a master makes of these frames of a host with the generators 0 and 1, which then hangs up."""
    ours, theirs = links
    gathering = Gathering(host="127.0.0.1", port=1, expect=1, token=TOKEN)
    one = Fleet(gathering, config(folder, load_profile(written(folder) / "profile.yaml")))
    member = Member(name="box", link=ours, numbers=[0, 1])
    for row in frames:
        theirs.send(**row)
    theirs.close()
    return one._follow(member)


def report(number: int) -> dict[str, Any]:
    whole = {"sandboxes": True, "sessions": [], "gauge": [], "calibration": None, "histograms": {}}
    return {"kind": "report", "worker": number, "report": {"worker": number, **whole}}


def test_of_a_host_that_hangs_up_those_generators_are_lost_whose_report_is_missing(links, tmp_path):
    ours, _ = links
    ours.most_bytes = 10_000
    watched = followed(tmp_path, links, report(0))
    assert list(watched.lost) == [1] and "Host box was lost" in watched.lost[1] and not watched.reason


def test_a_host_that_hangs_up_with_its_reports_sent_is_told(links, tmp_path):
    watched = followed(tmp_path, links, report(0), report(1))
    assert "Host box was lost" in watched.reason and not watched.lost


def test_a_host_tells_which_of_its_generators_were_lost(links, tmp_path):
    end = {"kind": "end", "reason": "", "lost": {"1": "It was killed."}, "usages": []}
    assert followed(tmp_path, links, report(0), end) == Watched(lost={1: "On host box: It was killed."})
    assert Watched(reason="Late.", lost={0: "Gone.", 1: "Gone."}).told == "Late. Gone."


def test_an_end_that_is_none_is_told(links, tmp_path):
    end = {"kind": "end", "reason": "", "lost": {"one": "It was killed."}, "usages": []}
    assert "sent what is no report (ValueError" in followed(tmp_path, links, end).reason


def test_a_host_that_derives_another_schedule_plays_nothing(wire_server, tmp_path, monkeypatch):
    monkeypatch.setattr(fleet, "schedule_digest", lambda config: "another")
    at = port()
    threads = joiners(at, 1)
    result = run_load(plan(written(tmp_path), wire_server().url, at, gathering={"expect": 1}))
    for thread in threads:
        thread.join(10)
    (reason,) = result.broken
    assert "derived another schedule than the master" in reason
    assert list(result.measured()) == []


def test_a_host_whose_generators_fail_says_so(wire_server, tmp_path, monkeypatch):
    monkeypatch.setattr(generators, "READY_S", -100.0)
    at = port()
    threads = joiners(at, 1)
    (reason,) = run_load(plan(written(tmp_path), wire_server().url, at, gathering={"expect": 1})).broken
    for thread in threads:
        thread.join(10)
    assert "was lost before the start" in reason and "not ready" in reason


def test_too_few_hosts_a_taken_port_and_no_master_are_named(tmp_path, monkeypatch):
    with pytest.raises(LoadError, match=r"0 of 2 hosts joined within 0\.1 s; start `assay load --join"):
        run_load(plan(written(tmp_path), "http://127.0.0.1:1", port(), gathering={"patience_s": 0.1}))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(LoadError, match="cannot be listened on"):
        run_load(plan(tmp_path, "http://127.0.0.1:1", taken.getsockname()[1]))
    with pytest.raises(LoadError, match="no master answers"):
        join("127.0.0.1", port(), token=TOKEN, told=lambda told: None, patience_s=0.0)


def test_a_master_that_goes_away_ends_its_hosts(wire_server, tmp_path):
    at, found = port(), list[str]()
    thread = Thread(target=lambda: found.append(join("127.0.0.1", at, token=TOKEN, told=lambda told: None)))
    thread.start()

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_load(plan(written(tmp_path), wire_server().url, at, gathering={"expect": 1}, progress=interrupt))
    thread.join(10)
    assert "was lost" in found[0]


JOIN = "import os; from loadtests.joining import join; raise SystemExit(join('10.77.0.1', 7070, token=os.environ['TOKEN'], told=print) or 0)"


def in_namespace(name: str, *command: str) -> list[str]:
    return ["ip", "netns", "exec", name, *command]


@pytest.fixture
def namespaces() -> Iterator[list[str]]:
    """Three network namespaces on one bridge: 10.77.0.1 (with the bridge), 10.77.0.2 and 10.77.0.3."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and ip")
    names = [f"assay{os.getpid()}{letter}" for letter in "abc"]
    hub = names[0]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)

    with ExitStack() as stack:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"network namespaces cannot be made here: {error.stderr.decode().strip()}")
            stack.callback(ip, "netns", "del", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", hub, "link", "add", "hub", "type", "bridge")
        ip("-n", hub, "addr", "add", "10.77.0.1/24", "dev", "hub")
        ip("-n", hub, "link", "set", "hub", "up")
        for number, name in enumerate(names[1:], start=2):
            ip("-n", hub, "link", "add", f"to{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", hub, "link", "set", f"to{number}", "master", "hub", "up")
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield names


def play_apart(namespaces: list[str], folder: Path) -> dict[str, Any]:
    """Master and target in one namespace, a host in each of the two others, of which the first one is killed under way."""
    environ = os.environ | {"ASSAY_LOAD_TOKEN": TOKEN, "TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
    here = Path(__file__).parent
    with ExitStack() as stack:

        def start(namespace: str, *command: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                in_namespace(namespace, *command),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environ,
                cwd=ROOT,
                text=True,
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        server = start(
            namespaces[0], sys.executable, str(here / "wire_server.py"), '{"sandbox_status": 201, "host": "10.77.0.1"}'
        )
        assert server.stdout is not None
        url = f"http://10.77.0.1:{int(server.stdout.readline())}"
        master = start(namespaces[0], sys.executable, str(here / "fleet_master.py"), str(folder), url, "10.77.0.1", "7070", "2")
        hosts = [start(name, sys.executable, "-c", JOIN) for name in namespaces[1:]]
        deadline = time.monotonic() + 30
        while not list((folder / "samples").glob("*.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.05)
        hosts[0].kill()
        told, _ = master.communicate(timeout=60)
        assert hosts[1].wait(10) == 0
        return json.loads(told)


@pytest.mark.slow
def test_a_host_killed_in_a_network_namespace_of_its_own_makes_the_run_invalid_and_the_other_ones_samples_are_kept(
    namespaces, tmp_path
):
    found = play_apart(namespaces, written(tmp_path))
    assert [row["generators"] for row in found["hosts"]] == [[0], [1]]
    assert sorted(row["name"].split("(")[1] for row in found["hosts"]) == ["10.77.0.2)", "10.77.0.3)"]
    assert len(found["measured"]) == len(set(found["measured"]))
    assert any("was lost" in reason and "its share of the load was never sent" in reason for reason in found["broken"])
    assert 10 < len(found["measured"]) < 40
