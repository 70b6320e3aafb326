"""A judge is an instrument: what calibration says of it, what lets it gate, and that LLMBar's published figures come out."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evals.cli.judge import judge as judge_command
from evals.errors import UsageError
from evals.judging.calibration import Calibration, Judgement, Labelled, calibrate
from evals.judging.labels import labelled, read_labels, read_verdicts
from evals.judging.rubrics import Rubric, harness, read_rubric, read_rubrics
from evals.judging.trust import CalibrationFile, calibration_file, read_calibrations, standing, write_calibration

ROOT = Path(__file__).resolve().parents[2]
JUDGE = ROOT / "datasets/qsr/judge"
LABELS = [Labelled(item=f"{n}", label="pass" if n < 20 else "fail") for n in range(40)]


def said(*wrong: int, labels: list[Labelled] = LABELS, repeat: int = 0) -> list[Judgement]:
    """Verdicts that are right but on the items `wrong`."""
    other = {"pass": "fail", "fail": "pass", "1": "2", "2": "1"}
    return [
        Judgement(item=one.item, said=other[one.label] if int(one.item) in wrong else one.label, repeat=repeat) for one in labels
    ]


def measured(verdicts: list[Judgement], asked: int = 40) -> Calibration:
    return calibrate(LABELS, verdicts, positive="pass", asked=asked)


def test_rates_count_what_was_right_of_each_label() -> None:
    found = measured(said(0, 1, 20))
    assert (found.tpr.k, found.tpr.n, found.tnr.k, found.tnr.n) == (18, 20, 19, 20)
    assert (found.accuracy.k, found.accuracy.n, found.errors.k, found.errors.n) == (37, 40, 0, 40)
    assert found.kappa.value == pytest.approx(0.85)
    assert found.self_consistency is found.first_share is found.kappa_orders is None


def test_a_missing_verdict_and_one_outside_the_closed_set_are_errors_and_enter_no_rate() -> None:
    verdicts = said()[:-1]
    verdicts[0] = Judgement(item="0", said="PASS, I would say")
    verdicts[1] = Judgement(item="1", said=None)
    found = measured(verdicts)
    assert (found.errors.k, found.errors.n) == (3, 40)
    assert (found.tpr.k, found.tpr.n, found.tpr.planned) == (18, 18, 20)


def test_a_good_judge_may_gate_a_bad_one_may_not_and_few_labels_leave_it_open() -> None:
    assert measured(said()).standing == "met"
    assert measured(said(*range(10))).standing == "missed"
    assert measured(said(0, 1, 20, 21)).standing == "open"
    assert measured(said()[:30]).standing == "missed"
    few = [*LABELS[:3], *LABELS[20:23]]
    assert calibrate(few, said(labels=few), positive="pass", asked=6).standing == "open"


def test_a_judge_that_always_says_pass_is_found_out() -> None:
    flattering = measured([Judgement(item=one.item, said="pass") for one in LABELS])
    assert (flattering.tpr.value, flattering.tnr.value, flattering.kappa.value) == (1.0, 0.0, 0.0)
    assert flattering.standing == "missed"


def test_self_consistency_counts_agreeing_pairs_of_repeats_and_the_first_repeat_alone_makes_the_counts() -> None:
    found = calibrate(LABELS, [*said(), *said(0, 1, repeat=1)], positive="pass", asked=80)
    assert found.self_consistency is not None
    assert (found.self_consistency.k, found.self_consistency.n) == (38, 40)
    assert (found.counts.true_passes, found.counts.passes) == (20, 20)
    assert (found.tpr.k, found.tpr.n) == (38, 40)


def test_a_verdict_on_an_unlabelled_item_is_refused() -> None:
    with pytest.raises(ValueError, match="'99', which has no label"):
        measured([Judgement(item="99", said="pass")])


def test_order_bias_of_a_judge_that_likes_the_first_answer_is_seen() -> None:
    labels = [Labelled(item=str(n), label="1" if n % 2 else "2") for n in range(20)]
    biased = [Judgement(item=one.item, said="2" if swap else "1", swap=swap) for one in labels for swap in (False, True)]
    found = calibrate(labels, biased, positive="1", asked=40)
    assert found.first_share is not None and found.same_both_orders is not None and found.right_both_orders is not None
    assert (found.first_share.value, found.same_both_orders.k, found.right_both_orders.k) == (1.0, 0, 0)
    fair = [Judgement(item=one.item, said=one.label, swap=swap) for one in labels for swap in (False, True)]
    found = calibrate(labels, fair, positive="1", asked=40)
    assert found.first_share is not None and found.right_both_orders is not None and found.kappa_orders is not None
    assert (found.first_share.value, found.right_both_orders.k, found.kappa_orders.value) == (0.5, 20, 1.0)


def measure_judges() -> Any:
    spec = importlib.util.spec_from_file_location("measure_judges", Path(__file__).parent / "measure_judges.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_published_figure_of_llmbar_comes_out_for_every_run() -> None:
    module = measure_judges()
    folder = module.default_folder()
    if not folder.is_dir():
        pytest.skip("no LLMBar files")
    assert len(module.read_published(folder)) == len(module.read_runs(folder)) == 65
    assert list(module.differences(folder)) == []


def test_a_changed_verdict_changes_a_recomputed_figure() -> None:
    module = measure_judges()
    labels = [Labelled(item=str(n), label="1" if n % 2 else "2") for n in range(10)]
    fair = [Judgement(item=one.item, said=one.label, swap=swap) for one in labels for swap in (False, True)]
    right = module.recomputed(labels, fair)
    wrong = module.recomputed(labels, [Judgement(item="0", said="1"), *fair[1:]])
    assert {name for name in right if right[name] != wrong[name]} == {
        "correct_False",
        "correct_average",
        "correct_both",
        "equal",
        "kappa_False",
        "kappa_average",
        "kappa_agreement",
    }


def test_the_shipped_labels_and_rubrics_are_readable_and_balanced() -> None:
    answers, pairs = read_labels(JUDGE / "labels.jsonl"), read_labels(JUDGE / "pairs.jsonl")
    assert [sum(item.label == label for item in answers) for label in ("pass", "fail")] == [24, 24]
    assert [sum(item.label == label for item in pairs) for label in (1, 2)] == [6, 6]
    assert {name: rubric.kind for name, rubric in read_rubrics(JUDGE / "rubrics").items()} == {
        "better-answer": "pair",
        "calm-tone": "scale",
        "usable-answer": "statement",
    }


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


ANSWER = {"id": "a", "input": "q", "output": "x", "label": "pass"}
OTHER = {"id": "b", "input": "q", "output": "y", "label": "fail"}
PAIR = {"id": "a", "input": "q", "output_1": "x", "output_2": "y", "label": 1}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "holds no line"),
        ([{**ANSWER, "label": "good"}, {**OTHER, "extra": 1}], "line 1: field `label`.*\n.*line 2: field `extra`"),
        ([ANSWER, ANSWER], "'a' occurs twice"),
        ([ANSWER, {**ANSWER, "id": "b"}], "every item has the same label"),
    ],
)
def test_labels_that_cannot_be_used_are_named(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_labels(write(tmp_path / "labels.jsonl", rows))


def test_label_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_labels(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_labels(tmp_path / "latin.jsonl")
    many = write(tmp_path / "many.jsonl", [{"id": str(n)} for n in range(30)])
    with pytest.raises(UsageError, match="and 70 more faults"):
        read_labels(many)


def test_recorded_verdicts_are_matched_to_their_items(tmp_path: Path) -> None:
    items = read_labels(write(tmp_path / "labels.jsonl", [ANSWER, OTHER]))
    good = write(tmp_path / "good.jsonl", [{"id": "a", "verdict": "pass"}, {"id": "b", "verdict": None, "repeat": 1}])
    assert read_verdicts(good, items) == [Judgement(item="a", said="pass"), Judgement(item="b", said=None, repeat=1)]
    with pytest.raises(UsageError, match="'c' has no label"):
        read_verdicts(write(tmp_path / "stray.jsonl", [{"id": "c", "verdict": "pass"}]), items)
    with pytest.raises(UsageError, match="'a' has two verdicts for repeat 0"):
        read_verdicts(write(tmp_path / "twice.jsonl", [{"id": "a", "verdict": "pass"}] * 2), items)
    pairs = read_labels(write(tmp_path / "pairs.jsonl", [PAIR, {**PAIR, "id": "b", "label": 2}]))
    rows = [{"id": "a", "winner": 1, "swap": False}, {"id": "a", "winner": None, "swap": True}]
    chosen = read_verdicts(write(tmp_path / "chosen.jsonl", rows), pairs)
    assert chosen == [Judgement(item="a", said="1"), Judgement(item="a", said=None, swap=True)]
    assert [one.label for one in labelled(pairs)] == ["1", "2"]


RUBRIC = Rubric(name="clear", version=2, asks="It is clear.")


def proof(**changes: Any) -> CalibrationFile:
    made = calibration_file(measured(said()), judge="ollama:m", rubric=RUBRIC, labels_digest="sha256:0", estimates={})
    return made.model_copy(update=changes)


def test_a_calibration_lets_exactly_this_judge_gate_by_exactly_this_wording() -> None:
    assert standing([proof()], "ollama:m", RUBRIC) == (proof(), "")
    assert standing([], "ollama:m", RUBRIC) == (None, "it was never calibrated")
    assert standing([proof(rubric="other")], "ollama:m", RUBRIC) == (None, "it was never calibrated")
    assert standing([proof()], "ollama:n", RUBRIC) == (None, "its calibration is of judge ollama:m")
    reworded = RUBRIC.model_copy(update={"asks": "It is very clear."})
    assert "of another wording (version 2" in standing([proof(judge="x"), proof()], "ollama:m", reworded)[1]
    assert "pydantic-evals 1.0" in (proof(harness="pydantic-evals 1.0").doubt("ollama:m", RUBRIC) or "")
    assert "short of 80" in (proof(true_fails=10).doubt("ollama:m", RUBRIC) or "")
    assert "too few labels" in (proof(true_passes=3, passes=3).doubt("ollama:m", RUBRIC) or "")
    assert "30 of 40 verdicts missing: short" in (proof(missing=30).doubt("ollama:m", RUBRIC) or "")


def test_calibrations_are_written_and_read_and_damaged_ones_stop_the_run(tmp_path: Path) -> None:
    write_calibration(tmp_path / "deep/clear.json", proof())
    assert read_calibrations(tmp_path / "deep") == [proof()]
    assert read_calibrations(tmp_path / "none") == []
    (tmp_path / "deep/clear.json").write_text(json.dumps({**proof().model_dump(), "true_passes": 99}))
    with pytest.raises(UsageError, match=r"clear\.json: field `file`: counts do not fit.*calibrate again"):
        read_calibrations(tmp_path / "deep")
    (tmp_path / "deep/clear.json").write_text(json.dumps({**proof().model_dump(), "items": 3}))
    with pytest.raises(UsageError, match="more items were judged than there are"):
        read_calibrations(tmp_path / "deep")
    (tmp_path / "deep/clear.json").unlink()
    (tmp_path / "deep/dir.json").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        read_calibrations(tmp_path / "deep")
    with pytest.raises(UsageError, match=r"--out .* cannot be written"):
        write_calibration(tmp_path / "deep/dir.json", proof())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: r\nversion: 1\nasks: x\nkind: scale\n", "steps: a `scale` rubric needs at least one"),
        ("name: r\nversion: 1\nasks: x\nthreshold: 0.5\n", "threshold: a `scale` rubric needs one"),
        ("name: other\nversion: 1\nasks: x\n", "the file is named 'r'"),
        ("name: r\nversion: 1\nask: x\n", "did you mean `asks`"),
        ("name: [", "not valid YAML"),
    ],
)
def test_rubrics_that_cannot_be_used_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        read_rubric(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_rubric(tmp_path / "none.yaml")


def calibrated(tmp_path: Path, wrong: set[str], *options: str) -> tuple[int, str]:
    """Exit code and output of the command on the shipped labels, with recorded verdicts that are wrong on `wrong`."""
    other = {"pass": "fail", "fail": "pass"}
    rows = [
        {"id": item.id, "verdict": other[str(item.label)] if item.id in wrong else item.label}
        for item in read_labels(JUDGE / "labels.jsonl")
    ]
    verdicts = write(tmp_path / "verdicts.jsonl", rows)
    arguments = ["calibrate", "--labels", str(JUDGE / "labels.jsonl"), "--verdicts", str(verdicts), *options]
    result = CliRunner().invoke(judge_command, arguments, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.return_value, result.output


def test_the_command_says_whether_a_judge_may_gate_and_its_exit_code_says_it_too(tmp_path: Path) -> None:
    code, page = calibrated(tmp_path, set())
    assert code == 0 and "may gate" in page and "48 labelled items" in page
    code, page = calibrated(tmp_path, {f"usable-{n:02d}-bad" for n in range(1, 13)})
    assert code == 1 and "advisory: short of the bounds" in page
    code, page = calibrated(tmp_path, {f"usable-{n:02d}-bad" for n in range(1, 4)})
    assert code == 2 and "too few labels" in page


def test_the_command_writes_a_proof_that_is_accepted_for_this_rubric_only(tmp_path: Path) -> None:
    out, rubric = tmp_path / "proofs/p.json", JUDGE / "rubrics/usable-answer.yaml"
    code, text = calibrated(
        tmp_path, {"usable-01-good"}, "--json", "--rubric", str(rubric), "--judged-by", "m", "--out", str(out)
    )
    figures = json.loads(text)
    assert (code, figures["standing"], figures["tpr"]["k"], figures["tpr"]["n"]) == (0, "met", 23, 24)
    [file] = read_calibrations(out.parent)
    assert standing([file], "m", read_rubric(rubric)) == (file, "")
    assert file.harness == harness() and file.counts.true_passes == 23
    assert standing([file], "m", read_rubric(JUDGE / "rubrics/calm-tone.yaml"))[0] is None


def test_the_command_wants_one_source_of_verdicts_and_knows_what_a_proof_needs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give one of them"):
        calibrated(tmp_path, set(), "--judge", "ollama:x")
    with pytest.raises(UsageError, match="--out: a calibration is of one judge and one rubric"):
        calibrated(tmp_path, set(), "--out", str(tmp_path / "x.json"))
