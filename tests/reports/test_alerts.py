"""Alerts fire while a budget burns, and are quiet before, after and beside it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from evals.cli import main as entry
from evals.errors import EvidenceError
from evals.webhook import post_json
from reports.alerts import Alert, evaluate, parse_span, read_alerts
from reports.gates.yaml_files import PolicyError
from reports.ops_turns import StoredTurn
from reports.ops_view import page_values
from reports.statistics.proportions import wilson

sys.path.insert(0, str(Path(__file__).parent))
from stored_turns import NOW, store, turn

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "datasets/gates/alerts.yaml"
MINUTE, HOUR, DAY = 60, 3600, 86400
SECRET = "xoxb-the-secret"


def said(ago_s: float, **fields: Any) -> StoredTurn:
    row: dict[str, Any] = {"outcome": "answered", "answer_s": 0.5, "intent": "loans", **fields}
    return StoredTurn(at=NOW - timedelta(seconds=ago_s), thread="t", **row)


def minutely(days: float = 3, **fields: Any) -> list[StoredTurn]:
    """One good turn a minute, the last one half a minute ago."""
    return [said(30 + MINUTE * n, **fields) for n in range(int(days * DAY / MINUTE))]


def firing(turns: list[StoredTurn], rules: Path = RULES) -> list[str]:
    return [alert.key for alert in evaluate(read_alerts(rules), turns, NOW) if alert.state == "firing"]


def judged(turns: list[StoredTurn], key: str) -> Alert:
    (found,) = [alert for alert in evaluate(read_alerts(RULES), turns, NOW) if alert.key.startswith(key)]
    return found


def test_a_burst_of_errors_pages_with_the_rates_that_it_saw() -> None:
    burst = [said(10 + 4 * n, outcome="error" if n % 3 else "answered") for n in range(600)]  # 40 minutes, two in three
    found = evaluate(read_alerts(RULES), [*minutely(), *burst], NOW)
    first = found[0]
    assert (first.rule, first.severity, first.state) == ("errors", "page", "firing")
    assert first.long == wilson(400, 660) and first.short.n == 78
    assert first.burn_rate == pytest.approx(400 / 660 / 0.01)
    assert (
        "got no answer: 400 of 660 turns in 1\u202fh (burn rate 60.6, at least 57.4)" in first.sentence
        and "fires above 14.4 in both" in first.sentence
    )


def test_broken_turns_without_an_answer_are_errors() -> None:
    assert any(key.startswith("errors/page") for key in firing([*minutely(), *[said(10 + n, outcome=None) for n in range(200)]]))


def test_a_quiet_day_is_quiet() -> None:
    turns = [said(30 + MINUTE * n, outcome="error" if n % 250 == 0 else "answered") for n in range(3 * DAY // MINUTE)]
    assert firing(turns) == []


def test_a_short_spike_that_recovered_is_quiet() -> None:
    spike = [said(40 * MINUTE + n, outcome="error") for n in range(15)]
    assert firing([*minutely(), *spike]) == []
    assert judged([*minutely(), *spike], "errors/page/1h").long.k == 15


def test_the_same_spike_fires_while_it_lasts() -> None:
    assert firing([*minutely(), *[said(n, outcome="error") for n in range(60)]])


def test_a_slow_leak_is_a_ticket_and_no_page() -> None:
    turns = [said(30 + MINUTE * n, outcome="error" if n % 40 == 0 else "answered") for n in range(3 * DAY // MINUTE)]
    assert [key.split("/")[:2] for key in firing(turns)] == [["errors", "ticket"]]


def test_one_failure_in_a_lonely_night_wakes_nobody() -> None:
    assert firing([said(60, outcome="error")]) == []
    assert firing([said(60 + n, outcome="error") for n in range(3)]) != []


def test_slow_turns_fire_on_latency_alone() -> None:
    slow = [said(30 + MINUTE * n, answer_s=2.5 if n < 60 else 0.5) for n in range(3 * DAY // MINUTE)]
    found = firing(slow)
    assert found and {key.split("/")[0] for key in found} == {"latency"}
    assert any(key.startswith("latency/page/1h") for key in found), (
        "an hour in which every turn is slow pages, at a turn a minute"
    )
    edge = [said(30 + MINUTE * n, answer_s=2.0) for n in range(600)]
    assert firing(edge) == [], "exactly the limit is in time"
    assert judged([said(60, answer_s=None)], "latency/ticket").state == "not_recorded"


def test_cost_fires_for_the_intent_that_grew() -> None:
    cheap, dear = minutely(cost_usd=0.001), [said(10 + 5 * n, intent="rooms", cost_usd=0.5) for n in range(120)]
    found = firing([*cheap, *dear])
    assert found and {tuple(key.split("/")[:2]) for key in found} == {("cost", "rooms")}
    assert "cost more than 0.02 USD" in judged([*cheap, *dear], "cost/rooms/ticket").sentence


def test_a_cold_cache_fires_and_an_unrecorded_one_does_not() -> None:
    cold = [said(30 + MINUTE * n, cache_hit=n > 400) for n in range(3 * DAY // MINUTE)]
    assert {key.split("/")[0] for key in firing(cold)} == {"cache"}
    found = judged(minutely(), "cache/ticket/6")
    assert (found.state, found.burn_rate, found.long.n) == ("not_recorded", None, 0)
    assert found.sentence == "no turn of the last 6\u202fh recorded it"


def test_no_turns_at_all() -> None:
    found = evaluate(read_alerts(RULES), [said(-60), said(4 * DAY)], NOW)
    assert {alert.state for alert in found} == {"no_turns"}
    assert found[0].sentence.startswith("no turn in the last")
    assert {alert.group for alert in found} == {None}


def rules_file(tmp_path: Path, rules: str, windows: str = "- {long: 1h, short: 5m, burn_rate: 2, severity: page}") -> Path:
    path = tmp_path / "alerts.yaml"
    path.write_text(f"name: mine\nwindows:\n  {windows}\nrules:\n{rules}")
    return path


def test_the_bound_decides_whether_few_turns_are_enough(tmp_path: Path) -> None:
    turns = [said(10 + n, outcome="error" if n < 3 else "answered") for n in range(12)]
    rule = "  - {id: e, signal: errors, objective: 0.9, bound: %s}\n"
    assert firing(turns, rules_file(tmp_path, rule % "ci")) == []
    assert firing(turns, rules_file(tmp_path, rule % "point")) == ["e/page/1h and 5m"]


def test_rules_per_agent_and_model(tmp_path: Path) -> None:
    turns = [
        said(n, outcome="error" if n % 2 else "answered", agent="bad" if n % 2 else "good", model=f"m{n % 2}") for n in range(40)
    ]
    path = rules_file(
        tmp_path,
        "  - {id: a, signal: errors, objective: 0.9, per: agent}\n  - {id: m, signal: errors, objective: 0.9, per: model}\n",
    )
    assert [key.split("/")[:2] for key in firing(turns, path)] == [["a", "bad"], ["m", "m1"]]


OK = "{id: e, signal: errors, objective: 0.9"


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("{id: e, signal: error, objective: 0.9}", ":5: rules[0].signal: Input should be 'errors', 'latency', 'cost' or 'cache'"),
        (OK + ", objectve: 1}", ":5: rules[0].objectve: unknown field; did you mean 'objective'?"),
        ("{id: e, signal: errors, objective: 99}", "rules[0].objective: Input should be less than 1"),
        ("{id: e, signal: latency, objective: 0.9}", "slower_than_s goes with signal: latency and is missing; add it"),
        (OK + ", above_usd: 1}", "above_usd goes with signal: cost only; remove it"),
        ("{id: E e, signal: errors, objective: 0.9}", "rules[0].id: String should match pattern"),
        (OK + "}\n  - " + OK + "}", ":6: second rule 'e', the first is at"),
        ("{id: e, signal: errors, objective: 0.4}", "rule 'e' can never fire at burn rate 2 ("),
        (OK + ", windows: [{long: 1h, short: 5m, burn_rate: 10, severity: page}]}", "all turns bad is 10; give it windows"),
        (OK + ", windows: [{long: 5m, short: 5m, burn_rate: 1, severity: page}]}", "short must be shorter than long; a twelfth"),
        (OK + ", windows: [{long: 1 hour, short: 5m, burn_rate: 1, severity: page}]}", "'1 hour' is not a span of time; write"),
        (OK + ", windows: [{long: 3600, short: 5m, burn_rate: 1, severity: page}]}", "3600 is not a span of time; write"),
        (OK + ", windows: []}", "rules[0].windows: List should have at least 1 item"),
    ],
)
def test_a_faulty_rule_is_named_with_place_and_remedy(rule: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        read_alerts(rules_file(tmp_path, f"  - {rule}\n"))
    assert fault in str(caught.value) and "alerts.yaml:" in str(caught.value)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        read_alerts(
            rules_file(tmp_path, "  - {id: a, signal: errors, objective: 2}\n  - {id: b, signal: cost, objective: 0.9}\n")
        )
    assert str(caught.value).count("alerts.yaml:") == 2


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "0m", "5w", "5m ", "１m", "99999d", None])
def test_what_is_no_span(text: str | None) -> None:
    with pytest.raises(ValueError, match="is not a span of time"):
        parse_span(text)


class Receiver(HTTPServer):
    """Answers with `statuses` in turn, the last one for ever, and keeps what it got."""

    def __init__(self, statuses: list[int], delay_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses, self.delay_s = statuses, delay_s
        self.got: list[dict[str, Any]] = []
        self.stop = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook/{SECRET}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        if self.server.stop.wait(self.server.delay_s):
            return
        self.send_response(self.server.statuses[min(len(self.server.got), len(self.server.statuses)) - 1])
        self.send_header("location", f"/elsewhere/{SECRET}")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving(*statuses: int, delay_s: float = 0.0) -> Iterator[Receiver]:
    server = Receiver(list(statuses), delay_s)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_webhook_gets_the_message_once_or_a_second_time_after_a_failure() -> None:
    for statuses in ([200], [204]):
        with receiving(*statuses) as server:
            post_json(server.url, {"a": 1})
            assert server.got == [{"a": 1}]
    for statuses in ([500, 200], [429, 202]):
        with receiving(*statuses) as server:
            post_json(server.url, {"a": 1})
            assert server.got == [{"a": 1}] * 2


@pytest.mark.parametrize(("statuses", "times"), [([500, 503], 2), ([404], 1), ([302], 1)])
def test_a_webhook_that_refuses_is_told_without_its_address(statuses: list[int], times: int) -> None:
    with receiving(*statuses) as server:
        with pytest.raises(EvidenceError) as caught:
            post_json(server.url, {})
        assert len(server.got) == times
    assert f"HTTP {statuses[-1]}" in str(caught.value)
    assert SECRET not in str(caught.value) and caught.value.__cause__ is None


def test_a_webhook_that_hangs_is_left_after_two_attempts() -> None:
    with receiving(200, delay_s=5.0) as server, pytest.raises(EvidenceError, match="ReadTimeout"):
        post_json(server.url, {}, timeout_s=0.1)


@pytest.mark.parametrize(
    "url", [f"ftp://host/{SECRET}", SECRET, f"http://[{SECRET}", f"http://127.0.0.1:1/{SECRET}", f"http://a b/{SECRET}"]
)
def test_an_address_that_leads_nowhere(url: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        post_json(url, {})
    assert SECRET not in str(caught.value) and str(caught.value).endswith("check the address in its environment variable")


@pytest.fixture
def assay(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["assay", "ops", "--from", "assay.db", "--at", NOW.isoformat(), *arguments])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        out, err = capfd.readouterr()
        return int(str(stop.value.code)), out, err

    return run


def burst(tmp_path: Path, **fields: Any) -> None:
    store(tmp_path / "assay.db", [turn(5 + 5 * n, outcome="error" if n % 2 else "answered", **fields) for n in range(400)])


def test_firing_alerts_are_logged_sent_and_exit_1(tmp_path: Path, assay: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    burst(tmp_path)
    with receiving(200) as server:
        monkeypatch.setenv("HOOK", server.url)
        code, out, err = assay("--alerts", str(RULES), "--webhook-env", "HOOK")
    (got,) = server.got
    lines = err.splitlines()
    assert (code, out) == (1, "")
    assert [line.split(":")[0] for line in lines[:-1]] == [f"ALERT {a['severity']} {a['key']}" for a in got["alerts"]]
    assert lines[-1].startswith("11 alerts at 20 Nov 2026, 12:00 UTC: ") and SECRET not in err
    assert got["schema_version"] == 1 and got["at"] == NOW.isoformat() and "got no answer: 200 of 400 turns" in got["text"]
    assert {alert["state"] for alert in got["alerts"]} == {"firing"}
    assert got["alerts"][0]["long"] == vars(wilson(200, 400))
    assert not (tmp_path / "ops.html").exists()


def test_a_quiet_store_exits_0_and_tells_nobody(tmp_path: Path, assay: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path / "assay.db", [turn(60 * n + 5) for n in range(400)])
    with receiving(200) as server:
        monkeypatch.setenv("HOOK", server.url)
        code, _, err = assay("--alerts", str(RULES), "--webhook-env", "HOOK")
    assert (code, server.got) == (0, [])
    assert "quiet" in err and "not recorded" in err and "ALERT" not in err


def test_a_dead_webhook_changes_no_exit_code(tmp_path: Path, assay: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    burst(tmp_path)
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:1/{SECRET}")
    code, _, err = assay("--alerts", str(RULES), "--webhook-env", "HOOK")
    assert code == 1 and "the webhook did not take the message (ConnectError)" in err and SECRET not in err


def test_alerts_in_json_and_on_the_page(tmp_path: Path, assay: Callable) -> None:
    burst(tmp_path, intent="<b>x</b>\x1b[31m", usage={"cost_usd": 1.0})
    code, out, err = assay("--alerts", str(RULES), "--json", "--out", "page.html", "--last", "1m")
    told = json.loads(out)
    assert code == 1 and told["figures"]["turns"] == 11
    assert {alert["rule"] for alert in told["alerts"] if alert["state"] == "firing"} == {"errors", "latency", "cost"}
    page = (tmp_path / "page.html").read_text()
    assert "8 alerts firing" in page
    assert "<b>x" not in page and "\x1b" not in page + err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--alerts", "none.yaml"], "none.yaml: cannot be read (No such file or directory); give the path of an alerts file"),
        (["--alerts", "list.yaml"], "list.yaml: not an alerts: a mapping with name"),
        (["--alerts", str(RULES), "--webhook-env", "UNSET_HOOK"], "--webhook-env UNSET_HOOK: the variable is not set; export"),
    ],
)
def test_bad_input(arguments: list[str], sentence: str, tmp_path: Path, assay: Callable) -> None:
    store(tmp_path / "assay.db", [])
    (tmp_path / "list.yaml").write_text("- a\n")
    code, _, err = assay(*arguments)
    assert code == 4 and sentence in err and "Traceback" not in err


def test_states_are_words_on_the_page() -> None:
    from reports.ops import operations

    alerts = evaluate(read_alerts(RULES), minutely(1), NOW)
    values = page_values(operations(minutely(1)), "here", alerts)
    assert [(row.title, row.severity, row.word, row.icon) for row in values["alerts"]] == [
        ("errors", "page, ticket", "quiet", "pass"),
        ("latency", "page, ticket", "quiet", "pass"),
        ("cost", "page, ticket", "not recorded", "non"),
        ("cache", "ticket", "not recorded", "non"),
    ]
    assert values["alerts"][0].sentence.startswith("The highest of 3: got no answer: 0 of")
    assert values["firing"] == 0
