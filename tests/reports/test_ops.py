"""`assay ops` tells what stored turns hold: no more, nothing less, every number with its interval and count."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import create_engine, text

from evals.cli import main as entry
from evals.errors import UsageError
from reports.ops import OUTCOMES, operations
from reports.ops_view import headline, page_values, text_lines
from reports.render import render_operations
from reports.statistics.proportions import wilson
from reports.statistics.quantiles import quantile_estimate

sys.path.insert(0, str(Path(__file__).parent))
from stored_turns import NOW, store, turn

from evals.cli.ops_store import read_turns, shown

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202eevil"


@pytest.fixture
def assay(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["assay", *arguments])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        out, err = capfd.readouterr()
        return int(str(stop.value.code)), out, err

    return run


def figures(tmp_path: Path, turns: list[dict]):
    return operations(read_turns(str(store(tmp_path / "assay.db", turns)), now=NOW))


def test_models_by_provider_and_variant(tmp_path: Path) -> None:
    priced = [turn(60, answer_s=0.1 * n, usage={"cost_usd": 0.01 * n}) for n in range(1, 101)]
    failed = [turn(60, outcome="error", answer_s=0.2)] * 5
    other = [turn(60, model="openai-chat:gpt", usage={"model": "gpt-2026"})] * 3
    found = figures(tmp_path, [*priced, *failed, *other])
    llama, gpt = found.models
    assert (llama.model, llama.answered_by, llama.turns) == ("ollama:llama", "llama", 105)
    assert llama.errors == wilson(5, 105)
    waited = [0.1 * n for n in range(1, 101)] + [float("inf")] * 5
    assert llama.answer.p50 == quantile_estimate(waited, 0.5, planned=105)
    assert llama.answer.p95.value == pytest.approx(10.0)
    assert llama.answer.p99.value is None and llama.answer.p99.n == 105
    assert llama.cost_usd.value == pytest.approx(0.505) and llama.cost_usd.n == 100
    assert (llama.cost_usd_total, llama.tokens_total) == (pytest.approx(50.5), 105 * 120)
    assert (gpt.model, gpt.answered_by, gpt.cost_usd.value, gpt.cost_usd_total) == ("openai-chat:gpt", "gpt-2026", None, None)


def test_tools_count_calls_results_and_retries(tmp_path: Path) -> None:
    found = figures(
        tmp_path,
        [
            turn(60, tools=[("lend", False), ("lend", False), ("lend", True), ("lend", True), ("count", True)]),
            turn(60, tools=[("lend", True)]),
            turn(60, tools=[("lend", None)]),
            turn(60),
        ],
    )
    lend, count = found.tools
    assert (lend.tool, lend.calls, lend.used) == ("lend", 6, wilson(3, 4))
    assert lend.success == wilson(3, 5, planned=6)
    assert lend.retries == wilson(2, 6)
    assert (lend.duration.p50.value, lend.duration.p50.n, lend.duration.p50.planned) == (0.01, 5, 6)
    assert (count.calls, count.success, count.retries) == (1, wilson(1, 1), wilson(0, 1))


def test_agents_intents_and_outcomes(tmp_path: Path) -> None:
    outcomes = ["answered", "abstained", "refused", "degraded", "error", None, "answered"]
    found = figures(tmp_path, [turn(600, outcome=outcome, intent="x" if n else None) for n, outcome in enumerate(outcomes)])
    assert {name: share.k for name, share in found.outcomes.items()} == dict(zip(OUTCOMES, [2, 1, 1, 1, 1, 1], strict=True))
    assert {share.n for share in found.outcomes.values()} == {7}
    desk, nobody = found.agents
    assert (desk.agent, desk.success) == ("desk", wilson(4, 6))
    assert (nobody.agent, nobody.success) == ("unknown", wilson(0, 1))
    assert {name: share.k for name, share in found.intents.items()} == {"x": 5, "unknown": 2}
    assert found.errors == wilson(2, 7)


def test_what_nobody_records_is_null_and_what_somebody_records_is_a_rate(tmp_path: Path) -> None:
    silent = figures(tmp_path, [turn(60)])
    assert (silent.thumbs_up, silent.cache_hits) == (None, None)
    (tmp_path / "b").mkdir()
    told = [turn(60, thumbs_up=True, usage={"cache_hit": True}), turn(60, thumbs_up=False, usage={"cache_hit": False}), turn(60)]
    loud = figures(tmp_path / "b", told)
    assert (loud.thumbs_up, loud.cache_hits) == (wilson(1, 2), wilson(1, 2))
    assert loud.answer.p99.value == 0.5, "feedback comes minutes later and is no part of the answer"


def test_a_young_message_may_still_get_its_answer(tmp_path: Path) -> None:
    found = figures(tmp_path, [turn(5, outcome=None), turn(300, outcome=None), turn(300)])
    assert (found.turns, found.errors) == (2, wilson(1, 2))


def test_events_that_make_no_sense_are_told_by_nobody(tmp_path: Path) -> None:
    broken = {"input_tokens": "many", "output_tokens": -3, "cost_usd": True, "cache_hit": 1, "model": ""}
    odd = [{"event_id": 90, "type": "error", "t_s": 0.1, "data": ["a list"]}]
    found = figures(tmp_path, [turn(60, usage=broken, events=odd)])
    (model,) = found.models
    assert model.answered_by == "unknown"
    assert [row.value for row in (model.input_tokens, model.output_tokens, model.cost_usd)] == [None, None, None]
    assert found.cache_hits is None


def test_steps_cover_the_whole_time_and_show_gaps(tmp_path: Path) -> None:
    found = figures(tmp_path, [turn(7200), turn(7190, outcome="error"), turn(60)])
    assert (found.step_s, len(found.steps)) == (300, 24)
    assert [(step.turns, step.failed, step.p50_s, step.p95_s) for step in (found.steps[0], found.steps[1], found.steps[-1])] == [
        (2, 1, 0.5, None),
        (0, 0, None, None),
        (1, 0, 0.5, 0.5),
    ]
    (tmp_path / "b").mkdir()
    years = figures(tmp_path / "b", [turn(86400 * 800), turn(60)])
    assert (years.step_s, len(years.steps)) == (7 * 86400, 115)


def test_only_turns_of_the_last_span_whatever_their_offset(tmp_path: Path) -> None:
    path = store(
        tmp_path / "assay.db",
        [
            turn(60, created_at="2026-11-20T23:59:30+12:00"),  # 11:59:30 UTC
            turn(60, created_at="2026-11-20T09:00:00-02:00"),  # 11:00:00 UTC
            turn(60, created_at="2026-11-20T11:58:00"),
        ],
    )
    found = read_turns(str(path), now=NOW, since=NOW - timedelta(minutes=30))
    assert sorted(row.at.astimezone(NOW.tzinfo).strftime("%H:%M:%S") for row in found) == ["11:58:00", "11:59:30"]
    assert all(row.answered_by == "llama" for row in found)


def test_postgresql_gives_the_same_figures_and_is_only_read(tmp_path: Path, postgresql: str) -> None:
    turns = [turn(60, tools=[("lend", False), ("lend", True)], usage={"cost_usd": 0.5}), turn(90, outcome="error")]
    store(postgresql, turns)
    assert operations(read_turns(postgresql, now=NOW)) == figures(tmp_path, turns)
    engine = create_engine(postgresql).execution_options(postgresql_readonly=True)
    with engine.connect() as connection, pytest.raises(Exception, match="read-only"):
        connection.execute(text("DELETE FROM messages"))
    engine.dispose()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody may write into `folder`, not even this process when it is root's."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_store_in_a_folder_that_cannot_be_written() -> None:
    with TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "assay.db"
        store(path, [turn(60)])
        open_store = sqlite3.connect(path)
        open_store.execute("PRAGMA journal_mode=WAL")
        open_store.close()
        path.chmod(0o444)
        with locked(folder):
            assert len(read_turns(name, now=NOW)) == 1
        (folder / "assay.db-wal").write_bytes(b"half a log")
        with locked(folder), pytest.raises(UsageError, match="no turns can be read from"):
            read_turns(name, now=NOW)


def test_the_command_shows_writes_and_tells_json(tmp_path: Path, assay: Callable) -> None:
    store(tmp_path / "assay.db", [turn(60 * n, tools=[("lend", True)], usage={"cost_usd": 0.01}) for n in range(100)])
    before = (tmp_path / "assay.db").read_bytes()
    code, out, err = assay("ops", "--from", "assay.db", "--at", NOW.isoformat())
    assert code == 0 and "page  ops.html" in err
    assert out.splitlines()[0] == "100 turns: every one got an answer, 95\u202f% were answered within 500\u202fms."
    page = (tmp_path / "ops.html").read_text()
    for word in ("ollama", "lend", "loans", "Over time", "not recorded", "USD 0.01"):
        assert word in page
    code, out, err = assay("ops", "--from", str(tmp_path), "--json", "--at", NOW.isoformat())
    told = json.loads(out)
    assert (code, err, told["schema_version"], told["alerts"]) == (0, "", 1, None)
    assert told["figures"]["turns"] == 100 and told["figures"]["last"] == NOW.isoformat()
    assert told["figures"]["models"][0]["errors"] == vars(wilson(0, 100))
    code, out, _ = assay("ops", "--from", "assay.db", "--json", "--at", NOW.isoformat(), "--last", "30m", "--out", "new/p.html")
    assert json.loads(out)["figures"]["turns"] == 30 and (tmp_path / "new/p.html").exists()
    assert (tmp_path / "assay.db").read_bytes() == before


def test_a_store_without_turns(tmp_path: Path, assay: Callable) -> None:
    store(tmp_path / "assay.db", [])
    code, out, _ = assay("ops", "--from", "assay.db")
    assert (code, out.splitlines()[0]) == (0, "No turns are stored.")
    assert "No turns are stored." in (tmp_path / "ops.html").read_text()


def test_the_default_is_the_assistants_own_database(tmp_path: Path, assay: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path / "mine.db", [turn(600)])
    monkeypatch.setenv("ASSAY_DATABASE_URL", f"sqlite:///{tmp_path}/mine.db")
    code, out, _ = assay("ops", "--at", NOW.isoformat(), "--json")
    assert (code, json.loads(out)["figures"]["turns"]) == (0, 1)


def test_names_from_models_are_inert_on_page_and_terminal(tmp_path: Path) -> None:
    found = figures(tmp_path, [turn(600, intent=HOSTILE, tools=[(HOSTILE, True)], agent=HOSTILE, model=f"{HOSTILE}:{HOSTILE}")])
    render_operations(page_values(found, HOSTILE, None), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "\x1b" not in page
    printed = "\n".join(text_lines(found))
    assert "\x1b" not in printed and "\u202e" not in printed and "lend" not in printed


def test_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    found = figures(tmp_path, [turn(60 * n) for n in range(50)])
    render_operations(page_values(found, "here", None), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"|url\(|@import|https?://', page)
    assert page.count('<svg class="chart"') == 2


def test_headlines() -> None:
    assert headline(operations([])) == "No turns are stored."


def test_a_terminal_gets_the_largest_rows(tmp_path: Path) -> None:
    found = figures(tmp_path, [turn(600, tools=[(f"tool_{n}", True) for n in range(14)], model="embedded")])
    printed = list(text_lines(found))
    assert "tools     and 4 more on the page" in printed
    assert sum(line.startswith("tools     tool_") for line in printed) == 10


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--from", "nowhere"], "--from nowhere: no such file or folder; give a run folder"),
        (["--from", "empty"], "--from empty: holds no store of an assistant; give a run folder"),
        (["--from", "other.db"], "no such table: messages); give the database of an assistant"),
        (["--from", "text.db"], "file is not a database); give the database of an assistant"),
        (["--from", "nonsense://x"], "the database URL cannot be read; give one such as sqlite"),
        (["--from", "://"], "the database URL cannot be read; give one such as sqlite"),
        (["--from", "mysql://u:secret@h/x"], "is not installed; write postgresql+psycopg"),
        (["--from", "postgresql+psycopg://u:secret@127.0.0.1:1/x"], "no turns can be read from x"),
        (["--from", "assay.db", "--last", "soon"], "--last: 'soon' is not a span of time; write a whole number"),
        (["--from", "assay.db", "--at", "noon"], "--at noon: not an ISO time; write one such as 2026"),
        (["--from", "assay.db", "--out", "assay.db/x.html"], "--out assay.db/x.html: cannot be written"),
        (["--from", "assay.db", "--webhook-env", "X"], "--webhook-env tells of alerts and goes with --alerts; add"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], sentence: str, tmp_path: Path, assay: Callable) -> None:
    store(tmp_path / "assay.db", [turn(60)])
    (tmp_path / "empty").mkdir()
    sqlite3.connect(tmp_path / "other.db").executescript("CREATE TABLE t (x); ").close()
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at as one" * 30)
    code, _, err = assay("ops", *arguments)
    assert code == 4 and sentence in err and "Traceback" not in err and "secret" not in err
    assert err.count("\n") == 1


def test_a_damaged_time_is_broken_evidence(tmp_path: Path, assay: Callable) -> None:
    store(tmp_path / "assay.db", [turn(60, created_at="yesterday")])
    code, _, err = assay("ops", "--from", "assay.db")
    assert code == 3 and "turn turn-0: created_at 'yesterday' is not an ISO time; the database is damaged" in err


def test_a_source_is_shown_without_its_secrets() -> None:
    assert shown("postgresql+psycopg://u:secret@db:5432/assay?password=x") == "postgresql://db/assay"
    assert shown("runs") == "runs"
