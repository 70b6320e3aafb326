"""What `assay load --master` and `--join` take, and what they refuse."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from evals import loadsuite
from evals.cli.loadhosts import gathering_of, join_master
from evals.cli.main import assay
from evals.errors import TargetError, UsageError
from loadtests import joining

ENVIRON = {"ASSAY_LOAD_TOKEN": "sixteen-or-more-letters"}


def options(**changes: Any) -> dict[str, Any]:
    return {"master": None, "expect": None, "workers": None, "web_port": None} | changes


@pytest.mark.parametrize(
    ("changes", "environ", "fault"),
    [
        ({"expect": 2}, ENVIRON, "--expect: .* give --master"),
        ({"master": "127.0.0.1:7070"}, ENVIRON, "give --expect N"),
        ({"master": "127.0.0.1:7070", "expect": 2, "web_port": 8089}, ENVIRON, "--web-ui: .* leave one of the two away"),
        ({"master": "127.0.0.1", "expect": 2}, ENVIRON, "is no HOST:PORT"),
        ({"master": "127.0.0.1:0", "expect": 2}, ENVIRON, "is no HOST:PORT"),
        ({"master": "127.0.0.1:x", "expect": 2}, ENVIRON, "is no HOST:PORT"),
        ({"master": "10.0.0.5:7070", "expect": 2}, ENVIRON, "give --target http"),
        ({"master": "127.0.0.1:7070", "expect": 2}, {}, "ASSAY_LOAD_TOKEN: is not set"),
        ({"master": "localhost:7070", "expect": 2}, {"ASSAY_LOAD_TOKEN": "short"}, "ASSAY_LOAD_TOKEN: is too short"),
    ],
)
def test_what_cannot_work_is_a_usage_error(changes, environ, fault):
    with pytest.raises(UsageError, match=fault):
        gathering_of("inprocess", options(**changes), environ)


def test_a_master_knows_whom_it_waits_for():
    found = gathering_of("http://10.0.0.5:8080", options(master="[::1]:7070", expect=3, workers=2), ENVIRON)
    assert found is not None
    assert (found.host, found.port, found.expect, found.per_host) == ("::1", 7070, 3, 2)
    assert ENVIRON["ASSAY_LOAD_TOKEN"] not in repr(found)
    assert gathering_of("inprocess", options(), {}) is None


def test_joining_ends_with_a_sentence_and_its_exit_code(monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hang_up() -> None:
            sock, _ = listener.accept()
            sock.close()

        thread = Thread(target=hang_up)
        thread.start()
        assert join_master(f"127.0.0.1:{port}", ENVIRON) == 3
        thread.join()
    assert "invalid: The master at 127.0.0.1" in capsys.readouterr().out
    real = joining.join
    monkeypatch.setattr(joining, "join", lambda *given, **more: real(*given, **more, patience_s=0.0))
    with pytest.raises(TargetError, match="no master answers"):
        join_master(f"127.0.0.1:{port}", ENVIRON)


def test_what_cannot_be_made_up_for_later_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    done = CliRunner().invoke(assay, ["load", "users-1000", "--target", "http://127.0.0.1:1", "--replay-lost"])
    assert isinstance(done.exception, UsageError)
    assert "--replay-lost: datasets/traffic/users-1000.yaml cannot be made up for later, users in a closed loop" in str(
        done.exception
    )


def test_the_command_hands_the_hosts_on(monkeypatch, tmp_path):
    monkeypatch.chdir(Path(__file__).parents[2])
    seen: list[Any] = []

    def suite(cards: Any, run: Any, progress: Any) -> Any:
        seen.append(run.gathering)
        raise UsageError("seen")

    monkeypatch.setattr(loadsuite, "run_load_suite", suite)
    words = [
        "load",
        "smoke",
        "--target",
        "http://127.0.0.1:1",
        "--master",
        "127.0.0.1:7070",
        "--expect",
        "2",
        "--out",
        str(tmp_path),
    ]
    CliRunner().invoke(assay, words, env=ENVIRON)
    assert (seen[0].port, seen[0].expect) == (7070, 2)
