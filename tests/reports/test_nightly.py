"""A night: measured, told to whoever watches, and old runs removed without losing what others stand on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from datetime import UTC, datetime, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest

from evals.cli import nightly as command
from evals.errors import UsageError
from evals.nightly import expired, next_start, remove
from reports.records import write_record


class Hook(BaseHTTPRequestHandler):
    told: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Hook.told.append(body["text"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hook() -> Generator[str]:
    Hook.told = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/T0/secret-part"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def night(tmp_path: Path, sample: ModuleType) -> Callable[..., Path]:
    def make(day: int, tier: str = "nightly", *, sent: bool = True) -> Path:
        folder = tmp_path / f"night-{day}-{tier}"
        folder.mkdir()
        write_record(folder, sample.make_record(run_id=f"run-{day}", created_at=f"2026-06-{day:02}T02:00:00+00:00", tier=tier))
        if sent:
            (folder / "track.json").write_text("{}")
        return folder

    return make


def test_the_next_night_begins_at_its_time() -> None:
    now = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)
    assert next_start(time(2, 30), now) == datetime(2026, 6, 1, 2, 30, tzinfo=UTC)
    assert next_start(time(0, 30), now) == datetime(2026, 6, 2, 0, 30, tzinfo=UTC)
    assert next_start(time(1, 0), now) == datetime(2026, 6, 2, 1, 0, tzinfo=UTC)


def test_old_nights_go_and_what_others_stand_on_stays(
    night: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, accepted, waiting, newest = night(1), night(2), night(3), night(4, sent=False), night(9)
    other_tier, torn = night(5, "pr"), night(6)
    (torn / "record.json").write_text("{")
    event = SimpleNamespace(run_id="run-3")
    monkeypatch.setattr("evals.nightly.read_history", lambda runs: SimpleNamespace(events=(event,)))
    assert expired(tmp_path, 1) == [one, two]
    assert expired(tmp_path, 4) == [one]
    assert expired(tmp_path, 5) == []
    remove(expired(tmp_path, 1))
    assert {path.name for path in tmp_path.iterdir()} == {folder.name for folder in (accepted, waiting, newest, other_tier, torn)}


def test_a_night_measures_tells_and_writes_its_pages(
    hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: ModuleType, night: Callable[..., Path]
) -> None:
    night(1)

    def measured(**options: object) -> int:
        assert (options["tier"], options["pack"], options["target_text"]) == ("nightly", "qsr", "http://127.0.0.1:1")
        sample.build(Path(str(options["out"])), "fail")
        return 1

    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(command.release, "callback", measured)
    monkeypatch.setenv("HOOK", hook)
    words = ["--target", "http://127.0.0.1:1", "--webhook-env", "HOOK"]
    assert command.nightly.main(words, standalone_mode=False) == 1
    (told,) = Hook.told
    assert "*FAIL* qsr" in told and "report.html" in told and "secret-part" not in told
    assert (tmp_path / "index.html").is_file() and (tmp_path / "drift.html").is_file()


def test_a_night_nobody_hears_of_is_still_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(command.release, "callback", lambda **o: int(sample.build(Path(str(o["out"])), "pass").exit_code))
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/secret-part")
    assert command.nightly.main(["--webhook-env", "HOOK"], standalone_mode=False) == 0
    said = capsys.readouterr().err
    assert "did not take the message" in said and "secret-part" not in said


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--webhook-env", "NOT_SET"], "is not set"), (["--at", "half past two"], "write HH:MM")],
)
def test_what_cannot_be_used_is_said_before_the_night(words: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        command.nightly.main(words, standalone_mode=False)
