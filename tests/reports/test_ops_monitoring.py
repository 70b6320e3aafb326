"""The Prometheus rules and the Grafana dashboard name only metrics and labels that a running server exposes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import httpx2
import pytest
import uvicorn
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.server.app import create_app
from assistant.settings import Settings
from assistant.wire import Outcome
from reports.alerts import parse_span, read_alerts

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "docs/ops/prometheus-rules.yaml"
DASHBOARD = ROOT / "docs/ops/grafana-dashboard.json"
ALERTS = ROOT / "datasets/gates/alerts.yaml"
OF_PROMETHEUS = {"up"}
"""Made by Prometheus itself for everything it scrapes."""
ADDED_LABELS = {"job", "instance"}
"""Added to every series by the scrape."""

SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
WORDS = {"and", "or", "unless", "bool", "offset"}
SERIES = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ")
LABEL = re.compile(r'([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"')

Duration = Annotated[str, Field(pattern=r"^([0-9]+(ms|[smhdwy]))+$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Rule(Strict):
    """A recording or an alerting rule (prometheus.io, "Defining recording rules", "Alerting rules")."""

    record: Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")] | None = None
    alert: str | None = None
    expr: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    for_: Annotated[Duration | None, Field(alias="for")] = None

    def model_post_init(self, _: Any) -> None:
        if (self.record is None) == (self.alert is None):
            raise ValueError("a rule records or alerts")
        if self.record is not None and (self.annotations or self.for_):
            raise ValueError("only alerts have annotations and for")


class Group(Strict):
    name: str
    interval: Duration | None = None
    rules: Annotated[list[Rule], Field(min_length=1)]


class RulesFile(Strict):
    groups: Annotated[list[Group], Field(min_length=1)]


class Target(BaseModel):
    refId: Annotated[str, Field(pattern="^[A-Z]$")]
    expr: str
    legendFormat: str


class GridPos(Strict):
    x: Annotated[int, Field(ge=0, lt=24)]
    y: Annotated[int, Field(ge=0)]
    w: Annotated[int, Field(ge=1, le=24)]
    h: Annotated[int, Field(ge=1)]


class Panel(BaseModel):
    id: int
    type: Literal["timeseries"]
    title: Annotated[str, Field(min_length=1)]
    gridPos: GridPos
    targets: Annotated[list[Target], Field(min_length=1)]


class Dashboard(BaseModel):
    """What Grafana needs of a dashboard to import it (grafana.com, "Dashboard JSON model")."""

    uid: Annotated[str, Field(max_length=40)]
    title: str
    schemaVersion: Annotated[int, Field(ge=30)]
    templating: dict[Literal["list"], list[dict[str, Any]]]
    panels: Annotated[list[Panel], Field(min_length=1)]


@dataclass(frozen=True)
class Exposed:
    """Series by metric name, each as its labels."""

    series: dict[str, list[dict[str, str]]]

    def faults(self, expression: str, recorded: set[str] = frozenset()) -> list[str]:
        """What `expression` names and no server exposes."""
        found: list[str] = []
        for name, matchers, grouped in named(expression):
            if name in recorded | OF_PROMETHEUS:
                continue
            if name not in self.series:
                found.append(f"no metric {name}")
                continue
            labels = set().union(*self.series[name]) | ADDED_LABELS
            found += [f"{name} has no label {label}" for label in (matchers.keys() | grouped) - labels]
            wanted = {key: value for key, value in matchers.items() if key not in ADDED_LABELS}
            if "kind" in wanted and wanted["kind"] in get_args(Outcome):
                del wanted["kind"]  # counted when it happens for the first time
            if not any(wanted.items() <= row.items() for row in self.series[name]):
                found.append(f"no {name} with {wanted}")
        return found


def named(expression: str) -> list[tuple[str, dict[str, str], set[str]]]:
    """Metrics of a PromQL expression with their equality matchers and the labels that anything groups by."""
    grouped = {label.strip() for _, labels in GROUPING.findall(expression) for label in labels.split(",") if label.strip()}
    bare = re.sub(r"\[[^\]]*\]", "", GROUPING.sub("", expression))
    found: list[tuple[str, dict[str, str], set[str]]] = []
    for match in SELECTOR.finditer(bare):
        name, matchers = match.groups()
        calls = bare[match.end() :].lstrip().startswith("(")
        if not calls and name not in WORDS and not (match.start() and bare[match.start() - 1].isdigit()):
            found.append((name, dict(LABEL.findall(matchers or "")), grouped))
    return found


def expressions(dashboard: dict[str, Any]) -> list[str]:
    queries = [re.sub(r"^label_values\((.*), \w+\)$", r"\1", row["definition"]) for row in dashboard["templating"]["list"][1:]]
    return queries + [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exposed]:
    """What `/metrics` of a server tells after a turn."""
    folder = tmp_path_factory.mktemp("state")
    settings = Settings.from_environ({**os.environ, "ASSAY_STATE_DIR": str(folder), "ASSAY_MODEL": "embedded"})
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(settings, pack="qsr"), log_level="critical", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert httpx2.post(f"{address}/v1/turns", json={"message": "who works tomorrow"}, timeout=30).status_code == 200
        text = httpx2.get(f"{address}/metrics", timeout=30).text
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
    series: dict[str, list[dict[str, str]]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            found = SERIES.match(line)
            assert found, line
            series.setdefault(found[1], []).append(dict(LABEL.findall(found[2] or "")))
    yield Exposed(series)


def rules() -> RulesFile:
    return RulesFile.model_validate(yaml.safe_load(RULES.read_text()))


def test_every_metric_of_the_rules_is_exposed_or_recorded(exposed: Exposed) -> None:
    recorded: set[str] = set()
    for rule in (rule for group in rules().groups for rule in group.rules):
        assert exposed.faults(rule.expr, recorded) == [], rule.alert or rule.record
        recorded |= {rule.record} if rule.record else set()


def test_every_metric_of_the_dashboard_is_exposed_or_recorded(exposed: Exposed) -> None:
    recorded = {rule.record for group in rules().groups for rule in group.rules if rule.record}
    dashboard = json.loads(DASHBOARD.read_text())
    assert {expression: exposed.faults(expression, recorded) for expression in expressions(dashboard)} == {
        expression: [] for expression in expressions(dashboard)
    }


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(assay_turn_total[5m])", "no metric assay_turn_total"),
        ('sum(rate(assay_turns_total{outcome="error"}[5m]))', "assay_turns_total has no label outcome"),
        ('rate(assay_turns_total{kind="broken"}[5m])', "no assay_turns_total with {'kind': 'broken'}"),
        ('sum by (stage) (rate(assay_stage_seconds_bucket{name="total"}[5m]))', "assay_stage_seconds_bucket has no label stage"),
        ('rate(assay_stage_seconds_bucket{name="total",le="2"}[5m])', "no assay_stage_seconds_bucket with"),
        ("1 - assay:turns:unrecorded / 14.4 * 0.01 > 2e9", "no metric assay:turns:unrecorded"),
    ],
)
def test_a_name_that_nobody_exposes_is_found(expression: str, fault: str, exposed: Exposed) -> None:
    assert exposed.faults(expression)[0].startswith(fault)


def test_the_rules_have_the_windows_and_burn_rates_of_the_alerts() -> None:
    ours, theirs = set(), set()
    alerts = read_alerts(ALERTS)
    for rule in alerts.rules:
        if rule.signal in ("errors", "latency"):
            budget = round(1 - rule.objective, 9)
            ours |= {(rule.signal, w.long, w.short, w.burn_rate, budget, w.severity) for w in alerts.windows_of(rule)}
    pattern = re.compile(r"assay:turns:(error|slow)_ratio_(\w+) > ([\d.]+) \* ([\d.]+) and assay:turns:\1_ratio_(\w+) > \3 \* \4")
    for rule in (rule for group in rules().groups for rule in group.rules):
        if rule.alert and (found := pattern.fullmatch(rule.expr)):
            signal = {"error": "errors", "slow": "latency"}[found[1]]
            spans = (parse_span(found[2]), parse_span(found[5]))
            theirs.add((signal, *spans, float(found[3]), float(found[4]), rule.labels["severity"]))
    assert ours == theirs and len(ours) == 6


@pytest.mark.parametrize(
    "broken",
    [
        {"groups": []},
        {"groups": [{"name": "a", "rules": [{"alert": "A", "expr": "up", "fro": "5m"}]}]},
        {"groups": [{"name": "a", "rules": [{"alert": "A", "expr": "up", "for": "5 minutes"}]}]},
        {"groups": [{"name": "a", "rules": [{"alert": "A", "record": "b", "expr": "up"}]}]},
        {"groups": [{"name": "a", "rules": [{"record": "a:b", "expr": "up", "for": "5m"}]}]},
    ],
)
def test_a_broken_rules_file_does_not_fit_the_schema(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RulesFile.model_validate(broken)


def test_the_dashboard_can_be_imported() -> None:
    board = Dashboard.model_validate(json.loads(DASHBOARD.read_text()))
    places = [(panel.gridPos.x, panel.gridPos.y) for panel in board.panels]
    assert len({panel.id for panel in board.panels}) == len({*places}) == len(board.panels)
    assert {row["name"] for row in board.templating["list"]} == {"datasource", "job"}
    used = {name for name in re.findall(r"\$\{?([a-z]\w*)", DASHBOARD.read_text())}
    assert used == {"datasource", "job"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_rules_and_their_tests_pass(tmp_path: Path) -> None:
    def run(*arguments: str) -> int:
        return subprocess.run(["promtool", *arguments], cwd=tmp_path, capture_output=True, check=False).returncode

    text = RULES.read_text()
    shutil.copy(RULES.with_name("prometheus-rules.test.yaml"), tmp_path / "tests.yaml")
    for name, content, code in (
        ("as shipped", text, 0),
        ("never firing", text.replace("> 14.4 * 0.01", "> 140 * 0.01"), 1),
        ("not PromQL", text.replace("histogram_quantile(", "histogram_quantil("), 1),
    ):
        (tmp_path / "prometheus-rules.yaml").write_text(content)
        assert (run("check", "rules", "prometheus-rules.yaml") or run("test", "rules", "tests.yaml")) == code, name
    queries = [text.replace("$__rate_interval", "5m") for text in expressions(json.loads(DASHBOARD.read_text()))]
    recorded = [{"record": f"panel:query{place}", "expr": query} for place, query in enumerate(queries)]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    assert run("check", "rules", "panels.yaml") == 0
