"""pytest-benchmark in the gate: a slowdown fails, the same code passes, what cannot be compared is not compared and says so."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from math import exp, isclose, log
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from evals.cli.gate import gate
from evals.errors import AssayError, EvidenceError, UsageError
from reports.benchmarks import MARGIN, compare_benchmarks, read_benchmarks, word_of
from reports.records import write_slots
from reports.statistics.log_ratio import slowed
from reports.statistics.median_ratio import LEAST_RUNS, median_of_rounds, median_of_summary, ratio_of_medians

MACHINE: dict[str, Any] = {
    "node": "vm",
    "system": "Linux",
    "machine": "x86_64",
    "python_implementation": "CPython",
    "python_version": "3.11.7",
    "cpu": {"brand_raw": "AMD EPYC", "count": 2},
}
ROUTE, STORE = "tests/b.py::test_route", "tests/b.py::test_store"
Write = Callable[..., Path]


def times(rng: random.Random, middle: float, rounds: int = 60) -> list[float]:
    """Rounds of one run: skewed, with rare hiccups, the whole run shifted by up to a few percent."""
    shift = rng.gauss(0, 0.015)
    return [middle * exp(shift + abs(rng.gauss(0, 0.03))) * (3 if rng.random() < 0.02 else 1) for _ in range(rounds)]


def row(name: str, rounds: Sequence[float], *, kept: bool = True) -> dict[str, Any]:
    ranked = sorted(rounds)
    spread = ranked[3 * len(ranked) // 4] - ranked[len(ranked) // 4]
    stats: dict[str, Any] = {"median": median(rounds), "iqr": spread, "rounds": len(rounds)}
    return {"fullname": name, "stats": stats | ({"data": list(rounds)} if kept else {})}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def at(name: str, rows: Sequence[object], **changes: object) -> Path:
        night = "".join(letter for letter in name if letter.isdigit()) or "99"
        whole = {"machine_info": MACHINE, "commit_info": {"id": "1a2b"}, "benchmarks": list(rows)}
        whole |= {"datetime": f"2026-11-{int(night):02d}T02:00:00+00:00"} | changes
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(whole))
        return path

    return at


@pytest.fixture
def nights(write: Write) -> list[Path]:
    rng = random.Random(7)
    return [write(f"n{10 + n}", [row(ROUTE, times(rng, 1e-3)), row(STORE, times(rng, 2e-3))]) for n in range(8)]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(gate, [str(argument) for argument in arguments], standalone_mode=False)


def judged(now: Path, earlier: Sequence[Path]) -> dict[str, str]:
    results = compare_benchmarks(read_benchmarks(now), [read_benchmarks(path) for path in earlier])
    return {result.name: result.state for result in results}


def test_a_slowdown_of_a_fifth_fails_and_the_same_code_passes(write: Write, nights: list[Path]) -> None:
    rng = random.Random(8)
    slow = write("slow", [row(ROUTE, times(rng, 1.2e-3)), row(STORE, times(rng, 2e-3))])
    done = call("--benchmarks", slow, "--against", nights[0].parent)
    assert done.return_value == 1
    first, second, last = done.output.splitlines()
    assert first.startswith(f"✕ fail  {ROUTE}: 1.2") and "against 8 earlier runs (+1" in first and "allowed +10.0" in first
    assert second.startswith(f"✓ pass  {STORE}: ") and last == "2 benchmarks: fail; exit 1"
    same = write("same", [row(ROUTE, times(rng, 1e-3)), row(STORE, times(rng, 2e-3))])
    assert call("--benchmarks", same, *(part for path in nights for part in ("--against", path))).return_value == 0
    one = call("--benchmarks", slow, "--against", nights[0], "--margin", 0.5)
    assert one.return_value == 0 and "noise between runs unknown" in one.output and "unknown" not in done.output


@pytest.mark.parametrize("earlier", [1, 3, 8])
def test_false_alarms_and_misses_are_rare(earlier: int) -> None:
    rng = random.Random(earlier)
    words: dict[float, list[str]] = {1.0: [], 1.2: []}
    for factor, found in words.items():
        for _ in range(100):
            base = [median_of_rounds(times(rng, 1e-3)) for _ in range(earlier)]
            found.append(slowed(ratio_of_medians(median_of_rounds(times(rng, factor * 1e-3)), base), MARGIN))
    assert words[1.0].count("fail") == 0 and words[1.0].count("pass") >= 90
    assert words[1.2].count("fail") >= 97 and words[1.2].count("pass") == 0


def test_without_rounds_the_spread_is_used_and_is_close_to_the_rounds(write: Write) -> None:
    rounds = times(random.Random(3), 1e-3, 400)
    kept = read_benchmarks(write("n1", [row(ROUTE, rounds)])).medians[ROUTE]
    told = read_benchmarks(write("n2", [row(ROUTE, rounds, kept=False)])).medians[ROUTE]
    assert (told.n, told.value) == (400, median(rounds)) and isclose(kept.value or 0, told.value or 1, rel_tol=1e-3)
    assert kept.low and told.low and kept.high and told.high
    assert 0.4 < (told.high - told.low) / (kept.high - kept.low) < 2.5
    half = 1.6448536269514722 * 1.25 * 2.0 / (1.35 * 10)
    assert isclose(median_of_summary(5.0, 2.0, 100).high or 0, 5 + half, rel_tol=1e-12)
    assert median_of_summary(5.0, 90.0, 9).low is None and median_of_summary(5.0, 1.0, 4).high is None


def test_the_interval_of_runs_is_the_prediction_interval() -> None:
    middles = [1.0, 1.1, 0.9, 1.05, 0.97]
    base = [median_of_rounds([x] * 9) for x in middles]
    found = ratio_of_medians(median_of_rounds([1.2] * 9), base)
    logs = [log(x) for x in middles]
    mean = sum(logs) / 5
    spread = (sum((x - mean) ** 2 for x in logs) / 4) ** 0.5
    reach = 2.1318467863266495 * spread * (1 + 1 / 5) ** 0.5
    assert isclose(found.value or 0, exp(log(1.2) - mean), rel_tol=1e-12)
    assert isclose(found.low or 0, exp(log(1.2) - mean - reach), rel_tol=1e-9)
    assert isclose(found.high or 0, exp(log(1.2) - mean + reach), rel_tol=1e-9)
    assert found.n == LEAST_RUNS and "runs" in found.method
    assert "rounds" in ratio_of_medians(median_of_rounds([1.2] * 9), base[:4]).method
    with pytest.raises(ValueError, match="at least one earlier run"):
        ratio_of_medians(base[0], [])


def test_noise_between_runs_widens_what_rounds_alone_call_sure() -> None:
    runs = [median_of_rounds([x] * 50) for x in (1.0, 1.3, 0.8, 1.2, 0.9, 1.1)]
    assert ratio_of_medians(median_of_rounds([1.25] * 50), runs[:1]).low == 1.25
    assert (ratio_of_medians(median_of_rounds([1.25] * 50), runs).low or 9) < 1


def test_too_few_rounds_decide_nothing(write: Write) -> None:
    earlier = write("n1", [row(ROUTE, [1.0, 1.0, 1.0])])
    done = call("--benchmarks", write("now", [row(ROUTE, [1.5, 1.5, 1.5])]), "--against", earlier)
    assert done.return_value == 2 and "too few rounds for a bound, at least 5 are needed" in done.output
    wide = write("n3", [row(ROUTE, [1.0] * 9, kept=False)])
    data = json.loads(wide.read_text())
    data["benchmarks"][0]["stats"]["iqr"] = 50.0
    wide.write_text(json.dumps(data))
    assert "without a bound" in call("--benchmarks", wide, "--against", write("n2", [row(ROUTE, [1.0] * 9)])).output


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (MACHINE | {"cpu": {"brand_raw": "AMD EPYC", "count": 16}}, "cpu.count is 2 here, 16 in n1.json"),
        (MACHINE | {"cpu": {"brand_raw": "Xeon", "count": 2}}, "cpu.brand_raw is AMD EPYC here, Xeon in n1.json"),
        (MACHINE | {"python_version": "3.12.1"}, "python_version is 3.11 here, 3.12 in n1.json"),
        (MACHINE | {"cpu": {}}, "cpu.brand_raw is unknown in n1.json"),
        (None, "system is unknown in n1.json"),
    ],
)
def test_another_machine_is_not_compared_and_says_so(write: Write, info: object, said: str) -> None:
    earlier = write("n1", [row(ROUTE, [1.0] * 9)], machine_info=info)
    done = call("--benchmarks", write("now", [row(ROUTE, [2.0] * 9)]), "--against", earlier)
    assert done.return_value == 2 and said in done.output and "no baseline" in done.output


def test_a_patch_release_or_another_host_name_is_the_same_machine(write: Write) -> None:
    earlier = write("n1", [row(ROUTE, [1.0] * 9)], machine_info=MACHINE | {"node": "other", "python_version": "3.11.9"})
    assert judged(write("now", [row(ROUTE, [1.0] * 9)]), [earlier]) == {ROUTE: "pass"}


def test_a_run_is_not_its_own_baseline_and_counts_once(write: Write) -> None:
    now = write("now", [row(ROUTE, [1.0] * 9)])
    assert judged(now, [now]) == {ROUTE: "no_baseline"}
    one = write("n1", [row(ROUTE, [1.0] * 9)])
    (result,) = compare_benchmarks(read_benchmarks(now), [read_benchmarks(one)] * 9)
    assert result.ratio and result.ratio.n == 1
    assert call("--benchmarks", now).return_value == 2


def test_a_new_benchmark_waits_for_its_baseline_and_a_dropped_one_is_invalid(write: Write) -> None:
    old = write("n1", [row(STORE, [9.0] * 9)])
    earlier = write("n2", [row(ROUTE, [1.0] * 9)])
    new = write("now", [row(ROUTE, [1.0] * 9), row("new", [1.0] * 9)])
    done = call("--benchmarks", new, "--against", old, "--against", earlier)
    assert done.return_value == 0 and "– no baseline  new: " in done.output
    dropped = call("--benchmarks", write("less", [row("new", [1.0] * 9)]), "--against", old, "--against", earlier)
    assert dropped.return_value == 3 and f"! invalid  {ROUTE}: is measured in n2.json and missing here" in dropped.output
    assert word_of([]) == "inconclusive"


def broken(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return path


BROKEN: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    ("nan", lambda d: d["benchmarks"][0]["stats"].update(median=float("nan")), "holds NaN"),
    ("negative", lambda d: d["benchmarks"][0]["stats"].update(median=-1.0), "-1.0 is no time in seconds"),
    ("zero", lambda d: d["benchmarks"][0]["stats"].update(median=0), "0 is no time in seconds"),
    ("flag", lambda d: d["benchmarks"][0]["stats"].update(median=True), "True is no time"),
    ("edited", lambda d: d["benchmarks"][0]["stats"].update(median=0.9), "its median is not that of its rounds"),
    ("round", lambda d: d["benchmarks"][0]["stats"]["data"].append("x"), "field `stats.data[9]`: 'x' is no time"),
    ("twice", lambda d: d["benchmarks"].append(d["benchmarks"][0]), "is there twice"),
    ("rounds", lambda d: d["benchmarks"][0]["stats"].update(data=None, rounds=0), "0 is no number of rounds"),
    ("spread", lambda d: d["benchmarks"][0]["stats"].update(data=None, iqr=-1), "-1 is no spread"),
]
WRONG: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    ("list", lambda d: d.update(benchmarks=3), "has no list `benchmarks`"),
    ("empty", lambda d: d.update(benchmarks=[]), "holds no benchmark"),
    ("name", lambda d: d["benchmarks"][0].pop("fullname"), "has no `fullname` and `stats`"),
    ("row", lambda d: d.update(benchmarks=["x"]), "has no `fullname` and `stats`"),
    ("data", lambda d: d["benchmarks"][0]["stats"].update(data=3), "field `stats.data`: is no list"),
]


def fault(*arguments: object) -> AssayError:
    error = call(*arguments).exception
    assert isinstance(error, AssayError), error
    assert "\n" not in str(error)
    return error


@pytest.mark.parametrize(
    ("change", "said", "kind"),
    [*((c, s, EvidenceError) for _, c, s in BROKEN), *((c, s, UsageError) for _, c, s in WRONG)],
    ids=[name for name, _, _ in (*BROKEN, *WRONG)],
)
def test_a_malformed_file_is_one_sentence_with_its_exit_code(
    write: Write, change: Callable[[dict[str, Any]], None], said: str, kind: type[AssayError]
) -> None:
    good = write("n1", [row(ROUTE, [1.0] * 9)])
    bad = broken(write("bad", [row(ROUTE, [1.0] * 9)]), change)
    for arguments in (("--benchmarks", bad), ("--benchmarks", good, "--against", bad)):
        error = fault(*arguments)
        assert type(error) is kind and said in str(error) and "bad.json" in str(error)


def test_calls_that_make_no_sense_say_what_to_do(write: Write, tmp_path: Path) -> None:
    now = write("now", [row(ROUTE, [1.0] * 9)])
    (tmp_path / "none").mkdir()
    assert "cannot be read" in str(fault("--benchmarks", tmp_path / "gone.json"))
    assert "holds no file" in str(fault("--benchmarks", now, "--against", tmp_path / "none"))
    assert "belong to --benchmarks" in str(fault("--against", now))
    assert "belong to a record" in str(fault("--benchmarks", now, "--policy", now))
    assert "nothing to judge" in str(fault())
    now.write_text("{")
    assert fault("--benchmarks", now).exit_code == 3


def test_record_and_benchmarks_together_give_the_worse_verdict(sample: ModuleType, write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    sample.build(folder, "pass")
    write_slots(folder / "slots.jsonl", sample.card_slots())
    earlier = write("n1", [row(ROUTE, [1.0] * 9)])
    same, slow = write("same", [row(ROUTE, [1.0] * 9), row("x", [1.0])]), write("slow", [row(ROUTE, [1.3] * 9)])
    assert call(folder).return_value == 0
    assert call(folder, "--benchmarks", same, "--against", earlier).return_value == 0
    assert call(folder, "--benchmarks", slow, "--against", earlier).return_value == 1
    assert call(folder, "--benchmarks", same).return_value == 2
