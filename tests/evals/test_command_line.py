"""The command as a user meets it: exit codes, one sentence per fault, no traceback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evals.cli import main as entry
from evals.cli import serve

ROOT = Path(__file__).resolve().parents[2]


def assay(*arguments: str, cwd: Path = ROOT, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command in this process; its exit code."""
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(sys, "argv", ["assay", *arguments])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["relaese"], 4, "did you mean `assay release`?"),
        (["release", "--tier", "pl"], 4, "'pr', 'nightly', 'release'"),
        (["release", "--target", "htp://x"], 4, "did you mean `http`?"),
        (["release", "--target", "python:"], 4, "names nothing"),
        (["release", "--policy", "missing.yaml"], 4, "missing.yaml"),
        (["release", "--traffic", "smok"], 4, "did you mean `smoke`?"),
        (["release", "--out", "a", "--resume", "datasets"], 4, "give one of them"),
        (["eval", "--card", "burn-face-fryer-oi"], 4, "did you mean `burn-face-fryer-oil`?"),
        (["eval", "--area", "safty"], 4, "did you mean `safety`?"),
        (["eval", "--pack", "nowhere"], 4, "no such folder"),
        (["eval", "--target", "python:no_such_module:f"], 4, "cannot be imported"),
        (["eval", "--target", "python:json:nothing"], 4, "no callable"),
        (["eval", "--target", "python:json"], 4, "write module:function"),
        (["eval", "--target", "scripted:missing.yaml"], 4, "cannot be read"),
        (["eval", "--target", "http://127.0.0.1:9"], 3, "no assistant answers there"),
        (["load", "smok"], 4, "did you mean `smoke`?"),
        (["gate", "missing"], 4, "missing: no such run folder"),
        (["report", "datasets"], 4, "holds no verdict.json"),
        (["ui", "--runs", "missing"], 4, "no such folder"),
        (["serve", "--sandboxes", "--host", "0.0.0.0"], 4, "only on loopback"),
        (["cards", "new", "burn-face-fryer-oil", "--area", "safety"], 4, "exists already"),
    ],
)
def test_a_mistake_gets_one_sentence_and_its_exit_code(
    arguments: list[str], code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert assay(*arguments, monkeypatch=monkeypatch) == code
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_help_has_an_example_for_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in entry.COMMANDS:
        assert assay(name, "--help", monkeypatch=monkeypatch) == 0
        text = capsys.readouterr().out
        assert name == "cards" or f"assay {name}" in text
        assert "Example" in text


def test_the_program_itself_says_its_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert assay("--version", monkeypatch=monkeypatch) == 0
    assert "0.1.0" in capsys.readouterr().out


def test_an_unexpected_error_is_kept_in_a_file_and_exits_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("evals.cli.cards.load_cards", broken)
    assert assay("cards", "list", monkeypatch=monkeypatch) == 3
    said = capsys.readouterr().err
    assert "planted" in said and "Traceback" not in said
    kept = Path(said.rsplit(" ", 1)[-1].strip())
    assert "RuntimeError: planted" in kept.read_text()
    kept.unlink()


def test_cards_can_be_started_listed_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert assay("cards", "new", "walk-in-warm", "--area", "safety", cwd=tmp_path, monkeypatch=monkeypatch) == 0
    assert assay("cards", "validate", cwd=tmp_path, monkeypatch=monkeypatch) == 0
    assert assay("cards", "list", "--json", cwd=tmp_path, monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index("[") :])[0]["id"] == "walk-in-warm"
    assert assay("cards", "list", cwd=tmp_path, monkeypatch=monkeypatch) == 0
    assert "1 cards" in capsys.readouterr().out
    card = tmp_path / "datasets/qsr/scenarios/safety/walk-in-warm.yaml"
    card.write_text(card.read_text().replace("severity: major", "severty: major").replace("fails: say", "fails: says"))
    assert assay("cards", "validate", cwd=tmp_path, monkeypatch=monkeypatch) == 4
    assert "did you mean `severity`?" in capsys.readouterr().err


def test_one_card_can_be_replayed_with_its_talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code = assay("eval", "--card", "temperature-round-fahrenheit", monkeypatch=monkeypatch)
    said = capsys.readouterr().out
    assert code in {0, 1}
    assert "log_temperature" in said and "planned plays passed" in said


def test_a_finished_folder_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "record.json").write_text("{}")
    assert assay("release", "--out", str(tmp_path), monkeypatch=monkeypatch) == 4
    assert "holds a finished run" in capsys.readouterr().err


def test_a_canned_target_releases_as_fail_and_can_be_judged_and_rendered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    out = tmp_path / "run"
    target = "python:canned:abstains"
    assert assay("release", "--target", target, "--out", str(out), "--no-track", monkeypatch=monkeypatch) == 1
    assert "assay eval --card" in capsys.readouterr().out
    assert assay("gate", str(out), monkeypatch=monkeypatch) == 1
    assert assay("report", str(out), monkeypatch=monkeypatch) == 0
    assert (out / "junit.xml").is_file()
    again = ["release", "--target", target, "--resume", str(out), "--no-track", "--json"]
    assert assay(*again, monkeypatch=monkeypatch) == 1


def test_a_port_in_use_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert assay("serve", "--port", str(port), monkeypatch=monkeypatch) == 4
        assert assay("mock-model", "--port", str(port), monkeypatch=monkeypatch) == 4
    assert f"port {port} is in use" in capsys.readouterr().err


async def test_a_served_word_never_waits_for_the_last_one_to_be_acknowledged() -> None:
    """asyncio asks for that only where the listening socket names its protocol; without it a kept connection answers 40 ms late."""
    asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = serve._bind("127.0.0.1", 0)
    async with await asyncio.start_server(greet, sock=listener):
        with socket.create_connection(listener.getsockname()):
            assert await asyncio.wait_for(asked, 5)


def test_doctor_shows_what_is_effective(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    assert assay("doctor", monkeypatch=monkeypatch) in {0, 1}
    assert assay("doctor", "--json", monkeypatch=monkeypatch) in {0, 1}
    out = capsys.readouterr().out
    assert "embedded" in out and "sk-very-secret" not in out


def test_ctrl_c_keeps_what_is_finished_and_exits_130(tmp_path: Path) -> None:
    out = tmp_path / "run"
    # A shell's background job starts with SIGINT ignored, and Python leaves it so.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from evals.cli.main import main; main()"
    command = [sys.executable, "-c", listening, "release", "--out", str(out), "--no-track"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ), text=True)
    journal = out / "journal.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not journal.exists() or journal.read_bytes().count(b"\n") < 3):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in said and "Traceback" not in said
    assert journal.read_bytes().count(b"\n") >= 3


def test_a_model_that_breaks_as_planned_leaves_no_traceback_on_the_terminal() -> None:
    command = [sys.executable, "-m", "evals.cli.main", "eval", "--card", "quat-model-down-once"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr and "1 / 1 planned plays passed" in done.stdout
