"""The figures of a measurement, checked against counts made by hand and against planted routers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from evals.errors import UsageError
from evals.routing.classes import class_scores, confusion_table, macro_f1
from evals.routing.formats import Row
from evals.routing.judged import Choice, Judged, labels_of, read_answer
from evals.routing.outofscope import auroc, recall_at, risk_coverage, threshold_at
from evals.routing.page import write_page
from evals.routing.pairing import compare_results
from evals.routing.perturbations import PERTURBATIONS, perturb
from evals.routing.result import describe
from evals.routing.words import result_lines

LABELS = ["a", "b", "none"]


def judged(
    expected: str, forced: str, settled: str = "", confidence: float | None = 0.75, scope: float | None = 0.5, text: str = ""
) -> Judged:
    row = Row(text=text or f"{expected} {forced} {settled}", place="line 1", number=0, intent=expected)
    choice = Choice(
        forced=forced,
        settled=settled or forced,
        confidence=confidence,
        settled_confidence=confidence,
        scope=scope,
        intent=forced,
        encode_s=0.001,
    )
    return Judged(row=row, expected=expected, choice=choice)


def test_forced_choice_counts_where_the_test_holds_no_none():
    found = describe([judged("a", "a"), judged("a", "a", "none"), judged("b", "a"), judged("b", "b")], [], ["a", "b"])
    assert found["variant"] == "forced"
    assert (found["accuracy"]["k"], found["accuracy"]["n"]) == (3, 4)
    assert found["accuracy_abstaining"]["k"] == 2
    assert found["abstention"]["k"] == 1
    assert found["oos"] is None
    assert found["accuracy"]["low"] < 0.75 < found["accuracy"]["high"]


def test_abstention_counts_where_the_test_holds_none():
    found = describe(
        [judged("a", "a"), judged("b", "b", "none"), judged("none", "a", "none", scope=0.1), judged("none", "b", scope=0.2)],
        [],
        LABELS,
    )
    assert found["variant"] == "abstaining"
    assert found["accuracy"]["k"] == 2
    assert (found["accuracy_forced"]["k"], found["accuracy_forced"]["n"]) == (2, 2)
    assert found["oos"]["auroc"]["value"] == 1.0
    assert (found["oos"]["recall"]["k"], found["oos"]["false_rejection"]["k"]) == (1, 1)
    assert found["classes"]["none"]["recall"]["value"] == 0.5
    assert found["confusion"] == {"labels": LABELS, "counts": [[1, 0, 0], [0, 0, 1], [0, 1, 1]]}


def test_a_confident_wrong_router_has_a_calibration_error_and_is_listed():
    items = [judged("a", "b", confidence=0.95, text=f"wrong {n}") for n in range(25)] + [judged("a", "a", confidence=0.95)] * 75
    found = describe(items, [], ["a", "b"])
    assert found["ece"]["value"] == pytest.approx(0.2)
    assert found["reliability"][9]["n"] == 100
    assert len(found["worst"]) == 20 and all(row["text"].startswith("wrong") for row in found["worst"])
    assert found["risk_coverage"][-1]["accuracy"] == 0.75
    assert found["latency"]["encode_s"]["p50"]["value"] == 0.001 and found["latency"]["head_s"] is None


def test_a_router_without_probabilities_has_no_calibration():
    found = describe(
        [judged("a", "a", confidence=None, scope=None)], [judged("none", "none", confidence=None, scope=None)], ["a"]
    )
    assert found["ece"] is None and found["reliability"] == [] and found["risk_coverage"] == []
    assert found["oos"]["auroc"] is None and found["oos"]["recall"]["value"] == 1.0


def test_families_widen_the_bounds():
    alone = [judged("a", "a" if n % 5 else "b") for n in range(100)]
    related = [
        Judged(row=Row(**{**vars(item.row), "family": f"f{n // 20}"}), expected="a", choice=alone[n // 20].choice)
        for n, item in enumerate(alone)
    ]
    single, clustered = (describe(items, [], ["a", "b"])["accuracy"] for items in (alone, related))
    assert single["value"] == clustered["value"] == 0.8
    assert clustered["low"] < single["low"]


def test_class_scores_are_the_known_ones():
    chance = random.Random(5)
    pairs = [(chance.choice("abc"), chance.choice("abc")) for _ in range(300)]
    truth, given = zip(*pairs, strict=True)
    scores = class_scores(pairs, ["a", "b", "c"])
    assert [scores[label]["f1"].value for label in "abc"] == pytest.approx(
        list(f1_score(truth, given, average=None, labels=["a", "b", "c"]))
    )
    mean = macro_f1(pairs, ["a", "b", "c"])
    assert mean.value == pytest.approx(f1_score(truth, given, average="macro"))
    assert mean.low < mean.value < mean.high
    assert macro_f1(pairs, ["a", "b", "c"]) == mean
    f1 = scores["a"]["f1"]
    assert f1.low < f1.value < f1.high
    assert class_scores([], ["x"])["x"]["f1"].value is None
    assert macro_f1([], ["x"]).value is None
    assert confusion_table([("a", "odd")], ["a"]) == {"labels": ["a", "odd"], "counts": [[0, 1], [0, 0]]}


def test_auroc_is_the_known_one_with_bounds_that_cover():
    random_ = np.random.default_rng(2)
    inside, outside = random_.normal(1, 1, 400).round(1), random_.normal(0, 1, 150).round(1)
    found = auroc(list(inside), list(outside))
    assert found.value == pytest.approx(roc_auc_score(np.r_[np.ones(400), np.zeros(150)], np.r_[inside, outside]))
    assert found.low < found.value < found.high
    missed = 0
    for seed in range(200):
        random_ = np.random.default_rng(seed)
        missed += auroc(list(random_.normal(1, 1, 80)), list(random_.normal(0, 1, 40))).low > 0.7602
    assert 2 <= missed <= 22, "a one-sided 95 % bound misses about one time in twenty"
    perfect = auroc([0.9] * 100, [0.1] * 50)
    assert perfect.value == perfect.high == 1.0 and 0.9 < perfect.low < 1
    assert auroc([], [0.5]).value is None
    assert auroc([0.5], [0.5]).low is None


def test_recall_at_a_share_of_false_rejections():
    inside = [n / 100 for n in range(100)]
    assert threshold_at(inside) == 0.05
    assert recall_at(inside, [0.01, 0.02, 0.2, 0.9]).k == 2
    assert recall_at([], [0.1]).value is None


def test_the_surest_come_first():
    rows = risk_coverage([(0.9, True), (0.8, True), (0.2, False), (0.1, False)])
    assert rows[-1] == {"coverage": 1.0, "n": 4, "accuracy": 0.5}
    assert next(row for row in rows if row["n"] == 2)["accuracy"] == 1.0


def result_file(path: Path, rights: list[bool], label: str = "a") -> Path:
    items = [{"id": f"t{n // 2}", "expected": label, "right": right} for n, right in enumerate(rights)]
    path.write_text(json.dumps({"items": items}))
    return path


def test_two_results_are_compared_text_by_text(tmp_path):
    first = result_file(tmp_path / "a.json", [True] * 8 + [False] * 12)
    second = result_file(tmp_path / "b.json", [False] + [True] * 13 + [False] * 6)
    found = compare_results(first, second)
    assert (found["n"], found["broke"], found["healed"]) == (20, 1, 6)
    assert found["p_better"] == pytest.approx(8 / 128)
    assert found["p_two_sided"] == pytest.approx(16 / 128)
    assert found["difference"]["value"] == 0.25
    assert compare_results(first, first)["p_two_sided"] == 1.0


def test_results_on_other_texts_are_refused(tmp_path):
    first = result_file(tmp_path / "a.json", [True] * 4)
    with pytest.raises(UsageError, match="2 texts are in one only"):
        compare_results(first, result_file(tmp_path / "b.json", [True] * 2))
    with pytest.raises(UsageError, match="has the label 'b'"):
        compare_results(first, result_file(tmp_path / "b.json", [True] * 4, label="b"))
    for content, said in (
        ("{", "not a result"),
        ("{}", "not a result"),
        ('{"items": []}', "holds no text"),
        ("[]", "not a result"),
    ):
        (tmp_path / "c.json").write_text(content)
        with pytest.raises(UsageError, match=said):
            compare_results(first, tmp_path / "c.json")
    with pytest.raises(UsageError, match="cannot be read"):
        compare_results(first, tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("a", ("a", None, None)),
        (("a", 0.5), ("a", 0.5, None)),
        ({"agent": "a", "confidence": 1, "scope": 0.25}, ("a", 1.0, 0.25)),
        ({"label": "a"}, ("a", None, None)),
    ],
)
def test_answers_of_other_routers_are_read(answer, read):
    assert read_answer(answer) == read


@pytest.mark.parametrize("answer", [None, 7, ("a", "sure"), {"confidence": 0.5}, ("a", 1.5), {"agent": 3}])
def test_other_answers_are_refused(answer):
    with pytest.raises(TypeError):
        read_answer(answer)


TEXT = "Hello, where's my Invoice for March?"


def test_perturbations_are_seeded_and_do_what_they_say():
    for name in PERTURBATIONS:
        assert perturb(TEXT, name, 1) == perturb(TEXT, name, 1)
    assert perturb(TEXT, "lower_case", 1) == TEXT.lower()
    assert perturb(TEXT, "no_punctuation", 1) == "Hello wheres my Invoice for March"
    assert perturb(TEXT, "leading_chatter", 1).endswith(TEXT)
    assert TEXT in perturb(TEXT, "paraphrase", 1)
    assert len({perturb(TEXT, "typos", seed) for seed in range(30)}) > 10
    assert len({perturb(TEXT, "paraphrase", seed) for seed in range(30)}) > 3


@pytest.mark.parametrize("text", ["", "a b c", "🔥🔥", "\x00", "?!", "ñandú corre", "x" * 10_000])
@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_perturbations_bear_any_text(text, name):
    assert isinstance(perturb(text, name, 3), str)


def test_every_typo_is_one_slip():
    for seed in range(200):
        slipped = perturb("invoice", "typos", seed)
        assert slipped != "" and abs(len(slipped) - 7) <= 1


def test_labels_have_none_last():
    rows = [Row(text="x", place="", number=0, intent=label) for label in ("none", "b", "a")]
    assert labels_of(rows, "intent") == ["a", "b", "none"]


def test_the_page_shows_what_went_wrong_and_escapes_it(tmp_path):
    items = [judged("a", "b", confidence=0.95, text="<script>alert(1)</script>"), judged("a", "a"), judged("none", "a", "none")]
    found = {
        "router": {"name": "head"},
        "level": "intent",
        "test": {"source": "t.jsonl", "n": 3},
        "warnings": ["line 3: odd"],
        **describe(items, [], LABELS),
    }
    found["robustness"] = {"seed": 1, "typos": {"accuracy": 0.5, "difference": found["accuracy"], "broke": 1, "healed": 0}}
    page = tmp_path / "deep" / "page.html"
    write_page(found, page)
    html = page.read_text()
    assert "&lt;script&gt;" in html and "<script>" not in html
    assert "Reliability" in html and "Most frequent confusions" in html and "typos" in html and "line 3: odd" in html


def test_the_page_of_a_perfect_router_without_probabilities(tmp_path):
    many = [f"c{n:02}" for n in range(40)]
    items = [judged(label, label, confidence=None, scope=None) for label in many]
    found = {
        "router": {"name": "head", "hash": "sha256:1", "train": {"n": 3, "source": "x"}},
        "level": "intent",
        "test": {"source": "t.jsonl", "n": 40},
        "warnings": [],
        **describe(items, [judged("none", "a", "none", scope=None)], many),
    }
    write_page(found, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "16 others are left out" in html and "tells no probabilities" in html and "Every text went" in html


def test_a_terminal_shows_figures_warnings_and_what_was_not_measured():
    found = {
        "router": {"name": "python:x:y"},
        "level": "intent",
        "test": {"source": "t.jsonl", "n": 2},
        "warnings": ["line 3: odd"],
        **describe([judged("none", "none", confidence=None, scope=None)], [], ["a", "none"]),
    }
    said = "\n".join(result_lines(found))
    assert "warning: line 3: odd" in said and "forced choice, in scope" in said and "not measured" in said
    assert "out of scope, recall as decided" in said and "AUROC" not in said
    trained = list(result_lines({"router": {"name": "head", "hash": "sha256:12"}, "warnings": []}))
    assert trained == ["router        head sha256:12"]


def test_a_comparison_shows_both_files(tmp_path):
    first = result_file(tmp_path / "a.json", [True] * 8 + [False] * 12)
    said = "\n".join(result_lines(compare_results(first, first)))
    assert "a.json" in said and "broke 0, healed 0" in said and "two-sided p 1" in said
